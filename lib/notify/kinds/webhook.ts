// A webhook: one JSON object, signed when a secret is given.
import * as v from "valibot";
import type { Message, Notifier } from "../../contracts/notifier.ts";
import { address, maskedAddress, post, word } from "../http.ts";

/** The body. Fields are only ever added; what does not apply is null. A person's name is for programs: it calls nobody. */
export function bodyOf({ id, text, happening }: Message) {
  const { event, app, server, time, url, run, release, step, subject, error, since, hint } = happening;
  const by = happening.by?.replaceAll("@\u200b", "@") ?? null;
  return { v: 1, id, event, app, server, time, text, url, run, release, step, subject, by, error, since, hint };
}

/** `t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY`. */
export function signature(secret: string, body: string, seconds: number): string {
  const digest = new Bun.CryptoHasher("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${digest}`;
}

const webhook: Notifier = {
  name: "webhook",
  summary: "an address that gets one JSON object",
  keys: {
    webhook: address("The address."),
    secret: v.exactOptional(word("Signs each request: the header Dp-Signature.")),
  },
  asks: { webhook: { question: "URL" }, secret: { question: "Secret for the signature", isOptional: true } },
  secrets: ["webhook", "secret"],
  place: ({ webhook: url = "" }) => maskedAddress(url),
  send({ webhook: url = "", secret }, message, line) {
    const body = JSON.stringify(bodyOf(message));
    const signed = secret === undefined ? {} : { "Dp-Signature": signature(secret, body, Math.floor(line.now / 1000)) };
    return post(url, body, line, { "Content-Type": "application/json", "Dp-Event": message.id, ...signed });
  },
};

export default webhook;
