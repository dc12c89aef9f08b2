// The answer of a site: a file, a redirect to a folder, an old asset, the page of a router, or not found.
import type { IncomingMessage, ServerResponse } from "node:http";
import { closeSync } from "node:fs";
import { basename } from "node:path";
import { fileBeneath } from "./beneath.ts";
import { answerFile, type Found } from "./file-answer.ts";
import { mayBeHashed } from "./hashed.ts";
import { isNavigation } from "./negotiation.ts";
import { requestPath } from "./request-path.ts";
import type { Site } from "./site.ts";

/** A site whose folders are open. */
export interface OpenSite {
  site: Site;
  /** The served folder. */
  folder: number;
  /** The folders of earlier releases; `until` in ms since 1970. */
  older: { folder: number; id: string; until: number }[];
  /** The headers that deploy.yml adds for a path. */
  rules(path: string): Record<string, string>;
  /** Whether the build made the file of that name, rather than a person. */
  isMade(name: string): boolean;
}

const METHODS = "GET, HEAD, OPTIONS";

function plain(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  const body = `${text}\n`;
  const type = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache" };
  const length = { "content-length": String(Buffer.byteLength(body)), "x-content-type-options": "nosniff" };
  response.writeHead(status, { ...type, ...length, ...headers });
  // node:http leaves out the body in an answer to HEAD.
  response.end(body);
}

/** Answers one request. */
export function answer(open: OpenSite, request: IncomingMessage, response: ServerResponse): void {
  if (request.method === "OPTIONS") {
    response.writeHead(204, { allow: METHODS }).end();
    return;
  }
  if (request.method !== "GET" && request.method !== "HEAD")
    return plain(response, 405, "405 Method Not Allowed", { allow: METHODS });
  const wanted = requestPath(request.url ?? "");
  if (wanted === "bad") return plain(response, 400, "400 Bad Request");
  if (wanted === "hidden" || isRecipe(open.site, wanted.parts)) return notFound(open, request, response, "/");
  const path = `/${wanted.parts.join("/")}${wanted.isFolder && wanted.parts.length > 0 ? "/" : ""}`;
  const name = wanted.parts.join("/");
  const headers = () => open.rules(path);
  const found = page(open, name, wanted.isFolder);
  if (found === "folder") {
    const to = `${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}/${wanted.query}`;
    return plain(response, 301, "301 Moved Permanently", { ...headers(), location: to });
  }
  if (found !== null) return answerFile(request, response, found, { status: 200, headers: headers() });
  const old = wanted.isFolder ? null : oldAsset(open, name);
  if (old) return answerFile(request, response, old, { status: 200, headers: headers() });
  const routed = open.site.options.spa && isNavigation(request.headers, wanted.parts.at(-1) ?? "");
  const router = routed ? fileOf(open, "index.html") : null;
  if (router) return answerFile(request, response, router, { status: 200, headers: headers() });
  notFound(open, request, response, path);
}

// With `root: .` deploy.yml lies among the served files, but must not be served.
const isRecipe = ({ root }: Site, parts: readonly string[]) => root === "." && parts.join("/") === "deploy.yml";

const join = (folder: string, name: string) => (folder === "" ? name : `${folder}/${name}`);

/**
 * The file for a path: itself, `about.html` for `about`, the index of a folder; "folder": a folder that has an index.
 */
function page(open: OpenSite, name: string, isFolder: boolean): Found | "folder" | null {
  if (isFolder) return fileOf(open, join(name, "index.html"));
  const found = fileOf(open, name) ?? fileOf(open, `${name}.html`);
  return found ?? (hasIndex(open, name) ? "folder" : null);
}

function hasIndex(open: OpenSite, folder: string): boolean {
  const found = fileBeneath(open.folder, join(folder, "index.html"));
  if (found === null || found === "folder") return false;
  closeSync(found.fd);
  return true;
}

function fileOf(open: OpenSite, path: string): Found | null {
  const found = fileBeneath(open.folder, path);
  if (found === null || found === "folder") return null;
  return { ...found, path, folder: open.folder, id: open.site.id, isMade: open.isMade(basename(path)) };
}

/** A page of the previous release may still request its assets. Only assets: never an old page. */
function oldAsset({ older }: OpenSite, path: string): Found | null {
  if (!mayBeHashed(path.split("/").at(-1)!)) return null;
  for (const { folder, id, until } of older) {
    if (until < Date.now()) continue;
    const found = fileBeneath(folder, path);
    if (found !== null && found !== "folder") return { ...found, path, folder, id, isMade: false };
  }
  return null;
}

function notFound(open: OpenSite, request: IncomingMessage, response: ServerResponse, path: string): void {
  // A missing file may exist tomorrow, so it is not cached, whatever deploy.yml says about its path.
  const headers = { ...open.rules(path), "cache-control": "no-cache" };
  const page = open.site.options.notFound === undefined ? null : fileOf(open, open.site.options.notFound);
  if (page) answerFile(request, response, page, { status: 404, headers });
  else plain(response, 404, "404 Not Found", headers);
}
