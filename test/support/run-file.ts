// One test file by a `bun test` of its own: what it says is shown in one piece, and it ends, whatever it does.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { codeOf } from "../../lib/errors.ts";
import { countsByFile, type Counts } from "./junit.ts";

const project = resolve(import.meta.dir, "../..");

/** Milliseconds without a word after which a file hangs: its tests have limits of their own, and each says its end. */
const SILENCE = process.env["DP_FAULTS"] === "all" ? 4_000_000 : 600_000;
/** Milliseconds from SIGTERM to SIGKILL. */
const GRACE = 5_000;
/** Milliseconds between two looks at what a file has said. */
const LOOK = 200;

export const ONE_FAILED: Counts = { passed: 0, failed: 1, skipped: 0 };

/** How files are run. */
export interface Manner {
  /** What the file says: shown line by line as it comes, shown when it has ended, or not at all. */
  output?: "live" | "whole" | "none";
  /** Ends the file, and all in its process group. */
  signal?: AbortSignal;
  /** Milliseconds without a word after which the file is ended. */
  silence?: number;
}

/** Runs `bun test` over a file; answers what it came to. One that did not load, or left no report, has failed. */
export async function runFile(file: string, options: readonly string[], manner: Manner = {}): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), "dp-test-run-"));
  const [report, output] = [join(folder, "junit.xml"), join(folder, "output")];
  const fd = openSync(output, "a");
  const argv = [process.execPath, "test", file, ...options, "--reporter=junit", `--reporter-outfile=${report}`];
  // Steps are run by their first line, which looks for Bun there.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}` };
  try {
    const child = Bun.spawn(argv, { cwd: project, env, detached: true, stdio: ["ignore", fd, fd] });
    const began = performance.now();
    const code = await ended(child, output, manner);
    if (manner.output !== "none") console.error(tookLine(file, performance.now() - began, child));
    return countsOf(file, readFileSync(report, "utf8"), code, isFiltered(options));
  } catch (error) {
    if (codeOf(error) === "ENOENT") console.error(`${relative(project, file)} ended without a report`);
    else console.error(error);
    return ONE_FAILED;
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How long a file took, and how much of that a processor worked for it and what it waited for. */
function tookLine(file: string, ms: number, child: Bun.Subprocess): string {
  const processor = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  return `${relative(project, file)} took ${(ms / 1000).toFixed(0)} s, the processor ${processor.toFixed(0)} s`;
}

const isFiltered = (options: readonly string[]) => options.some((word) => /^(-t|--test-name-pattern)/.test(word));

function countsOf(file: string, report: string, code: number, filtered: boolean): Counts {
  const files = countsByFile(report);
  const found = files.get(relative(project, file)) ?? files.get(file);
  if (!found) return ONE_FAILED;
  // Bun reports what -t left out as skipped, and fails when nothing matched.
  if (filtered && found.passed + found.failed === 0) return { passed: 0, failed: 0, skipped: 0 };
  const counts = filtered ? { ...found, skipped: 0 } : found;
  // A failure that is no test's, such as an error after the last one.
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** Waits for the exit code, and shows what is said meanwhile. */
async function ended(child: Bun.Subprocess, output: string, manner: Manner): Promise<number> {
  const { signal, silence = SILENCE } = manner;
  const show = shower(output, manner.output ?? "live");
  let [size, since] = [0, performance.now()];
  let killing: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    if (killing !== undefined) return;
    killGroup(child.pid, "SIGTERM");
    killing = setTimeout(() => killGroup(child.pid, "SIGKILL"), GRACE);
  };
  const looking = setInterval(() => {
    const now = Bun.file(output).size;
    if (now !== size) [size, since] = [now, performance.now()];
    show(false);
    if (killing !== undefined || performance.now() - since < silence) return;
    console.error(`nothing was said for ${silence / 1000} s: it is ended`);
    end();
  }, LOOK);
  signal?.addEventListener("abort", end);
  if (signal?.aborted) end();
  try {
    return await child.exited;
  } finally {
    signal?.removeEventListener("abort", end);
    clearInterval(looking);
    clearTimeout(killing);
    show(true);
  }
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** Shows what is new in a file: whole lines, and at the end the rest. */
function shower(path: string, output: NonNullable<Manner["output"]>): (isEnd: boolean) => void {
  let shown = 0;
  return (isEnd) => {
    if (output === "none" || (output === "whole" && !isEnd)) return;
    const news = readFileSync(path).subarray(shown);
    const size = isEnd ? news.length : news.lastIndexOf("\n") + 1;
    if (size === 0) return;
    shown += size;
    console.error(news.subarray(0, size).toString().replace(/\n$/, ""));
  };
}
