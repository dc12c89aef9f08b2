// Foreign text, made safe to show: what an app, a commit or a file says never moves the cursor or hides a word.

// The classes exclude ESC, so that an unfinished sequence costs one look and never a second scan of the line.
const ESCAPES = [
  /(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)/g, // OSC: titles, links
  /(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x1b\\|\x9c)/g, // DCS, SOS, PM, APC
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]/g, // CSI: colours, cursor
  /\x1b[ -/]*[0-~]/g, // the short ones
];
// What ends a line somewhere: on a terminal, in a browser, or in Unicode.
const LINE_END = /\r\n|[\n\v\f\r\x85\u2028\u2029]/g;
// Control characters, what nobody sees, what turns the reading direction, halves of a character. Tabs may stay, and
// the signs that choose between the forms of an emoji.
const HIDDEN = /[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]--[\t\ufe0e\ufe0f]]/gv;

const isPlain = (text: string) => !/[^\x20-\x7e\t]/.test(text);

/** A text as one line for people: without escape sequences and hidden characters, a space for each line end. */
export function shown(text: string): string {
  if (isPlain(text)) return text;
  return ESCAPES.reduce((rest, escape) => rest.replace(escape, ""), text)
    .replace(LINE_END, " ")
    .replace(HIDDEN, "");
}

/** The same for a line that a program drew: what was drawn over with carriage returns is left out. */
export function plainText(line: string): string {
  return shown(line.split("\r").findLast((part) => part !== "") ?? "");
}

/** A foreign word in double quotes, at most `limit` characters of it, everything unprintable as \u{…}. */
export function quoted(text: string, limit = 60): string {
  const short = text.length > limit ? `${text.slice(0, limit)}…` : text;
  const escaped = JSON.stringify(short).slice(1, -1);
  return `"${escaped.replace(HIDDEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)}"`;
}

/** JSON that may be looked at: what JSON leaves as it is, though a terminal obeys or hides it, is escaped as well. */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? "null";
  if (!/[^\x20-\x7e\n]/.test(text)) return text;
  const unit = (half: string) => `\\u${half.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return text.replace(HIDDEN, (character) => (character === "\n" ? "\n" : character.split("").map(unit).join("")));
}
