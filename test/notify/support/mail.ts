// Sends one mail with given settings, in a process of its own: `mail.ts SETTINGS`, JSON. Says how that ended.
import { messageOf } from "../../../lib/notify/deliver.ts";
import mail from "../../../lib/notify/kinds/mail.ts";
import { happened } from "./queue.ts";

const settings = JSON.parse(process.argv[2]!) as Record<string, string>;
const happening = happened("43-1c2d3e4", {
  head: "✗ shop: Grüße\r\nBcc: x@evil.example",
  lines: [".", "é".repeat(300)],
});
const message = messageOf("0123456789abcdef", happening, Date.now());
console.log(JSON.stringify(await mail.send(settings, message, { limit: 5_000, now: Date.now() })));
