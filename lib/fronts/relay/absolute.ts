// A request whose target is a URL: it is read as one for the URL's path, with the URL's host as its Host.
import type { RequestHead } from "./request-line.ts";

/**
 * The bytes of a request whose head was just read from `buffer` and ends at `at`, as RFC 9112 3.2.2 wants them passed on:
 * the Host that the client sent counts for nothing. They are to be read again; what follows the head stays.
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
