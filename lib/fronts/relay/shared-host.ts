// The paths of a name that several apps share: whose a request is, and the request without the app's prefix.
import type { Named, Site } from "./domains.ts";

/** A path that two servers could read in two ways, so that nobody knows whose it is. */
export const UNCLEAR = "unclear";

/** The place of a request's target, longest path first; null: nobody has this path. */
export function placeOf({ places }: Site, target: string): Named | null | typeof UNCLEAR {
  const segments = segmentsOf(target);
  // Who removes such segments leads the request elsewhere, and clients do that before they send it.
  if (segments.some((segment) => segment === "." || segment === "..")) return UNCLEAR;
  const found = places.find(({ path = "" }) => isBelow(segments, path)) ?? null;
  // "//x" would be another server for an app that redirects to its own path.
  if (found?.stripPrefix && pathOf(target, found.path!).startsWith("//")) return UNCLEAR;
  return found;
}

/** The path apart at its slashes; letters, digits and `-._~` that somebody has encoded stand for themselves. */
function segmentsOf(target: string): string[] {
  const [path = ""] = target.split("?", 1);
  const plain = path.replace(/%([0-9a-f]{2})/gi, (code, hex: string) => {
    const letter = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9._~-]/.test(letter) ? letter : code;
  });
  return plain.split("/");
}

/** Whether the first segments are those of the path, each as a whole: /apix is not below /api. */
const isBelow = (segments: readonly string[], path: string): boolean =>
  path === "" || path.split("/").every((part, at) => segments[at] === part);

/** The target behind a prefix, as it was sent: "/x?y" of "/api/x?y". */
function pathOf(target: string, prefix: string): string {
  const [path = ""] = target.split("?", 1);
  // Counted in segments: an encoded letter makes the prefix longer.
  const rest = path.split("/").slice(prefix.split("/").length);
  return `/${rest.join("/")}${target.slice(path.length)}`;
}

const PREFIX = /\r\nX-Forwarded-Prefix:[ \t]*([^\r]*)(?=\r\n)/gi;

/** The head of a request, complete, as the app gets it without its prefix, which X-Forwarded-Prefix names. */
export function withoutPrefix(head: Buffer, prefix: string): Buffer {
  const text = head.toString("latin1");
  const [, method = "", target = "", rest = ""] = /^(\S+) (\S+) ([\s\S]*)$/.exec(text) ?? [];
  // A trusted proxy that has taken away a prefix of its own.
  const before = [...rest.matchAll(PREFIX)].map(([, value]) => value).join("");
  const line = `X-Forwarded-Prefix: ${before}${prefix}\r\n`;
  return Buffer.from(
    `${method} ${pathOf(target, prefix)} ${rest.replace(PREFIX, "").slice(0, -2)}${line}\r\n`,
    "latin1",
  );
}
