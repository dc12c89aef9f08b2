// The only way to stdout and stderr: every line that dp prints passes through here, so that foreign text cannot control
// the terminal.
import { jsonText, shown } from "./text.ts";

/** Prints one line of a result on stdout. */
export const print = (line: string): void => console.log(shown(line));
/** Prints lines of a result on stdout, in one write: an answer about all apps has thousands. */
export const printAll = (lines: readonly string[]): void => {
  if (lines.length > 0) console.log(lines.map(shown).join("\n"));
};
/** Prints one line that is not part of the result on stderr. */
export const say = (line: string): void => console.error(shown(line));
/** The same after a `mark` by dp, which may be coloured. */
export const sayAfter = (mark: string, line: string): void => console.error(`${mark} ${shown(line)}`);
/** Prints a value as JSON on stdout: in one line, or indented. */
export const printJson = (value: unknown, indent?: number): void => console.log(jsonText(value, indent));
// Loaded only when it is needed: it pulls in all of node:net, which costs a tenth of dp's start-up time.
const tty = () => require("node:tty") as typeof import("node:tty");

/** Prints a text byte for byte on stdout, for programs; on a terminal, as an ordinary line. */
export const printExact = (text: string): void => console.log(tty().isatty(1) ? shown(text) : text);
