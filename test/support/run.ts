// The test run: files side by side, then those that measure, then once more what failed, then one closing line.
import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join, relative, resolve } from "node:path";
import { boxUnavailable, ensureBoxImage, type ImageName } from "./box-image.ts";
import { handOut, isAlone, longestFirst, usesBox, usesEngineBox } from "./hand-out.ts";
import { withTested } from "./installed.ts";
import { closingLine, sum, type Counts } from "./junit.ts";
import { type Manner, ONE_FAILED, runFile } from "./run-file.ts";

const project = resolve(import.meta.dir, "../..");

/** Files at a time: they wait more than they compute. */
const MANY = availableParallelism() > 1 ? 4 : 1;
/** Of these, files that boot a server. */
const MANY_BOXES = 3;
/** Failed files above which a second try is pointless: that is no accident any more. */
const MOST_AGAIN = 6;

/** Options of `bun test` that are followed by a value of their own. */
const VALUED = new Set(["-t", "--test-name-pattern", "--timeout", "--retry", "--rerun-each", "--seed", "--bail"]);

/** Splits arguments into paths (absolute), how many files at a time, and the rest, which goes to `bun test` untouched. */
export function splitArguments(argv: readonly string[]): { paths: string[]; options: string[]; many: number } {
  const paths: string[] = [];
  const options: string[] = [];
  let many = MANY;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    const parallel = /^--parallel(?:=(\d+))?$/.exec(word);
    if (parallel) many = Math.max(1, Number(parallel[1] ?? availableParallelism()));
    else if (!word.startsWith("-")) paths.push(resolve(word));
    else if (VALUED.has(word)) options.push(word, ...argv.slice(++at, at + 1));
    else options.push(word);
  }
  return { paths, options, many };
}

/** The test files at or below the given paths, sorted; a path without any is an error. */
export function testFiles(paths: readonly string[]): string[] {
  const all = [...new Bun.Glob("**/*.test.ts").scanSync({ cwd: join(project, "test"), absolute: true })];
  if (paths.length === 0) return all.sort();
  const chosen = paths.map((path) => {
    if (isTestFile(path)) return [path];
    const below = all.filter((file) => file.startsWith(`${path}/`));
    if (below.length === 0) throw new Error(`no test file at or below ${path}`);
    return below;
  });
  return [...new Set(chosen.flat())].sort();
}

const isTestFile = (path: string) =>
  path.endsWith(".test.ts") && statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** `own` unless the caller has set the same option. */
const withDefault = (options: readonly string[], own: string): string[] =>
  options.some((given) => given.split("=")[0] === own.split("=")[0]) ? [...options] : [own, ...options];

/** How all files of a run are run. */
export interface Run extends Pick<Manner, "signal" | "silence"> {
  options?: readonly string[];
  many?: number;
  /** Nothing is shown of what the files say. */
  isQuiet?: boolean;
  /** What must be there before a server boots. */
  image?: Promise<void>;
}

/** Runs files, `many` at a time, the longest first; answers what each came to. */
export async function runFiles(files: readonly string[], run: Run = {}): Promise<Map<string, Counts>> {
  const { many = MANY, options = [], image = Promise.resolve(), signal } = run;
  const ends = new Map<string, Counts>();
  const shown = many === 1 || files.length === 1 ? "live" : "whole";
  const boxes = new Set(files.filter(usesBox));
  let isReady = false;
  const mayBegin = (file: string, underWay: readonly string[]) =>
    signal?.aborted !== true &&
    (!boxes.has(file) || (isReady && underWay.filter((other) => boxes.has(other)).length < MANY_BOXES));
  const use = async (file: string) => {
    const slow = boxes.has(file) || isAlone(file);
    const own = withDefault(options, `--timeout=${slow ? 300_000 : 120_000}`);
    ends.set(file, await runFile(file, own, { ...run, output: run.isQuiet ? "none" : shown }));
  };
  await handOut(
    longestFirst(files),
    many,
    mayBegin,
    use,
    image.then(() => void (isReady = true)),
  );
  return ends;
}

/**
 * Runs files, those that measure last, one by one; then those in which something failed once more, with nothing beside
 * them: on a small machine real servers, clocks and builds get in each other's way. What fails alone as well has failed;
 * what does not is told.
 */
export async function runTwice(files: readonly string[], run: Run = {}): Promise<Counts & { unsteady: string[] }> {
  const alone = files.filter(isAlone);
  const counts = new Map([
    ...(await runFiles(
      files.filter((file) => !isAlone(file)),
      run,
    )),
    ...(await runFiles(alone, { ...run, many: 1 })),
  ]);
  const again = files.filter((file) => counts.get(file)?.failed);
  const unsteady: string[] = [];
  for (const file of again.length > MOST_AGAIN ? [] : again) {
    if (run.signal?.aborted) break;
    console.error(`\n${relative(project, file)} failed; once more, alone:`);
    for (const [, second] of await runFiles([file], { ...run, many: 1 })) {
      counts.set(file, second);
      if (second.failed === 0) unsteady.push(relative(project, file));
    }
  }
  return { ...sum(counts.values()), unsteady };
}

/** A tree of the test servers, when files need it: built beside the others when it is not there. */
async function boxImage(files: readonly string[], image: ImageName): Promise<void> {
  try {
    if (files.length === 0 || boxUnavailable(image) !== null) return;
    await ensureBoxImage((line) => console.error(line), image);
  } catch (error) {
    // The files that need it fail by the same.
    console.error(error);
  }
}

async function main(argv: readonly string[], signal: AbortSignal): Promise<Counts> {
  const { paths, options, many } = splitArguments(argv);
  const files = testFiles(paths);
  const image = boxImage(files.filter(usesBox), "base");
  // Nobody waits for the second one: its file comes later, and would build it.
  void image.then(() => boxImage(files.filter(usesEngineBox), "docker"));
  const { unsteady, ...counts } = await runTwice(files, { options, many, signal, image });
  for (const file of unsteady) console.error(`${file} failed beside others, and passed alone`);
  return counts;
}

/** Runs all of it; answers the exit code. A signal ends what is under way, and is a failure. */
async function run(argv: readonly string[]): Promise<number> {
  const stopped = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stopped.abort(name));
  const { signal } = stopped;
  let counts = ONE_FAILED;
  try {
    counts = await withTested(() => main(argv, signal));
    if (counts.passed + counts.failed === 0) {
      console.error("no test ran");
      counts = ONE_FAILED;
    }
  } catch (error) {
    console.error(`${basename(import.meta.path)}:`, error);
  }
  if (signal.aborted) {
    console.error(`ended by ${signal.reason}`);
    if (counts.failed === 0) counts = { ...counts, failed: 1 };
  }
  // The line must be the last one, after everything that the children wrote to stderr.
  console.log(closingLine(counts));
  return counts.failed > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await run(process.argv.slice(2));
