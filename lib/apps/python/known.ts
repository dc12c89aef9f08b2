// What the pythons of an app have answered, kept by the state of their files: asking one takes longer than all the rest
// of an install that has nothing to do.
import { realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import type { Seeker } from "../../contracts/app-type.ts";
import { readText, writeFileAtomic } from "../../host/files.ts";
import type { Version } from "./version.ts";

/** A python that works. */
export interface Interpreter {
  /** The program itself, absolute, with links resolved. */
  executable: string;
  version: Version;
  /** False for an alpha, beta or release candidate. */
  isFinal: boolean;
  /** Whether it can make a venv with pip; Debian has that in a package of its own. */
  hasVenv: boolean;
}

const version = v.pipe(v.number(), v.integer());
/** An answer, and the state of the program that gave it and of the interpreter that it named. */
const Answer = v.object({
  program: v.string(),
  interpreter: v.string(),
  said: v.object({
    executable: v.string(),
    version: v.pipe(v.tuple([version, version, version]), v.readonly()),
    isFinal: v.boolean(),
    hasVenv: v.boolean(),
  }),
});
const Answers = v.pipe(v.string(), v.parseJson(), v.record(v.string(), Answer));
type Answers = v.InferOutput<typeof Answers>;

/** The answers of one app. */
export interface Known {
  /** The answer of a program when nothing has changed since, or null. */
  of(file: string): Promise<Interpreter | null>;
  note(file: string, said: Interpreter): Promise<void>;
  /** Writes down what was asked or noted since; a file that cannot be written is no reason to fail. */
  save(): Promise<void>;
}

/** The file, in the app's base, where only dp can write. It may be deleted at any time. */
const fileIn = (base: string) => join(base, "pythons.json");

/** The answers that were given to the app's user. */
export async function knownTo({ base, user }: Pick<Seeker, "base" | "user">): Promise<Known> {
  const text = await readText(fileIn(base)).catch(() => null);
  const parsed = v.safeParse(Answers, text);
  const before = parsed.success ? parsed.output : {}; // damaged: ask again
  const now: Answers = {};
  const keyOf = (file: string) => `${user ?? ""} ${file}`;
  return {
    async of(file) {
      const answer = before[keyOf(file)];
      if (answer === undefined) return null;
      const isSame =
        answer.program === (await stateOf(file)) && answer.interpreter === (await stateOf(answer.said.executable));
      if (isSame) now[keyOf(file)] = answer;
      return isSame ? answer.said : null;
    },
    async note(file, said) {
      const [program, interpreter] = [await stateOf(file), await stateOf(said.executable)];
      if (program !== null && interpreter !== null) now[keyOf(file)] = { program, interpreter, said };
    },
    async save() {
      const all = Object.entries(now).sort(([a], [b]) => (a < b ? -1 : 1));
      const written = `${JSON.stringify(Object.fromEntries(all))}\n`;
      if (written !== text) await writeFileAtomic(fileIn(base), written, 0o600).catch(() => undefined);
    },
  };
}

// Whoever replaces or changes a program changes one of these; the rights of the folders decide who can run it.
async function stateOf(file: string): Promise<string | null> {
  try {
    const real = await realpath(file);
    const { dev, ino, size, mtimeMs, ctimeMs, mode, uid, gid } = await stat(real);
    const folders = new Set([...foldersOf(file), ...foldersOf(real)]);
    const rights = await Promise.all([...folders].map(async (folder) => rightsOf(folder)));
    return [real, dev, ino, size, mtimeMs, ctimeMs, mode, uid, gid, ...rights].join(" ");
  } catch {
    return null;
  }
}

async function rightsOf(folder: string): Promise<string> {
  const { mode, uid, gid } = await stat(folder);
  return `${mode}:${uid}:${gid}`;
}

function foldersOf(file: string): string[] {
  const folder = dirname(file);
  return folder === file ? [] : [...foldersOf(folder), folder];
}
