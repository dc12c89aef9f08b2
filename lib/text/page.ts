// Shows a page of the documentation in a terminal: wrapped, without Markdown syntax.

/** The kind of a part of a page; list items and paragraphs are both text, with their indentation. */
type Part =
  | { kind: "code" | "table"; lines: string[] }
  | { kind: "heading"; rank: number; text: string }
  | { kind: "text"; mark: string; text: string };

const FENCE = /^```/;
const ITEM = /^(\s*(?:-|\d+\.) )(.*)$/;

/**
 * The lines of a page, at most `width` characters wide except in blocks and table heads. `linked` returns the text for a
 * link.
 */
export function pageLines(markdown: string, width: number, linked: (target: string) => string | null): string[] {
  const plain = (text: string) => withoutMarks(text, linked);
  return partsOf(markdown).flatMap((part) => {
    switch (part.kind) {
      case "code":
        return [...part.lines.map((line) => `    ${line}`.trimEnd()), ""];
      case "heading":
        return [...underlined(plain(part.text), part.rank), ""];
      case "table":
        return [
          ...tableLines(
            part.lines.map((line) => cellsOf(line).map(plain)),
            width,
          ),
          "",
        ];
      case "text":
        return [...wrapped(plain(part.text), width, part.mark), ""];
    }
  });
}

function partsOf(markdown: string): Part[] {
  const parts: Part[] = [];
  const lines = markdown.replaceAll(/^<!--.*-->$/gm, "").split("\n");
  while (lines.length > 0) {
    const line = lines.shift()!;
    const [, mark, first] = ITEM.exec(line) ?? [];
    if (FENCE.test(line)) {
      parts.push({ kind: "code", lines: taken(lines, (it) => !FENCE.test(it)) });
      lines.shift();
    } else if (line.startsWith("#"))
      parts.push({ kind: "heading", rank: line.indexOf(" "), text: line.replace(/^#+ /, "") });
    else if (line.startsWith("|"))
      parts.push({ kind: "table", lines: [line, ...taken(lines, (it) => it.startsWith("|"))] });
    else if (line.trim() !== "") {
      const rest = taken(lines, (it) => it.trim() !== "" && !/^(#|\||```)/.test(it) && !ITEM.test(it));
      parts.push({ kind: "text", mark: mark ?? "", text: [first ?? line, ...rest].join(" ") });
    }
  }
  return parts;
}

/** Takes lines from the front as long as `belongs` is true. */
function taken(lines: string[], belongs: (line: string) => boolean): string[] {
  const end = lines.findIndex((line) => !belongs(line));
  return lines.splice(0, end < 0 ? lines.length : end);
}

const underlined = (heading: string, rank: number) => [heading, (rank === 1 ? "=" : "-").repeat(heading.length)];

const cellsOf = (row: string) =>
  row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

/** Each row as its first cell, with the second cell below it and the others labelled with their column names. */
function tableLines([head = [], , ...rows]: string[][], width: number): string[] {
  return rows.flatMap(([first = "", second = "", ...others]) => {
    const more = others.map((cell, at) => `${head[at + 2]}: ${cell}`);
    return [...wrapped(first, width, "  "), ...wrapped([second, ...more].join("; "), width, "      ")];
  });
}

function withoutMarks(text: string, linked: (target: string) => string | null): string {
  const links = /\[([^\]]*)\]\(([^)]*)\)/g;
  return text.replaceAll(/\*\*([^*`]+)\*\*/g, "$1").replaceAll(links, (_, words: string, target: string) => {
    const shown = linked(target);
    return shown === null ? words : `${words} (${shown})`;
  });
}

function wrapped(text: string, width: number, mark: string): string[] {
  const lines = [mark];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1)!;
    if (last.trim() === mark.trim()) lines[lines.length - 1] = `${last}${last.length > mark.length ? " " : ""}${word}`;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(" ".repeat(mark.length) + word);
  }
  return lines;
}
