// The headers of a file: type, cache time, and those of deploy.yml.
import { isHashed, looksHashed } from "./hashed.ts";
import type { Site } from "./site.ts";

const FOREVER = "public, max-age=31536000, immutable";
const ASK = "no-cache";

/** How long a client may keep a file without asking again; `isMade`: a build made it, and nobody chose its name. */
export const cacheControl = (name: string, isMade: boolean): string =>
  isHashed(name) || (isMade && looksHashed(name)) ? FOREVER : ASK;

/** The type of a file by its name, with the charset of texts. */
export function contentType(name: string): string {
  const { type } = Bun.file(name);
  return /^text\/(?!.*charset)|^image\/svg|^application\/(?:xml|.*\+(?:xml|json))$/.test(type)
    ? `${type}; charset=utf-8`
    : type.replace(";charset", "; charset");
}

/**
 * A pattern of deploy.yml, with at most two stars: `*` stays within a folder, `**` does not. It is no regular
 * expression, which would try every pair of positions for the stars on paths that anybody can send. The text between
 * the stars is searched for once.
 */
export function patternOf(glob: string): { test(path: string): boolean } {
  const parts = glob.split(/(\*+)/);
  if (parts.length === 1) return { test: (path) => path === glob };
  // One star works like two with nothing between them.
  const [head = "", star = "", middle = "", other = "", tail = ""] =
    parts.length === 3 ? [parts[0], parts[1], "", parts[1], parts[2]] : parts;
  return {
    test(path) {
      const end = path.length - tail.length;
      if (!path.startsWith(head) || !path.endsWith(tail) || end < head.length) return false;
      const slash = star === "*" ? path.indexOf("/", head.length) : -1;
      const latest = slash === -1 ? end : slash;
      const earliest = other === "*" ? path.lastIndexOf("/", end - 1) + 1 - middle.length : 0;
      const at = path.indexOf(middle, Math.max(head.length, earliest));
      return at !== -1 && at <= latest && at + middle.length <= end;
    },
  };
}

/** The headers of deploy.yml for a path; later patterns take precedence, and names ignore case. */
export function rulesOf({ options }: Pick<Site, "options">): (path: string) => Record<string, string> {
  const rules = Object.entries(options.headers).map(([glob, headers]) => ({ pattern: patternOf(glob), headers }));
  return (path) => {
    const found: Record<string, string> = {};
    for (const { pattern, headers } of rules) {
      if (!pattern.test(path)) continue;
      for (const [name, value] of Object.entries(headers)) found[name.toLowerCase()] = value;
    }
    return found;
  };
}
