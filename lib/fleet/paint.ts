// Lines of a fleet on stdout: coloured at a terminal, plain elsewhere.
import { isatty } from "node:tty";
import pc from "picocolors";
import { show } from "../host/process/terminal.ts";
import { print } from "../text/say.ts";
import { shown } from "../text/text.ts";
import type { Line, Tone } from "./table.ts";

const COLOURS: Record<Tone, (text: string) => string> = {
  bad: pc.red,
  go: pc.blue,
  warn: pc.yellow,
  soft: pc.dim,
  strong: pc.bold,
};

// What comes from elsewhere loses its escape sequences first.
const painted = (line: Line) =>
  line.map(({ text, tone }) => (tone ? COLOURS[tone](shown(text)) : shown(text))).join("");

export const plain = (line: Line) =>
  line
    .map(({ text }) => text)
    .join("")
    .trimEnd();

/** Prints the lines. */
export function printLines(lines: readonly Line[]): void {
  if (isatty(1)) show(Buffer.from(lines.map((line) => `${painted(line)}\n`).join("")), 1);
  else lines.forEach((line) => print(plain(line)));
}

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

/** A screen of its own that is drawn again and again, until it is left. */
export function openScreen() {
  show(Buffer.from(ENTER), 1);
  return {
    draw(lines: readonly Line[]): void {
      const rows = process.stdout.rows || 24;
      const some = lines.slice(0, rows - 1).map((line) => `${painted(line)}\x1b[K`);
      const left = lines.length - some.length;
      const last = left > 0 ? pc.dim(`and ${left} more lines; q leaves`) : pc.dim("q leaves");
      // Drawn over: clearing first would flicker.
      show(Buffer.from(`\x1b[H${some.join("\r\n")}\x1b[J\x1b[${rows};1H${last}\x1b[K`), 1);
    },
    leave: () => show(Buffer.from(LEAVE), 1),
  };
}
