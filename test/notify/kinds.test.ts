// Each kind of notification against a receiver: what it sends, what hostile text becomes, and what of a target is shown.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Happening, Line, Settings } from "../../lib/contracts/notifier.ts";
import { messageOf } from "../../lib/notify/deliver.ts";
import { addressProblem } from "../../lib/notify/http.ts";
import { notifier, notifiers } from "../../lib/registry.ts";
import { foreign, subjectText } from "../../lib/notify/text.ts";
import { signature } from "../../lib/notify/kinds/webhook.ts";
import { happened } from "./support/queue.ts";
import { receiver, refusing, type Receiver } from "./support/receivers.ts";

const NOW = Date.UTC(2026, 2, 1, 12);
const line: Line = { limit: 5_000, now: NOW };

let folder = "";
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-kinds-")));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open: Receiver[] = [];
const kept = (each: Receiver): Receiver => {
  open.push(each);
  return each;
};
afterEach(() => {
  for (const each of open.splice(0)) each.stop();
});

const recent = (more: Partial<Happening> = {}) =>
  happened("43-1c2d3e4", { time: new Date(NOW).toISOString(), ...more });
const message = (happening = recent()) => messageOf("0123456789abcdef", happening, NOW);

async function sent(kind: string, settings: Settings, happening = recent()) {
  return (await notifier(kind)).send(settings, message(happening), line);
}

const bodyOf = ({ got }: Receiver) => JSON.parse(got[0]!.body) as Record<string, unknown>;

const TEXT = `✗ shop: deploy 43-1c2d3e4 failed at check
"Retry" by colleague: exited with 1
dp logs shop --deploy 43-1c2d3e4    on ams-1`;

describe("what arrives", () => {
  test("slack: text with its own three characters escaped, no previews", async () => {
    const to = kept(receiver());
    const text = { lines: ["<!channel> & <https://evil|here>"] };
    expect(await sent("slack", { slack: to.url }, recent(text))).toEqual({ end: "sent", said: "200" });
    expect(bodyOf(to)).toMatchObject({ mrkdwn: false, unfurl_links: false });
    expect(bodyOf(to)["text"]).toContain("&lt;!channel&gt; &amp; &lt;https://evil|here&gt;");
  });

  test("discord: content, no embeds, nobody mentioned, and 204 is an arrival", async () => {
    const to = kept(receiver(() => new Response(null, { status: 204 })));
    expect(await sent("discord", { discord: to.url }, recent({ lines: ["[dp](https://evil) **x**"] }))).toEqual({
      ...{ end: "sent", said: "204" },
    });
    expect(bodyOf(to)["allowed_mentions"]).toEqual({ parse: [] });
    expect(bodyOf(to)["content"]).toContain("\\[dp\\](https://evil) \\*\\*x\\*\\*");
    expect(Object.keys(bodyOf(to)).sort()).toEqual(["allowed_mentions", "content"]);
  });

  test("telegram: plain text, the token in the path", async () => {
    const to = kept(receiver());
    const api = new URL(to.url).origin;
    const settings = { telegram: "123456:ABC-def", chat: "-1001234", api };
    expect((await sent("telegram", settings)).end).toBe("sent");
    expect(to.got[0]!.path).toBe("/bot123456:ABC-def/sendMessage");
    expect(bodyOf(to)).toEqual({ chat_id: "-1001234", text: TEXT, link_preview_options: { is_disabled: true } });
  });

  test("ntfy: topic, title, priority and a token", async () => {
    const to = kept(receiver());
    const topic = `${new URL(to.url).origin}/sub/dp-x7`;
    await sent("ntfy", { ntfy: topic, token: "tk_secret" });
    expect([to.got[0]!.path, to.got[0]!.headers["authorization"]]).toEqual(["/sub/", "Bearer tk_secret"]);
    expect(bodyOf(to)).toMatchObject({ topic: "dp-x7", priority: 4, tags: ["failed"], title: TEXT.split("\n")[0] });
    await sent("ntfy", { ntfy: topic, user: "u", password: "p:@#" }, recent({ event: "up", lines: [] }));
    expect(to.got[1]!.headers["authorization"]).toBe(`Basic ${btoa("u:p:@#")}`);
    expect(JSON.parse(to.got[1]!.body)).toMatchObject({ priority: 3, message: TEXT.split("\n")[0] });
  });

  test("webhook: every field, signed over the bytes of the body", async () => {
    const to = kept(receiver());
    await sent("webhook", { webhook: to.url, secret: "topsecret" }, recent({ by: "root@\u200b203.0.113.5" }));
    const { headers, body } = to.got[0]!;
    expect(headers["dp-event"]).toBe("0123456789abcdef");
    expect(Object.keys(bodyOf(to))).toEqual(
      "v id event app server time text url run release step subject by error since hint".split(" "),
    );
    const by = "root@203.0.113.5";
    expect(bodyOf(to)).toMatchObject({ v: 1, id: "0123456789abcdef", text: TEXT, by, url: null, since: null });
    const openssl = Bun.spawnSync(["openssl", "dgst", "-sha256", "-hmac", "topsecret"], {
      stdin: Buffer.from(`${NOW / 1000}.${body}`),
    });
    const hex = openssl.stdout.toString().trim().split(" ").at(-1);
    expect(headers["dp-signature"]).toBe(`t=${NOW / 1000},v1=${hex}`);
  });

  test("the signature of a fixed vector", () => {
    expect(signature("whsec", '{"v":1}', 1_700_000_000)).toBe(
      "t=1700000000,v1=3f83c3ae90b07ee734e65fbc7002850bb93bdc775c67dc72f692848f1456b991",
    );
  });

  test("command: one JSON on stdin, no arguments, no shell", async () => {
    const program = join(folder, "page-me");
    writeFileSync(program, `#!/bin/sh\n{ echo "$#"; cat; } > '${folder}/got'\n`);
    chmodSync(program, 0o755);
    expect(await sent("command", { command: program })).toEqual({ end: "sent", said: "exit code 0" });
    const [count, json = ""] = readFileSync(join(folder, "got"), "utf8").split("\n");
    expect([count, JSON.parse(json)]).toEqual(["0", expect.objectContaining({ v: 1, text: TEXT })]);
    writeFileSync(program, "#!/bin/sh\nexit 3\n");
    expect(await sent("command", { command: program })).toEqual({ end: "again", said: "exit code 3" });
    expect((await sent("command", { command: join(folder, "nobody") })).end).toBe("never");
    writeFileSync(program, "#!/bin/sh\nsleep 60\n");
    const late = await (await notifier("command")).send({ command: program }, message(), { limit: 200, now: NOW });
    expect(late).toEqual({ end: "again", said: "timeout" });
  });
});

