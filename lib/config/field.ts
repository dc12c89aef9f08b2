// The kinds of values in deploy.yml and config.yml, each with its error message.
import * as v from "valibot";
import { DURATION, durationText, milliseconds } from "./duration.ts";
import { bytesOf, SIZE } from "./size.ts";
import { closest } from "../text/suggestion.ts";
import { quoted } from "../text/text.ts";

interface Wrong {
  readonly input: unknown;
}

/** The message for a wrong value: `must be …, not …`. */
export function must(be: string): (issue: Wrong) => string {
  return ({ input }) =>
    input === null ? "empty, give it a value or remove the line" : `must be ${be}, not ${shown(input)}`;
}

function shown(input: unknown): string {
  if (typeof input === "string") return quoted(input);
  if (Array.isArray(input)) return "a list";
  return typeof input === "object" ? "a mapping" : `the ${typeof input} ${input}`;
}

/** A mapping with exactly these keys; the message for a missing one shows an example of its value. */
export function mapping<E extends v.ObjectEntries>(entries: E) {
  return v.strictObject(entries, (issue) => {
    const key = String(issue.path?.[0]?.key ?? "");
    const entry = entries[key];
    if (!entry || issue.received !== "undefined") return must("a mapping of keys to values")(issue);
    const [example = "VALUE"] = v.getExamples(entry as v.GenericSchema);
    return `missing, add "${key}: ${example}"`;
  });
}

/** A text that matches a pattern; `be` ends the sentence "must be …". */
export function text(pattern: RegExp, be: string) {
  const message = must(be);
  return v.pipe(v.string(message), v.regex(pattern, message));
}

/** A plain decimal whole number within bounds. */
export function whole(least: number, most: number) {
  const wrong = must(`a whole number from ${least} to ${most}`);
  const message = (issue: Wrong) =>
    typeof issue.input === "string" && /^[1-9][0-9]*$/.test(issue.input)
      ? "must be a number, remove the quotes"
      : wrong(issue);
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message));
}

/** A boolean: true or false. */
export const claim = () => v.boolean(must("true or false"));

/** One of a few words; a mistyped one gets a suggestion. */
export function oneOf<const T extends readonly string[]>(words: T) {
  return v.picklist(words, (issue) => {
    const near = typeof issue.input === "string" ? closest(issue.input, words) : null;
    const hint = near === null ? "" : `, did you mean "${near}"?`;
    return must(words.length === 1 ? words[0]! : `one of ${words.join(", ")}`)(issue) + hint;
  });
}

/** A duration such as "5s" within bounds; milliseconds once parsed. */
export function duration(least: string, most: string, description: string) {
  const lower = milliseconds(least)!;
  const upper = milliseconds(most)!;
  const wrong = must("a duration such as 500ms, 5s, 2m or 1h");
  const unit = (issue: Wrong) =>
    typeof issue.input === "number" ? `needs a unit, write "${issue.input}s"` : wrong(issue);
  const bounds = (issue: Wrong) => `must be from ${least} to ${most}, not ${durationText(Number(issue.input))}`;
  return v.pipe(
    v.string(unit),
    v.regex(DURATION, unit),
    v.description(description),
    v.transform((value) => milliseconds(value)!),
    v.minValue(lower, bounds),
    v.maxValue(upper, bounds),
  );
}

/** A size such as "100m"; bytes once parsed. */
export function size(description: string) {
  const wrong = must("a size such as 500k, 100m or 2g");
  const unit = (issue: Wrong) =>
    typeof issue.input === "number" ? `needs a unit, write "${issue.input}m"` : wrong(issue);
  return v.pipe(
    v.string(unit),
    v.regex(SIZE, unit),
    v.description(description),
    v.transform((value) => bytesOf(value)!),
  );
}

/** One shell line: not empty, no control characters, at most 4096 characters. */
export function shellLine() {
  const be = must("a command on one line");
  const message = (issue: Wrong) =>
    typeof issue.input === "string" && issue.input.includes("\n")
      ? "must be one line: put more into a script in the repository"
      : be(issue);
  return v.pipe(
    v.string(message),
    v.regex(/^(?=.*\S)[^\x00-\x1f\x7f-\x9f]*$/, message),
    v.maxLength(4096, "is longer than 4096 characters: put it into a script in the repository"),
    v.check((line) => line.isWellFormed(), "contains half a character"),
  );
}
