// Error messages for invalid YAML that say what to write: the parser's own messages speak of its grammar.
import { plainText } from "../text/text.ts";

/** The parser's code, part of its message, and our message; the first match counts. */
const WORDS: readonly [code: string, part: string, words: string][] = [
  ["TAB_AS_INDENT", "", "indent with spaces, not with a tab"],
  ["MULTIPLE_DOCS", "", 'only one document is read, remove what follows the line "---"'],
  ["RESOURCE_EXHAUSTION", "", "nested too deeply"],
  ["MISSING_CHAR", 'closing "quote', 'a text above begins with " and has to end with one'],
  [
    "MISSING_CHAR",
    "closing 'quote",
    "a text above begins with ' and has to end with one; inside of it ' is written ''",
  ],
  [
    "MISSING_CHAR",
    "followed by map values",
    'write "key: value"; a line that goes on with a text needs a deeper indent',
  ],
  ["MISSING_CHAR", "Comments must be separated", "a space is missing before the #"],
  ["BAD_INDENT", "Flow sequence", 'the "[" before this is not closed, "]" is missing'],
  ["BAD_INDENT", "Flow map", 'the "{" before this is not closed, "}" is missing'],
  ["BAD_INDENT", "", "the keys of one mapping need the same indent"],
  [
    "BLOCK_AS_IMPLICIT_KEY",
    "",
    'a value with ": " in it needs quotes around it, and lines of one mapping the same indent',
  ],
  ["MULTILINE_IMPLICIT_KEY", "", 'a list ("- ") belongs below a key that has no value, and a key on one line'],
  ["UNEXPECTED_TOKEN", "block-seq-ind on same line", 'a list begins on the next line: write "- " below the key'],
  ["UNEXPECTED_TOKEN", "at node end", "something follows the end of the value: quotes go around the whole of it"],
  [
    "UNEXPECTED_TOKEN",
    "-end token",
    'a closing "]" or "}" too many; a text that begins with one needs quotes around it',
  ],
  ["UNEXPECTED_TOKEN", "Unexpected , in flow", "a comma too many"],
  ["UNEXPECTED_TOKEN", "Block scalar header", 'after "|" or ">" the text begins on the next line'],
  ["BAD_DQ_ESCAPE", "", "in \"quotes\" a \\ is written twice, in 'quotes' once"],
  ["BAD_SCALAR_START", "", "a value that begins with this character needs quotes around it"],
  ["BAD_ALIAS", "", "a value that begins with * or & needs quotes around it"],
];

/** Our message for an error of the parser; its own message where there is none. */
export function wordsOf({ code, message }: { code: string; message: string }): string {
  const found = WORDS.find(([known, part]) => known === code && message.includes(part));
  return found?.[2] ?? plainText(message);
}
