// `dp help TOPIC`: the pages of docs/, found by name or by one of the words that each page lists.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { treeOfDp } from "../host/self.ts";
import { pageLines } from "../text/page.ts";
import { table } from "../text/table.ts";

/** A page of docs/. */
export interface Page {
  /** The name of its file, `shared-files`: the first word that leads to it. */
  name: string;
  title: string;
  /** All words that lead to it, its name first. */
  words: string[];
  text: string;
}

const WORDS = /^<!-- dp help: (.*) -->$/m;

/** All pages by name; none where dp was installed without them. */
export function pages(): Page[] {
  const folder = join(treeOfDp, "docs");
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".md")) : [];
  return files.sort().map((file) => {
    const text = readFileSync(join(folder, file), "utf8");
    const [name, words = ""] = [file.slice(0, -".md".length), WORDS.exec(text)?.[1]];
    const title = text.slice("# ".length, text.indexOf("\n"));
    return { name, title, words: [name, ...words.split(", ").filter(Boolean)], text };
  });
}

/** The page that a word leads to. */
export const pageOf = (word: string): Page | undefined =>
  pages().find(({ words }) => words.includes(word.toLowerCase()));

/** A page for a terminal with this many columns. */
export const linesOf = ({ text }: Page, columns: number): string[] =>
  pageLines(text, Math.min(columns, 100), shownLink);

// A link to another page is shown as the command that prints it, an external link as its address.
function shownLink(target: string): string | null {
  const page = /^([\w-]+)\.md(#.*)?$/.exec(target)?.[1];
  if (page !== undefined) return `dp help ${page}`;
  return /^https?:/.test(target) ? target : null;
}

/** Every page with the word for it. */
export const topicLines = (): string[] =>
  table(
    ["TOPIC", "PAGE"],
    pages().map(({ name, title }) => [name, title]),
  );
