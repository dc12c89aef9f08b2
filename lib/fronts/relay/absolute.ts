// Requests whose target is a URL: rewritten to the URL's path, with the URL's host as Host.
import type { RequestHead } from "./request-line.ts";

/**
 * Rewrites a request as RFC 9112 3.2.2 requires, ignoring the client's own Host. The head was just read from `buffer` and
 * ends at `at`. The returned bytes must be read again; the bytes after the head are unchanged.
 */
export function inOriginForm({ start }: RequestHead, buffer: Buffer, at: number): Buffer {
  const [line = "", ...fields] = buffer.toString("latin1", start, at).split("\r\n");
  const [method = "", target = "", version = ""] = line.split(" ");
  const [, host = "", rest = ""] = /^https?:\/\/([^/?]*)(.*)$/i.exec(target) ?? [];
  const others = fields.filter((field) => !/^host:/i.test(field));
  const head = [`${method} ${pathOf(method, rest)} ${version}`, `Host: ${host}`, ...others].join("\r\n");
  return Buffer.concat([Buffer.from(head, "latin1"), buffer.subarray(at)]);
}

function pathOf(method: string, rest: string): string {
  if (rest.startsWith("/")) return rest;
  return rest === "" && method === "OPTIONS" ? "*" : `/${rest}`;
}
