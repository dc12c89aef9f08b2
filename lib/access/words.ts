// The line that somebody with a key typed, as words. No shell ever sees it: what a shell would do more than split it is
// refused, so that the words are those that a shell would give.
import { DpError } from "../errors.ts";
import { quoted } from "../text/text.ts";

const MOST = 64 * 1024;
// Outside of quotes. Letters of any language are words; a tilde counts at the beginning of a word, or behind = and :.
const PLAIN = /[A-Za-z0-9_./:=@,+%^~-]|[^\x00-\x7f]/;
const TILDE = /(?:^|[=:])$/;

/** The words of a line: blanks separate, '…' and \x keep a character as it is. Throws DpError "usage". */
export function wordsOf(line: string): string[] {
  if (Buffer.byteLength(line) > MOST) throw refused("it is longer than 64 KiB");
  if (line.includes("\0") || line.includes("\ufffd")) throw refused("it is no text");
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!;
    if (character === " " || character === "\t") {
      if (word !== null) words.push(word);
      word = null;
    } else if (character === "'") {
      const end = line.indexOf("'", at + 1);
      if (end < 0) throw refused("a quote is not closed");
      word = (word ?? "") + line.slice(at + 1, end);
      at = end;
    } else if (character === "\\") {
      const next = line[++at];
      if (next === undefined || next === "\n") throw refused("it ends in a backslash");
      word = (word ?? "") + next;
    } else {
      if (!PLAIN.test(character) || (character === "~" && TILDE.test(word ?? ""))) throw outside(character);
      word = (word ?? "") + character;
    }
  }
  return word === null ? words : [...words, word];
}

const outside = (character: string) =>
  refused(`${quoted(character)} outside of quotes means something to a shell, and there is none here`);

const refused = (why: string) =>
  new DpError("usage", `the line is refused: ${why}`, { hint: "put words with other characters in single quotes" });
