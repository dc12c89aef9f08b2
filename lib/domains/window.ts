// When the CA wants a certificate renewed (ARI, RFC 9773): asked at most each six hours, and kept in the name's state.
import { X509Certificate } from "node:crypto";
import { readTls } from "../config/tls.ts";
import { DpError } from "../errors.ts";
import { plainEnv, run } from "../host/run.ts";
import { addressOf, askCa } from "./directory.ts";
import { opensslProgram } from "./internal.ts";
import { firstCertificate, pairFile } from "./pair.ts";
import { noteWindow, stateOf, type Asked } from "./state.ts";

const HOUR = 3_600_000;
const LEAST = 6 * HOUR;
/** A CA may ask for a longer pause, but a window that has moved must be seen. */
const MOST = 24 * HOUR;

/** The time in ms that was chosen in the CA's window for the certificate in use; null: it names none, or is not reached. */
export async function wantedTime(name: string): Promise<number | null> {
  const certificate = await firstCertificate(name);
  const program = opensslProgram();
  if (certificate === null || program === null) return null;
  const serial = new X509Certificate(certificate).serialNumber;
  const { window } = await stateOf(name);
  const known = window?.serial === serial ? window : null;
  if (known !== null && Date.parse(known.again) > Date.now()) return timeOf(known);
  const asked = await ask(name, serial, program, known);
  await noteWindow(name, asked);
  return timeOf(asked);
}

const timeOf = ({ at }: Asked): number | null => (at === null ? null : Date.parse(at));

/** Asks the CA. What was known stays when it does not answer. */
async function ask(name: string, serial: string, program: string, known: Asked | null): Promise<Asked> {
  const later = (ms: number) => new Date(Date.now() + Math.min(MOST, Math.max(LEAST, ms))).toISOString();
  const before = known ?? { serial, start: null, end: null, at: null };
  const nothing: Asked = { ...before, again: later(LEAST) };
  try {
    const settings = await readTls();
    const url = await addressOf(settings, "renewalInfo");
    const id = url === null ? null : await certificateId(name, serial, program);
    if (id === null) return nothing;
    const answer = await askCa(settings, `${url}/${id}`);
    const told = windowIn(await answer.json().catch(() => null));
    if (!answer.ok || told === null) return nothing;
    const again = later(Number(answer.headers.get("Retry-After")) * 1000 || LEAST);
    // One time for one window: a new one would be later each time that it is asked for.
    const isSame = told.start === before.start && told.end === before.end;
    return { serial, again, ...told, at: isSame && before.at !== null ? before.at : within(told) };
  } catch (error) {
    if (error instanceof DpError) return nothing;
    throw error;
  }
}

function windowIn(body: unknown): { start: string; end: string } | null {
  const { suggestedWindow: { start, end } = {} } = (body ?? {}) as {
    suggestedWindow?: { start?: string; end?: string };
  };
  const times = [start, end].map((time) => Date.parse(String(time)));
  if (times.some(Number.isNaN) || times[0]! > times[1]!) return null;
  return { start: new Date(times[0]!).toISOString(), end: new Date(times[1]!).toISOString() };
}

function within({ start, end }: { start: string; end: string }): string {
  const [from, to] = [Date.parse(start), Date.parse(end)];
  return new Date(from + Math.random() * (to - from)).toISOString();
}

/** The name that ARI has for a certificate: the key of its issuer and its number. */
async function certificateId(name: string, serial: string, program: string): Promise<string | null> {
  const words = [program, "x509", "-in", pairFile(name), "-noout", "-ext", "authorityKeyIdentifier"];
  const { code, text } = await run(words, { env: plainEnv(), check: false, quiet: true });
  const [issuer] = /(?:[0-9A-F]{2}:){15,}[0-9A-F]{2}/.exec(text) ?? [];
  return code === 0 && issuer !== undefined ? idOf(issuer, serial) : null;
}

/** Both as hexadecimal digits, as openssl and node write them. */
export function idOf(issuer: string, serial: string): string {
  // A number of DER begins with a zero byte where it would be negative.
  const number = /^[89A-F]/i.test(serial) ? `00${serial}` : serial;
  const encoded = (hex: string) => Buffer.from(hex, "hex").toString("base64url");
  return `${encoded(issuer.replaceAll(":", ""))}.${encoded(number)}`;
}
