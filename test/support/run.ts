// The test run: unit tests several files at a time, then the tests that boot a server, then one closing line.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { codeOf } from "../../lib/errors.ts";
import { boxUnavailable, ensureBoxImage } from "./box-image.ts";
import { withTested } from "./installed.ts";
import { closingLine, countsByFile, sum, type Counts } from "./junit.ts";

const project = resolve(import.meta.dir, "../..");

/** Failed files above which a second try is pointless: that is no accident any more. */
const MOST_AGAIN = 6;

/** Options of `bun test` that are followed by a value of their own. */
const VALUED = new Set(["-t", "--test-name-pattern", "--timeout", "--retry", "--rerun-each", "--seed", "--bail"]);

/** Splits arguments into paths (absolute) and everything else, which goes to `bun test` untouched. */
export function splitArguments(argv: readonly string[]): { paths: string[]; options: string[] } {
  const paths: string[] = [];
  const options: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (!word.startsWith("-")) paths.push(resolve(word));
    else if (VALUED.has(word)) options.push(word, ...argv.slice(++at, at + 1));
    else options.push(word);
  }
  return { paths, options };
}

/** The test files at or below the given paths, sorted; a path without any is an error. */
export function testFiles(paths: readonly string[]): string[] {
  const all = [...new Bun.Glob("**/*.test.ts").scanSync({ cwd: join(project, "test"), absolute: true })].sort();
  if (paths.length === 0) return all;
  for (const path of paths)
    if (!all.some((file) => isAtOrBelow(file, path))) throw new Error(`no test file at or below ${path}`);
  return all.filter((file) => paths.some((path) => isAtOrBelow(file, path)));
}

const isAtOrBelow = (file: string, path: string) => file === path || file.startsWith(`${path}/`);

/** A test that boots a server, by itself or through what it imports for that. */
export function usesBox(file: string): boolean {
  return /from "[^"]*support\/(box|server-box)\.ts"/.test(readFileSync(file, "utf8"));
}

/** A test that measures under load: it must not compete for the processors. */
export function isAlone(file: string): boolean {
  return /\/(load|proxy|bench|switch)[^/]*\.test\.ts$/.test(file);
}

/**
 * Runs `bun test` over files; answers what each came to. One that did not load, and all of a run without a report, are a
 * failure each; what failed without saying where is one of "".
 */
export async function runFiles(
  files: readonly string[],
  options: readonly string[],
  output: "inherit" | "ignore" = "inherit",
): Promise<Map<string, Counts>> {
  if (files.length === 0) return new Map();
  const folder = mkdtempSync(join(tmpdir(), "dp-test-run-"));
  const report = join(folder, "junit.xml");
  const argv = [process.execPath, "test", ...files, ...options, "--reporter=junit", `--reporter-outfile=${report}`];
  // Steps are run by their first line, which looks for Bun there.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}` };
  const child = Bun.spawn(argv, { cwd: project, env, stdio: ["ignore", output, output] });
  try {
    const code = await child.exited;
    return ended(files, countsByFile(readFileSync(report, "utf8")), code, isFiltered(options));
  } catch (error) {
    if (codeOf(error) === "ENOENT") console.error("the test run ended without a report");
    else console.error(error);
    return new Map(files.map((file) => [file, ONE_FAILED]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const ONE_FAILED: Counts = { passed: 0, failed: 1, skipped: 0 };

function ended(files: readonly string[], report: Map<string, Counts>, code: number, filtered: boolean) {
  const counts = new Map<string, Counts>();
  for (const file of files) {
    const found = report.get(relative(project, file)) ?? report.get(file);
    // Bun reports what -t left out as skipped.
    if (found) counts.set(file, filtered ? { ...found, skipped: 0 } : found);
    else if (!filtered) counts.set(file, ONE_FAILED);
  }
  const { passed, failed } = sum(counts.values());
  // With -t a run in which nothing matched has failed for Bun, too.
  if (code !== 0 && failed === 0 && (!filtered || passed > 0)) counts.set("", ONE_FAILED);
  return counts;
}

/**
 * Runs files, and those in which something failed once more, one by one with nothing beside them: on a small machine
 * real servers, clocks and builds get in each other's way. What fails alone as well has failed; what does not is told.
 */
export async function runTwice(
  files: readonly string[],
  options: readonly string[],
  output: "inherit" | "ignore" = "inherit",
): Promise<Counts & { unsteady: string[] }> {
  const counts = await runFiles(files, options, output);
  const again = files.filter((file) => counts.get(file)?.failed);
  if (again.length > MOST_AGAIN) return { ...sum(counts.values()), unsteady: [] };
  const alone = options.filter((option) => !option.startsWith("--parallel"));
  const unsteady: string[] = [];
  for (const file of again) {
    console.error(`\n${relative(project, file)} failed; once more, alone:`);
    const second = await runFiles([file], alone, output);
    counts.delete(file);
    for (const [name, found] of second) counts.set(name, found);
    if (sum(second.values()).failed === 0) unsteady.push(relative(project, file));
  }
  return { ...sum(counts.values()), unsteady };
}

const isFiltered = (options: readonly string[]) => options.some((word) => /^(-t|--test-name-pattern)/.test(word));

/** `own` unless the caller has set the same option. */
function withDefaults(options: readonly string[], own: readonly string[]): string[] {
  return [...own.filter((word) => !options.some((given) => given.split("=")[0] === word.split("=")[0])), ...options];
}

async function main(argv: readonly string[]): Promise<Counts & { unsteady: string[] }> {
  const { paths, options } = splitArguments(argv);
  const files = testFiles(paths);
  const alone = files.filter(isAlone);
  const boxes = files.filter((file) => usesBox(file) && !alone.includes(file));
  const unit = files.filter((file) => !boxes.includes(file) && !alone.includes(file));
  // They wait more than they compute.
  const sideBySide = (group: readonly string[], many: number) =>
    cpus().length > 1 && group.length > 1 ? [`--parallel=${many}`] : [];
  const ends: (Counts & { unsteady: string[] })[] = [];
  for (const [group, own] of [
    [unit, ["--timeout=120000", ...sideBySide(unit, 4)]],
    [boxes, ["--timeout=300000", ...sideBySide(boxes, 3)]],
    [alone, ["--timeout=300000"]],
  ] as const) {
    if (group === boxes && boxes.length > 0 && boxUnavailable() === null) {
      await ensureBoxImage((line) => console.error(line));
    }
    ends.push(await runTwice(group, withDefaults(options, own)));
  }
  return { ...sum(ends), unsteady: ends.flatMap((end) => end.unsteady) };
}

if (import.meta.main) {
  let counts = ONE_FAILED;
  try {
    const { unsteady, ...all } = await withTested(() => main(process.argv.slice(2)));
    counts = all;
    for (const file of unsteady) console.error(`${file} failed beside others, and passed alone`);
  } catch (error) {
    console.error(`${basename(import.meta.path)}:`, error);
  }
  if (counts.passed + counts.failed === 0) {
    console.error("no test ran");
    counts = ONE_FAILED;
  }
  // The line must be the last one, after everything that the children wrote to stderr.
  console.log(closingLine(counts));
  process.exitCode = counts.failed > 0 ? 1 : 0;
}
