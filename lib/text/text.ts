// Strangers' text, made safe to print: what an app, a commit or a file says never moves the terminal's cursor.

// The classes exclude ESC, so that an unfinished sequence costs one look and never a second scan of the line.
const ESCAPES = [
  /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g, // OSC: titles, links
  /\x1b[PX^_][^\x07\x1b]*\x1b\\/g, // DCS, SOS, PM, APC
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]/g, // CSI: colours, cursor
  /\x1b[ -/]*[0-~]/g, // the short ones
];
// Control characters but the tab, the marks that turn the reading direction, and halves of a character.
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;

/**
 * One line of foreign output without escape sequences and control characters; tabs stay. Of a line that was
 * drawn over itself with carriage returns only the last state is left.
 */
export function plainText(line: string): string {
  const drawn = line.split("\r").findLast((part) => part !== "") ?? "";
  return ESCAPES.reduce((text, escape) => text.replace(escape, ""), drawn).replace(CONTROL, "");
}

/** A foreign word in double quotes, at most `limit` characters of it, everything unprintable as \u{…}. */
export function quoted(text: string, limit = 60): string {
  const short = text.length > limit ? `${text.slice(0, limit)}…` : text;
  const escaped = JSON.stringify(short).slice(1, -1);
  return `"${escaped.replace(CONTROL, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)}"`;
}
