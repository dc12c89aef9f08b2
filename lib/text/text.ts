// Makes foreign text safe to print: text of an app, a commit or a file never moves the cursor or hides a word.

// The classes exclude ESC, so that an unfinished sequence never causes a second scan of the line.
const ESCAPES = [
  /(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)/g, // OSC: titles, links
  /(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x1b\\|\x9c)/g, // DCS, SOS, PM, APC
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]/g, // CSI: colours, cursor
  /\x1b[ -/]*[0-~]/g, // the short sequences
];
// Characters that end a line anywhere: on a terminal, in a browser, or in Unicode.
const LINE_END = /\r\n|[\n\v\f\r\x85\u2028\u2029]/g;
// Control characters, invisible characters, changes of the reading direction, and lone surrogates. Tabs may stay, and so
// may the selectors of emoji variants.
const HIDDEN = /[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]--[\t\ufe0e\ufe0f]]/gv;

const isPlain = (text: string) => !/[^\x20-\x7e\t]/.test(text);

/** A text as one line for people: without escape sequences and hidden characters, and with a space for each line end. */
export function shown(text: string): string {
  if (isPlain(text)) return text;
  return ESCAPES.reduce((rest, escape) => rest.replace(escape, ""), text)
    .replace(LINE_END, " ")
    .replace(HIDDEN, "");
}

/** The same for a line drawn by a program: text that was overwritten after a carriage return is left out. */
export function plainText(line: string): string {
  return shown(line.split("\r").findLast((part) => part !== "") ?? "");
}

/** A foreign word in double quotes, cut to `limit` characters, with unprintable characters as \u{…}. */
export function quoted(text: string, limit = 60): string {
  const short = text.length > limit ? `${text.slice(0, limit)}…` : text;
  const escaped = JSON.stringify(short).slice(1, -1);
  return `"${escaped.replace(HIDDEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)}"`;
}

/** JSON that is safe to print: characters that JSON leaves alone but a terminal obeys or hides are escaped as well. */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? "null";
  if (!/[^\x20-\x7e\n]/.test(text)) return text;
  const unit = (half: string) => `\\u${half.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return text.replace(HIDDEN, (character) => (character === "\n" ? "\n" : character.split("").map(unit).join("")));
}
