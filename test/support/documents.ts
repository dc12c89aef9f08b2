// The README and the pages of docs/, as tests read them: texts, fenced blocks and tables.
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { project } from "./sandbox.ts";

/** The pages of docs/, by their path in the project. */
export const pages = [...new Bun.Glob("docs/*.md").scanSync({ cwd: project })].sort();

/** The text of each document, by its path: the README first, then the pages. */
export const documents = new Map(
  ["README.md", ...pages].map((path) => [path, readFileSync(join(project, path), "utf8")]),
);

const text = [...documents.values()].join("\n");

/** The whole text of one document. */
export const pageOf = (path: string): string => documents.get(path)!;

/** The fenced blocks of a language in all documents, in order; "" is a block without one. */
export const blocks = (language: string): string[] =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].filter(([, it]) => it === language).map(([, , block]) => block!);

/** The first fenced block, of whatever language, that has all these texts in it. */
export const blockWith = (...texts: string[]): string =>
  [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)]
    .map(([, block]) => block!)
    .find((block) => texts.every((it) => block.includes(it)))!;

/** The rows of the one table whose head begins so: cell texts, without the marks of code. */
export function table(head: string): string[][] {
  const places = text.split(`| ${head} |`);
  if (places.length !== 2) throw new Error(`${places.length - 1} tables begin with ${head}`);
  const lines = places[1]!.split("\n").slice(2);
  const rows = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith("|")),
  );
  return rows.map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.replaceAll("`", "").trim()),
  );
}

/** The text without its fenced blocks, where nothing is a heading or a link. */
const prose = (page: string): string => page.replaceAll(/^```[\s\S]*?^```/gm, "");

/** The anchors that a page has: one for each heading, made as GitHub makes them. */
export function anchors(page: string): string[] {
  const headings = [...prose(page).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading]) => heading!);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Where the links of a page lead, those to other sites left out: a path in the project, and an anchor or "". */
export function links(path: string, page: string): { path: string; anchor: string; link: string }[] {
  const found = [...prose(page).matchAll(/\]\(([^)\s]*)\)/g)].map(([, link]) => link!);
  return found
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [file, anchor = ""] = link.split("#");
      return { path: file ? normalize(join(dirname(path), file)) : path, anchor, link };
    });
}