describe("hostile text", () => {
  const subject = `Fix @everyone <!channel> \u001b[31mred\u001b[0m\nBcc: x@evil.example\r\n${"x".repeat(10_000)}`;

  test("is one line, calls nobody, and is cut", () => {
    const made = subjectText(subject);
    expect(made.length).toBeLessThan(100);
    expect(made).toStartWith('"Fix @\u200beveryone <!channel> red Bcc: x@\u200bevi');
    expect(made).not.toMatch(/[\x00-\x1f\x7f]/);
  });

  test("addresses lose their query and their password", () => {
    expect(foreign("GET https://u:pw@example.com/x?token=abc#y failed at https://h/p?q=1")).toBe(
      ...["GET https://***@\u200bexample.com/x failed at https://h/p"],
    );
  });

  test("a long error is cut in its middle, and the command stays", () => {
    const error = `begins ${"é".repeat(20_000)} ends`;
    const { text } = message(recent({ lines: [foreign(error, 5_000)] }));
    expect([...text].length).toBeLessThanOrEqual(900);
    expect(text).toContain("begins é");
    expect(text).toContain("é ends\n");
    expect(text).toEndWith("dp logs shop --deploy 43-1c2d3e4    on ams-1");
  });
});

describe("addresses", () => {
  test.each([
    ["https://hooks.slack.com/services/T/B/X", true],
    ["http://127.0.0.1:8080/x", true],
    ["http://localhost/x", true],
    ["http://10.1.2.3/x", true],
    ["http://192.168.1.2/x", true],
    ["http://[::1]:80/x", true],
    ["http://172.20.0.1/x", true],
    ["http://example.com/x", false],
    ["http://172.32.0.1/x", false],
    ["http://127.0.0.1.example.com/", false],
    ["https://user:pw@example.com/", false],
    ["ftp://example.com/", false],
    ["file:///etc/passwd", false],
    ["https://exa mple.com/", false],
    ["", false],
  ])("%s: %p", (url, isGood) => {
    expect(addressProblem(url) === null).toBe(isGood);
  });
});

test("no kind shows a secret, and none names the address when nobody is there", async () => {
  const url = `${await refusing()}/s3cr3t`;
  const values: Record<string, string> = {
    ...{ slack: url, discord: url, ntfy: url, webhook: url, telegram: "1:s3cr3t", api: url, command: "/bin/true" },
    ...{ token: "s3cr3t", user: "u", password: "s3cr3t", secret: "s3cr3t", chat: "1", mail: "a@b.example" },
    ...{ from: "c@d.example", smtp: new URL(url).host },
  };
  for (const kind of await notifiers()) {
    const settings = Object.fromEntries(Object.keys(kind.keys).map((key) => [key, values[key]!]));
    expect(kind.place(settings)).not.toContain("s3cr3t");
    const attempt = await kind.send(settings, message(), line);
    expect(JSON.stringify(attempt)).not.toMatch(/s3cr3t|http|127\.0/);
    if (kind.name !== "command") expect(attempt.end).toBe("again");
    expect(Object.keys(kind.keys)[0]).toBe(kind.name);
    for (const key of [...kind.secrets, ...Object.keys(kind.asks)]) expect(Object.keys(kind.keys)).toContain(key);
  }
});
