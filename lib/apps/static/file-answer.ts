// One file as the answer to one request: whole, partial, compressed, or "not modified".
import { closeSync, createReadStream, readSync } from "node:fs";
import { basename } from "node:path";
import type { IncomingMessage, ServerResponse } from "node:http";
import { fileBeneath, type OpenFile } from "./beneath.ts";
import { cacheControl, contentType } from "./headers.ts";
import { accepted, ENCODINGS, isUnchanged, rangeOf } from "./negotiation.ts";

/** A file for an answer. */
export interface Found extends OpenFile {
  /** Relative to the served folder: its name determines its type, and the names of compressed copies. */
  path: string;
  /** The open folder. */
  folder: number;
  /** The release, for the ETag of large files. */
  id: string;
  /** A build made it, and no file of the commit has its name. */
  isMade: boolean;
}

export interface Manner {
  status: number;
  /** More headers, by lower-case name; they take precedence. */
  headers: Record<string, string>;
}

/** Smaller files are read at once, and their ETag is derived from their content. */
const SMALL = 256 * 1024;
const CHUNK = 256 * 1024;

function readWhole({ fd, stat }: OpenFile): Buffer {
  const bytes = Buffer.allocUnsafe(stat.size);
  let read = 0;
  while (read < stat.size) {
    const more = readSync(fd, bytes, read, stat.size - read, read);
    if (more === 0) break;
    read += more;
  }
  return bytes.subarray(0, read);
}

/** The compressed copy that the client prefers, or null; `has`: whether any such copy exists. */
function compressed(found: Found, request: IncomingMessage): { copy: OpenFile; name: string } | null {
  for (const { name, suffix } of accepted(request.headers["accept-encoding"])) {
    const copy = fileBeneath(found.folder, found.path + suffix);
    if (copy !== null && copy !== "folder") return { copy, name };
  }
  return null;
}

function hasCopies({ folder, path }: Found): boolean {
  return ENCODINGS.some(({ suffix }) => {
    const copy = fileBeneath(folder, path + suffix);
    if (copy === null || copy === "folder") return false;
    closeSync(copy.fd);
    return true;
  });
}

/** Answers with a file, and closes it. */
export function answerFile(request: IncomingMessage, response: ServerResponse, found: Found, manner: Manner): void {
  const isPart = request.headers.range !== undefined && manner.status === 200;
  const better = isPart ? null : compressed(found, request);
  const headers: Record<string, string> = {
    "content-type": contentType(found.path),
    "cache-control": cacheControl(basename(found.path), found.isMade),
    "x-content-type-options": "nosniff",
    ...(better || hasCopies(found) ? { vary: "Accept-Encoding" } : {}),
    ...(better ? { "content-encoding": better.name } : {}),
    ...manner.headers,
  };
  if (better) closeSync(found.fd);
  const file = better?.copy ?? found;
  const bytes = file.stat.size <= SMALL ? readWhole(file) : null;
  if (bytes !== null) closeSync(file.fd);
  const size = bytes?.length ?? file.stat.size;
  const modified = new Date(Math.floor(file.stat.mtimeMs / 1000) * 1000);
  const hash = bytes ? Bun.hash(bytes).toString(36) : `${found.id}-${file.stat.ino}-${Math.round(file.stat.mtimeMs)}`;
  const etag = `"${size.toString(36)}-${hash}${better ? `-${better.name}` : ""}"`;
  const end = (status: number, more: Record<string, string>) => {
    if (bytes === null) closeSync(file.fd);
    response.writeHead(status, { ...headers, ...more }).end();
  };

  if (manner.status !== 200) return send(request, response, { file, bytes }, manner.status, headers, 0, size - 1);
  const known = { ...headers, etag, "last-modified": modified.toUTCString(), "accept-ranges": "bytes" };
  if (isUnchanged(request.headers, etag, modified)) {
    delete headers["content-type"];
    delete headers["content-encoding"];
    return end(304, { etag, "last-modified": modified.toUTCString() });
  }
  const range = rangeOf(request.headers, size, etag, modified);
  if (range === "none") return end(416, { "content-range": `bytes */${size}`, "content-length": "0" });
  if (range === "whole") return send(request, response, { file, bytes }, 200, known, 0, size - 1);
  const part = { ...known, "content-range": `bytes ${range.first}-${range.last}/${size}` };
  send(request, response, { file, bytes }, 206, part, range.first, range.last);
}

/** Sends bytes `first` to `last`; only a few chunks of a large file are in memory. */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  { file, bytes }: { file: OpenFile; bytes: Buffer | null },
  status: number,
  headers: Record<string, string>,
  first: number,
  last: number,
): void {
  response.writeHead(status, { ...headers, "content-length": String(last - first + 1) });
  if (bytes !== null) {
    response.end(request.method === "HEAD" ? undefined : bytes.subarray(first, last + 1));
    return;
  }
  if (request.method === "HEAD" || response.destroyed) {
    closeSync(file.fd);
    response.end();
    return;
  }
  const stream = createReadStream("", { fd: file.fd, start: first, end: last, highWaterMark: CHUNK });
  // A file that shrinks or fails meanwhile cannot be sent completely, and the client must notice that.
  stream.on("error", () => response.destroy());
  for (const end of ["close", "error"] as const) response.on(end, () => stream.destroy());
  stream.pipe(response);
}
