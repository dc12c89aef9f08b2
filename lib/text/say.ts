// The gate to stdout and stderr: every line that dp shows goes through it, so that no text of others acts on a terminal.
import { isatty } from "node:tty";
import { jsonText, shown } from "./text.ts";

/** One line of an answer, on stdout. */
export const print = (line: string): void => console.log(shown(line));
/** One line that is no answer, on stderr. */
export const say = (line: string): void => console.error(shown(line));
/** The same behind a `mark` of dp's own, which may be coloured. */
export const sayAfter = (mark: string, line: string): void => console.error(`${mark} ${shown(line)}`);
/** A value as JSON, on stdout: one line, or indented. */
export const printJson = (value: unknown, indent?: number): void => console.log(jsonText(value, indent));
/** A text that a program may want to the byte, on stdout; a terminal gets it as a line like any other. */
export const printExact = (text: string): void => console.log(isatty(1) ? shown(text) : text);
