// One question to an app's health check: bounded in time and bytes, never through a proxy, never redirected.
import { request, type IncomingMessage } from "node:http";
import type { HealthCheck } from "../config.ts";
import { codeOf, messageOf } from "../errors.ts";

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
export function probe(check: HealthCheck, port: number, host = "127.0.0.1"): Promise<Answer> {
  const signal = AbortSignal.timeout(check.timeout);
  return new Promise((resolve) => {
    const fail = (error: unknown) => {
      const text = signal.aborted
        ? `no complete answer in ${check.timeout} ms`
        : (WORDS[codeOf(error) ?? ""] ?? messageOf(error));
      const isRefused = codeOf(error) === "ECONNREFUSED";
      resolve({ isHealthy: false, status: null, text, ...(isRefused ? { isRefused } : {}) });
    };
    // node:http, because fetch sends even 127.0.0.1 through $http_proxy, and follows redirects.
    const asked = request({
      host,
      port,
      path: check.path,
      agent: false,
      signal,
      headers: { Host: check.host ?? `${host}:${port}`, "User-Agent": "dp-health-check", Connection: "close" },
    });
    asked.on("error", fail);
    asked.on("response", (response) => {
      response.on("error", fail);
      drain(response, () => {
        resolve(judge(check, response));
        asked.destroy();
      });
    });
    asked.end();
  });
}

function drain(response: IncomingMessage, done: () => void): void {
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT) done();
  });
  response.on("end", done);
}

function judge(check: HealthCheck, response: IncomingMessage): Answer {
  const status = response.statusCode ?? 0;
  const isHealthy = check.status ? check.status.includes(status) : status >= 200 && status < 300;
  const to = response.headers.location;
  return { isHealthy, status, text: to === undefined ? String(status) : `${status} → ${to.slice(0, 200)}` };
}
