// The parts of HTTP that a client may ask for: a compressed copy, a range, or nothing when it has the file already.
import type { IncomingHttpHeaders } from "node:http";

/** A compressed copy beside a file, best first. */
export const ENCODINGS = [
  { name: "br", suffix: ".br" },
  { name: "gzip", suffix: ".gz" },
] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** The encodings that a client accepts, from its Accept-Encoding; a quality of 0 refuses. */
export function accepted(header: string | undefined): Encoding[] {
  const qualities = new Map<string, number>();
  for (const item of (header ?? "").split(",")) {
    const [name = "", ...parameters] = item
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    const quality = parameters.map((text) => /^q=([01](?:\.\d{0,3})?)$/.exec(text)?.[1]).find(Boolean);
    if (name !== "") qualities.set(name, Number(quality ?? 1));
  }
  const quality = (name: string) => qualities.get(name) ?? qualities.get("*") ?? 0;
  return ENCODINGS.filter(({ name }) => quality(name) > 0).sort((a, b) => quality(b.name) - quality(a.name));
}

/** Whether the client's copy is current: by If-None-Match, or without that by If-Modified-Since. */
export function isUnchanged(headers: IncomingHttpHeaders, etag: string, modified: Date): boolean {
  const tags = headers["if-none-match"];
  if (tags !== undefined) {
    const bare = (tag: string) => tag.trim().replace(/^W\//, "");
    return tags.trim() === "*" || tags.split(",").some((tag) => bare(tag) === bare(etag));
  }
  const since = Date.parse(headers["if-modified-since"] ?? "");
  return Math.floor(modified.getTime() / 1000) * 1000 <= since;
}

/** First and last byte; "whole": no (or an unknown) range; "none": unsatisfiable range. */
export type Range = { first: number; last: number } | "whole" | "none";

/** The part of a file of `size` bytes that a client asks for. If-Range must match the current file. */
export function rangeOf(headers: IncomingHttpHeaders, size: number, etag: string, modified: Date): Range {
  const [, from = "", to = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.range?.trim() ?? "") ?? [];
  if (from === "" && to === "") return "whole";
  const same = headers["if-range"];
  if (typeof same === "string" && same !== etag && same !== modified.toUTCString()) return "whole";
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "none" : { first: size - length, last: size - 1 };
  }
  const [first, last] = [Number(from), to === "" ? size - 1 : Math.min(Number(to), size - 1)];
  if (to !== "" && Number(to) < first) return "whole";
  return first >= size ? "none" : { first, last };
}

/** Whether a person's browser requests a page, which the app's router may answer. */
export function isNavigation(headers: IncomingHttpHeaders, lastPart: string): boolean {
  const mode = headers["sec-fetch-mode"];
  if (mode !== undefined && mode !== "navigate") return false;
  const accept = headers.accept ?? "*/*";
  if (!/text\/html|\*\/\*/.test(accept)) return false;
  return mode === "navigate" ? !/\.(?!html?$)[A-Za-z0-9]{1,8}$/.test(lastPart) : !lastPart.includes(".");
}
