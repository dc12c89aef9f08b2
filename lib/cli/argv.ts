// The command line, parsed once by cac's declarations: cac's own parser turns 007 and 1e3 into numbers, and repeats
// into lists.
import type { CAC, Command } from "cac";
import type { Options, Outcome } from "./arguments.ts";
import { inDpsWords } from "./alias.ts";
import { DpError } from "../errors.ts";
import { closest } from "../text/suggestion.ts";

/** A command line as dp understands it. */
export interface Line {
  /** Undefined: none was typed. */
  command: Command | undefined;
  /** The words after the command. */
  words: string[];
  /**
   * By name, `skipHooks`: the text of those with a value (the last one counts), otherwise true; false for `--no-tty`.
   */
  options: Options;
}

type Declared = Command["options"][number];

/** One option as typed: `-n2` is `-n` with the value 2. */
interface Typed {
  flag: string;
  value: string | undefined;
}

/**
 * Parses the words after `dp`. After `--` everything is a word; everything after `dp run APP` belongs to another
 * program, including options. Throws DpError "usage" for undeclared words, unless help is requested.
 */
export function readLine(cli: CAC, typed: readonly string[]): Line {
  const left = inDpsWords(typed);
  const name = left.find((word) => !word.startsWith("-"));
  const command = cli.commands.find((candidate) => candidate.name === name);
  if (name !== undefined && command === undefined)
    return { command, words: left.slice(left.indexOf(name)), options: {} };
  // The version is an option of dp, not of a command.
  const ofAll = cli.globalCommand.options.filter((option) => !command || option.name !== "version");
  const declared = [...(command?.options ?? []), ...ofAll];
  const words: string[] = [];
  const options: Options = {};
  const problems: DpError[] = [];
  let isEnded = false;
  while (left.length > 0) {
    const word = left.shift()!;
    if (isEnded || !isOption(word)) {
      words.push(word);
      isEnded ||= command?.name === "run" && words.length === 3;
    } else if (word === "--") isEnded = true;
    else
      for (const option of optionsIn(word, declared)) {
        const problem = take(option, declared, left, options);
        if (problem) problems.push(usage(problem.message, command, problem.hint));
      }
  }
  if (options["help"] !== true && problems.length > 0) throw problems[0]!;
  return { command, words: words.slice(1), options };
}

// A single "-" is a word: stdin.
const isOption = (word: string) => word.startsWith("-") && word !== "-";

/** The spellings of an option: `-n` and `--lines`. */
const flagsOf = (option: Declared): readonly string[] => option.rawName.match(/(?<![\w-])--?[\w-]+/g) ?? [];

const declaredAs = (flag: string, declared: readonly Declared[]) =>
  declared.find((option) => flagsOf(option).includes(flag));

/** Whether an option, `-n`, of a command takes a value. */
export function takesValue(command: Command, flag: string): boolean {
  const option = declaredAs(flag, command.options);
  return option !== undefined && option.isBoolean !== true;
}

/** The options in a word: `--since=10m`, `-n2`, or several letters, of which the first with a value takes the rest. */
function optionsIn(word: string, declared: readonly Declared[]): Typed[] {
  if (word.startsWith("--")) {
    const end = word.indexOf("=");
    return [end < 0 ? { flag: word, value: undefined } : { flag: word.slice(0, end), value: word.slice(end + 1) }];
  }
  const found: Typed[] = [];
  for (let at = 1; at < word.length; at++) {
    const flag = `-${word[at]}`;
    const option = declaredAs(flag, declared);
    if (option === undefined) return [...found, { flag: at === 1 ? word : flag, value: undefined }];
    const rest = word.slice(at + 1).replace(/^=/, "");
    found.push({ flag, value: option.isBoolean || rest === "" ? undefined : rest });
    if (!option.isBoolean) break;
  }
  return found;
}

/** Adds an option, with the next word if that is its value; answers the error, if any. */
function take({ flag, value }: Typed, declared: readonly Declared[], left: string[], options: Options) {
  const option = declaredAs(flag, declared);
  if (option === undefined) {
    const long = declared.flatMap(flagsOf).filter((known) => known.startsWith("--"));
    const near = flag.length > 2 ? closest(flag.replace(/^-?-?/, "--"), long) : null;
    return { message: `unknown option "${flag}"`, ...(near ? { hint: `did you mean "${near}"?` } : {}) };
  }
  if (option.isBoolean) {
    if (value !== undefined) return { message: `${flag} takes no value` };
    options[option.name] = !option.negated;
    return undefined;
  }
  const next = left[0];
  const isNext = value === undefined && next !== undefined && !isOption(next);
  const text = isNext ? left.shift() : value;
  if (text === undefined && option.required) {
    const how = next === undefined || next === "--" ? {} : { hint: `when that is its value: ${flag}=${next}` };
    return { message: `${flag} needs a value`, ...how };
  }
  options[option.name] = text ?? true;
  return undefined;
}

/** An error on the command line, with the usage or a similar word as its hint. */
function usage(message: string, command: Command | undefined, hint?: string): DpError {
  return new DpError("usage", message, { hint: hint ?? `dp ${command ? `${command.name} ` : ""}--help` });
}

/** Runs the command. Throws DpError "usage" for missing or extra words. */
export async function runLine({ command, words, options }: Line): Promise<Outcome> {
  if (command?.commandAction === undefined) return undefined;
  const { args, name } = command;
  const missing = args.filter(({ required }) => required).slice(words.length);
  if (missing.length > 0)
    throw usage(`dp ${name} needs ${missing.map(({ value }) => value.toUpperCase()).join(" ")}`, command);
  const isVariadic = args.some(({ variadic }) => variadic);
  const unused = isVariadic ? [] : words.slice(args.length);
  if (unused.length > 0) {
    const line = ["dp", name, ...words.slice(0, args.length)].join(" ");
    throw usage(`too many words after ${line}: ${unused.map((word) => `"${word}"`).join(", ")}`, command);
  }
  const handed = args.map(({ variadic }, at) => (variadic ? words.slice(at) : words[at]));
  return (await command.commandAction(...handed, options)) as Outcome;
}
