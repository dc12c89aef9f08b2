// The test run: unit tests several files at a time, then the tests that boot a server, then one closing line.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { codeOf } from "../../lib/errors.ts";
import { boxUnavailable, ensureBoxImage } from "./box-image.ts";

const project = resolve(import.meta.dir, "../..");

/** What a run of `bun test` came to. */
interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

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

/** The counts in the head of a junit report. Throws when there is no report. */
export function countsOf(report: string): Counts {
  const head = report.match(/<testsuites [^>]*>/)?.[0];
  if (head === undefined) throw new Error("the junit report has no <testsuites>");
  const [tests, failed, skipped] = ["tests", "failures", "skipped"].map((name) =>
    Number(head.match(new RegExp(` ${name}="(\\d+)"`))?.[1] ?? 0),
  ) as [number, number, number];
  return { passed: Math.max(0, tests - failed - skipped), failed, skipped };
}

/** The last line of the run. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** Runs `bun test` over files. A run without a report, or that failed without saying where, is one failure. */
export async function runFiles(
  files: readonly string[],
  options: readonly string[],
  output: "inherit" | "ignore" = "inherit",
): Promise<Counts> {
  const none = { passed: 0, failed: 0, skipped: 0 };
  if (files.length === 0) return none;
  const folder = mkdtempSync(join(tmpdir(), "dp-test-run-"));
  const report = join(folder, "junit.xml");
  const argv = [process.execPath, "test", ...files, ...options, "--reporter=junit", `--reporter-outfile=${report}`];
  // Steps are run by their first line, which looks for Bun there.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}` };
  const child = Bun.spawn(argv, { cwd: project, env, stdio: ["ignore", output, output] });
  try {
    const code = await child.exited;
    const counts = countsOf(readFileSync(report, "utf8"));
    if (isFiltered(options)) {
      // Bun reports what -t left out as skipped, and a run in which nothing matched as failed.
      return { ...counts, failed: Math.max(counts.failed, counts.passed > 0 && code !== 0 ? 1 : 0), skipped: 0 };
    }
    return { ...counts, failed: Math.max(counts.failed, code === 0 ? 0 : 1) };
  } catch (error) {
    if (codeOf(error) === "ENOENT") console.error("the test run ended without a report");
    else console.error(error);
    return { ...none, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isFiltered = (options: readonly string[]) => options.some((word) => /^(-t|--test-name-pattern)/.test(word));

/** `own` unless the caller has set the same option. */
function withDefaults(options: readonly string[], own: readonly string[]): string[] {
  return [...own.filter((word) => !options.some((given) => given.split("=")[0] === word.split("=")[0])), ...options];
}

async function main(argv: readonly string[]): Promise<Counts> {
  const { paths, options } = splitArguments(argv);
  const files = testFiles(paths);
  const alone = files.filter(isAlone);
  const boxes = files.filter((file) => usesBox(file) && !alone.includes(file));
  const unit = files.filter((file) => !boxes.includes(file) && !alone.includes(file));
  // They wait more than they compute.
  const sideBySide = (group: readonly string[], many: number) =>
    cpus().length > 1 && group.length > 1 ? [`--parallel=${many}`] : [];
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [group, own] of [
    [unit, ["--timeout=120000", ...sideBySide(unit, 4)]],
    [boxes, ["--timeout=300000", ...sideBySide(boxes, 3)]],
    [alone, ["--timeout=300000"]],
  ] as const) {
    if (group === boxes && boxes.length > 0 && boxUnavailable() === null) {
      await ensureBoxImage((line) => console.error(line));
    }
    const counts = await runFiles(group, withDefaults(options, own));
    for (const name of ["passed", "failed", "skipped"] as const) total[name] += counts[name];
  }
  return total;
}

if (import.meta.main) {
  let counts: Counts = { passed: 0, failed: 1, skipped: 0 };
  try {
    counts = await main(process.argv.slice(2));
  } catch (error) {
    console.error(`${basename(import.meta.path)}:`, error);
  }
  if (counts.passed + counts.failed === 0) {
    console.error("no test ran");
    counts.failed = 1;
  }
  // The line must be the last one, after everything that the children wrote to stderr.
  console.log(closingLine(counts));
  process.exitCode = counts.failed > 0 ? 1 : 0;
}
