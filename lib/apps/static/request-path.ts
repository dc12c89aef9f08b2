// The path of a request as the path of a file: one spelling, no tricks, nothing hidden.

/** "bad": it cannot be decoded; "hidden": no served file can have that name. */
export type RequestPath = { parts: string[]; isFolder: boolean; query: string } | "bad" | "hidden";

const LONGEST = 2048;
const WELL_KNOWN = ".well-known";

/** Reads the target of a request: `/docs/a%20b?x=1`, or the same with a scheme and host before it. */
export function requestPath(target: string): RequestPath {
  const [, path = "", query = ""] = /^(?:https?:\/\/[^/?#]*)?(\/[^?#]*)?(\?[^#]*)?/i.exec(target) ?? [];
  if (!path.startsWith("/") || path.length > LONGEST) return "bad";
  // No file name contains an encoded separator.
  if (/%2f|%5c|%00|\\/i.test(path)) return "hidden";
  const decoded = decode(path);
  if (decoded === null || /[\x00-\x1f\x7f\\]/.test(decoded)) return "bad";
  const isFolder = decoded.endsWith("/");
  const parts = decoded.split("/").slice(1, isFolder ? -1 : undefined);
  // "//host" would make a redirect lead to another server.
  if (parts.some((part) => part === "")) return "hidden";
  const isHidden = (part: string, index: number) => part.startsWith(".") && !(index === 0 && part === WELL_KNOWN);
  return parts.some(isHidden) ? "hidden" : { parts, isFolder, query };
}

function decode(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}
