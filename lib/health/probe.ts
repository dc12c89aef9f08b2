// One question to an app's health check: bounded in time and bytes, never through a proxy, never redirected.
import { codeOf, messageOf } from "../errors.ts";
import type { HealthCheck } from "../config/types.ts";

/** What came back. `text` is a few words for the user: "500", "302 → /login", "connection refused". */
export interface Answer {
  isHealthy: boolean;
  status: number | null;
  text: string;
  /** Nobody listens on the port. */
  isRefused?: boolean;
}

const BODY_LIMIT = 64 * 1024;

const WORDS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
};

/** Asks a port of this machine once; `timeout` of the check (ms) bounds the whole answer, body included. Never throws. */
export async function probe(check: HealthCheck, port: number, host = "127.0.0.1"): Promise<Answer> {
  const signal = AbortSignal.timeout(check.timeout);
  try {
    const response = await direct(`http://${host}:${port}${check.path}`, {
      signal,
      redirect: "manual",
      keepalive: false,
      decompress: false,
      headers: { Host: check.host ?? `${host}:${port}`, "User-Agent": "dp-health-check", Connection: "close" },
    });
    await drain(response);
    return judge(check, response);
  } catch (error) {
    const text = signal.aborted
      ? `no complete answer in ${check.timeout} ms`
      : (WORDS[codeOf(error) ?? ""] ?? unreadable(messageOf(error)));
    const isRefused = codeOf(error) === "ECONNREFUSED";
    return { isHealthy: false, status: null, text, ...(isRefused ? { isRefused } : {}) };
  }
}

// Bun names what it could not read, then the address, and what to pass to it.
function unreadable(message: string): string {
  const name = /^(\w+) fetching /.exec(message)?.[1];
  return name === undefined ? message : `no sound HTTP answer (${name})`;
}

const NO_PROXY = ["NO_PROXY", "no_proxy"];

// fetch, because node:http takes 40 ms of a processor to load. It would send even 127.0.0.1 through $http_proxy, and
// looks for the exceptions while it is called.
function direct(url: string, init: BunFetchRequestInit): Promise<Response> {
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

async function drain({ body }: Response): Promise<void> {
  let bytes = 0;
  // Leaving the loop closes the connection.
  for await (const chunk of body ?? []) if ((bytes += chunk.length) > BODY_LIMIT) return;
}

function judge(check: HealthCheck, { status, headers }: Response): Answer {
  const isHealthy = check.status ? check.status.includes(status) : status >= 200 && status < 300;
  const to = headers.get("Location");
  return { isHealthy, status, text: to === null ? String(status) : `${status} → ${to.slice(0, 200)}` };
}
