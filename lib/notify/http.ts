// One POST of a message: limited in time, never redirected, the answer thrown away.
import * as v from "valibot";
import type { Attempt, Line } from "../contracts/notifier.ts";
import { codeOf } from "../errors.ts";

const HOUR = 3_600_000;
const OWN = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;
const PRIVATE = /^(?:10(?:\.\d+){3}|192\.168(?:\.\d+){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d+){2}|\[f[cd][0-9a-f:]+\])$/;

/** Whether a host is this machine itself. */
export const isOwnHost = (host: string) => OWN.test(host);

/** What is wrong with an address, in words; null: nothing. */
export function addressProblem(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || /[\x00-\x20\x7f]/.test(text))
    return "must be an address such as https://example.com/path";
  if (url.username !== "" || url.password !== "") return "must have no user and password in it";
  if (url.protocol === "http:" && !isOwnHost(url.hostname) && !PRIVATE.test(url.hostname))
    return "must begin with https://; http:// only to this machine or a private address";
  return null;
}

/** The schema of an address. The address is a secret: no message shows it. */
export const address = (description: string) =>
  v.pipe(
    v.string("must be an address such as https://example.com/path"),
    v.rawCheck(({ dataset, addIssue }) => {
      const message = dataset.typed ? addressProblem(dataset.value) : null;
      if (message !== null) addIssue({ message });
    }),
    v.description(description),
  );

/** The schema of another value: one line. */
export const word = (description: string) =>
  v.pipe(
    v.string("must be a text, in quotes if it is a number"),
    v.regex(/^[^\x00-\x1f\x7f]{1,1000}$/, "must be one line"),
    v.description(description),
  );

/** An address as it is shown: `hooks.slack.com/***`. */
export const maskedAddress = (url: string): string => `${URL.parse(url)?.host ?? "?"}/***`;

/** Posts a body of JSON. */
export const postJson = (url: string, body: unknown, line: Line, headers: Record<string, string> = {}) =>
  post(url, JSON.stringify(body), line, { "Content-Type": "application/json", ...headers });

/** Posts a body once. */
export async function post(
  url: string,
  body: string,
  { limit, now }: Line,
  headers: Record<string, string>,
): Promise<Attempt> {
  const signal = AbortSignal.timeout(limit);
  try {
    const response = await fetch(url, {
      method: "POST",
      body,
      headers: { "User-Agent": "dp", ...headers },
      redirect: "manual",
      keepalive: false,
      signal,
    });
    // A body that drips without end, or is long, says nothing that the status does not.
    await response.body?.cancel();
    return judged(response, now);
  } catch (error) {
    return { end: "again", said: signal.aborted ? "timeout" : noConnection(error) };
  }
}

// Error texts name the address, which is the secret.
function noConnection(error: unknown): string {
  const code = codeOf(error) ?? "";
  return /^[A-Za-z][A-Za-z0-9_]{2,60}$/.test(code) ? code : "no connection";
}

function judged({ status, headers }: Response, now: number): Attempt {
  const said = String(status);
  if (status >= 200 && status < 300) return { end: "sent", said };
  if (status !== 408 && status !== 429 && status < 500) return { end: "never", said };
  const after = retryAfter(headers.get("Retry-After"), now);
  return after === null ? { end: "again", said } : { end: "again", said, after };
}

/** The ms of a Retry-After header, seconds or a date, an hour at most; null: there is none that can be read. */
export function retryAfter(header: string | null, now: number): number | null {
  if (header === null) return null;
  const ms = /^\d{1,9}$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), HOUR);
}
