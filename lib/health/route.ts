// The health path in an app's own code: found by the names of routes and the ways to write them.
import { posix } from "node:path";
import { DpError } from "../errors.ts";
import type { Tree } from "../git/tree.ts";

/** A path that the code answers, and the file that shows it. */
export interface Route {
  path: string;
  file: string;
}

// In order of preference: routes made for this purpose first.
const WORDS = ["health", "healthz", "_health", "healthcheck", "health-check", "livez", "readyz", "up", "ping"];
const NAME = WORDS.toSorted((a, b) => b.length - a.length).join("|");

const CODE = /\.(?:py|[cm]?[jt]s|[jt]sx|rb|go|php|java|kt|rs|ex|cs)$/;
const NOT_SERVED = /(?:^|\/)(?:tests?|__tests__|specs?|e2e|migrations|vendor|dist|build|docs?|examples?)\/|\.min\.js$/;
const OF_TESTS = /(?:\.(?:test|spec|d)\.[cm]?[jt]sx?|(?:^|\/)(?:test_[^/]*|[^/]*_test)\.(?:py|go))$/;
/** The most files that are opened, outer ones first. */
const MOST_FILES = 100;

/** Frameworks whose routes are files. */
const FILES = [
  new RegExp(`^(?:src/)?app/((?:[^/]+/)*(?:${NAME}))/route\\.[jt]sx?$`),
  new RegExp(`^(?:src/)?pages/((?:[^/]+/)*(?:${NAME}))\\.[jt]s$`),
  new RegExp(`^src/routes/((?:[^/]+/)*(?:${NAME}))/\\+server\\.[jt]s$`),
  new RegExp(`^server/routes/((?:[^/]+/)*(?:${NAME}))(?:\\.get)?\\.[jt]s$`),
  new RegExp(`^server/(api/(?:[^/]+/)*(?:${NAME}))(?:\\.get)?\\.[jt]s$`),
];

// A complete text in quotes. Django's paths have no leading slash.
const QUOTED = new RegExp(`(["'\`])(/(?:api/(?:v\\d+/)?)?(?:${NAME})/?)\\1`);
const DJANGO = new RegExp(`\\b(?:path|url)\\(\\s*(["'])((?:${NAME})/?)\\1`);
// Requests to other servers, comments, and assertions are no routes.
const NO_ROUTE =
  /^\s*(?:#|\/\/|\*|\/\*)|\b(?:fetch|urlopen|curl|expect|assert)\b|\b(?:axios|requests|httpx|client)\s*[.(]/;

/** The path of the health check in the app's own code; null: none was found. */
export async function healthRoute(tree: Tree): Promise<Route | null> {
  const files = (await tree.list()).filter(({ kind }) => kind === "file" || kind === "executable");
  const served = files
    .map(({ path }) => path)
    .filter((path) => CODE.test(path) && !NOT_SERVED.test(path) && !OF_TESTS.test(path))
    .sort((a, b) => a.split("/").length - b.split("/").length || (a < b ? -1 : 1));
  const found = served.flatMap(fileRoute);
  for (const file of served.slice(0, MOST_FILES)) found.push(...routesIn(await textOf(tree, file), file));
  const ranks = found.map(({ path }) => WORDS.indexOf(posix.basename(path)));
  return found[ranks.indexOf(Math.min(...ranks))] ?? null;
}

// A folder in brackets, (shop), is not part of the address; a parameter, [id], makes no fixed address.
function fileRoute(file: string): Route[] {
  const inner = FILES.map((pattern) => pattern.exec(file)?.[1]).find(Boolean);
  if (inner === undefined || inner.includes("[")) return [];
  const parts = inner.split("/").filter((part) => !/^\(.*\)$/.test(part));
  return [{ path: `/${parts.join("/")}`, file }];
}

function routesIn(text: string, file: string): Route[] {
  const found: Route[] = [];
  for (const line of text.split("\n")) {
    if (line.length > 500 || NO_ROUTE.test(line)) continue;
    const django = file.endsWith(".py") ? DJANGO.exec(line)?.[2] : undefined;
    const path = django === undefined ? QUOTED.exec(line)?.[2] : `/${django}`;
    if (path !== undefined) found.push({ path, file });
  }
  return found;
}

/** The text of a file; empty for one that is too large or not text. */
async function textOf(tree: Tree, file: string): Promise<string> {
  try {
    return (await tree.read(file)) ?? "";
  } catch (error) {
    if (error instanceof DpError) return "";
    throw error;
  }
}
