// One request to an app's health check: limited in time and bytes, never through a proxy, never redirected.
import { codeOf, messageOf } from "../errors.ts";
import type { HealthCheck } from "../config/types.ts";
import { shown } from "../text/text.ts";

/** The answer. `text` is a few words for the user: "500", "302 → /login", "connection refused". */
export interface Answer {
  isHealthy: boolean;
  status: number | null;
  text: string;
  /** The target of a redirect. */
  location?: string | undefined;
  /** The first line of a text body, without tags; empty: there is none. Missing: it is healthy, or there is no answer. */
  firstLine?: string;
  /** Nobody listens on the port. */
  isRefused?: boolean;
}

const AGENT = "dp-health-check";
const BODY_LIMIT = 64 * 1024;
/** How many bytes of a body are read, and how many characters of it shown. */
const START = 4096;
const LINE = 200;

const WORDS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
};

/** The answer when nobody listens on the port. */
export const REFUSED: Answer = { isHealthy: false, status: null, text: WORDS["ECONNREFUSED"]!, isRefused: true };

/**
 * Asks a port of this machine once; `timeout` of the check (ms) bounds the whole answer, body included, and `stop` may end
 * the request before that. Never throws.
 */
export async function probe(check: HealthCheck, port: number, host = "127.0.0.1", stop?: AbortSignal): Promise<Answer> {
  const limit = AbortSignal.timeout(check.timeout);
  const signal = stop === undefined ? limit : AbortSignal.any([limit, stop]);
  try {
    const response = await direct(`http://${host}:${port}${check.path}`, {
      signal,
      redirect: "manual",
      keepalive: false,
      decompress: false,
      headers: headersFor(check, `${host}:${port}`),
    });
    const body = await drain(response);
    const answer = judge(check, response);
    return answer.isHealthy ? answer : { ...answer, firstLine: firstLineOf(response, body) };
  } catch (error) {
    const text = limit.aborted
      ? `no complete answer in ${check.timeout} ms`
      : (WORDS[codeOf(error) ?? ""] ?? unreadable(messageOf(error)));
    const isRefused = codeOf(error) === "ECONNREFUSED";
    return { isHealthy: false, status: null, text, ...(isRefused ? { isRefused } : {}) };
  }
}

// Bun names the unreadable part, then the address, and then advice for programmers.
function unreadable(message: string): string {
  const name = /^(\w+) fetching /.exec(message)?.[1];
  return name === undefined ? message : `no sound HTTP answer (${name})`;
}

const NO_PROXY = ["NO_PROXY", "no_proxy"];
const PROXIES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/**
 * `fetch` past any proxy; loading node:http would take 40 ms of CPU time. fetch sends even 127.0.0.1 through $http_proxy,
 * and reads the exceptions at the time of the call.
 */
export function direct(url: string, init: BunFetchRequestInit): Promise<Response> {
  if (PROXIES.every((name) => process.env[name] === undefined)) return fetch(url, init);
  const before = NO_PROXY.map((name) => process.env[name]);
  for (const name of NO_PROXY) process.env[name] = "*";
  try {
    return fetch(url, init);
  } finally {
    for (const [at, name] of NO_PROXY.entries()) {
      if (before[at] === undefined) delete process.env[name];
      else process.env[name] = before[at];
    }
  }
}

/** The headers of the request; an app with a domain is behind TLS, so the request says https. */
function headersFor(check: HealthCheck, address: string): Headers {
  const headers = new Headers({ Host: check.host ?? address, "User-Agent": AGENT, Connection: "close" });
  if (check.host !== undefined && /[a-z]/i.test(check.host)) headers.set("X-Forwarded-Proto", "https");
  for (const [name, value] of Object.entries(check.headers ?? {})) headers.set(name, value);
  return headers;
}

/** Reads a body to its end, or up to a limit; answers its beginning. */
async function drain(response: Response): Promise<Uint8Array> {
  if (isShort(response)) return (await response.bytes()).subarray(0, START);
  const { body } = response;
  let bytes = 0;
  const start: Uint8Array[] = [];
  // Leaving the loop closes the connection.
  for await (const chunk of body ?? []) {
    if (bytes < START) start.push(chunk);
    bytes += chunk.length;
    if (bytes > BODY_LIMIT) break;
  }
  return Buffer.concat(start).subarray(0, START);
}

/** Whether the head says that no more comes than the limit: then it is read in one piece. In chunks any length may come. */
function isShort({ headers }: Response): boolean {
  const length = headers.get("Content-Length");
  return length !== null && Number(length) <= BODY_LIMIT && !headers.has("Transfer-Encoding");
}

function firstLineOf({ headers }: Response, body: Uint8Array): string {
  const type = headers.get("Content-Type") ?? "text/plain";
  if (headers.has("Content-Encoding") || !/^text\/|json/.test(type)) return "";
  const text = new TextDecoder().decode(body);
  const words = /html/.test(type)
    ? text.replace(/<(style|script|head)\b[\s\S]*?<\/\1>/gi, "").replace(/<[^>]*>/g, "\n")
    : text;
  return shown(words.split("\n").find((line) => line.trim() !== "") ?? "")
    .trim()
    .slice(0, LINE);
}

function judge(check: HealthCheck, { status, headers }: Response): Answer {
  const isHealthy = check.status ? check.status.includes(status) : status >= 200 && status < 300;
  const to = headers.get("Location");
  const text = to === null ? String(status) : `${status} → ${shown(to).slice(0, LINE)}`;
  return { isHealthy, status, text, location: to ?? undefined };
}
