// Shares the work on many names among processes of dp, one for each processor: JavaScript itself uses only one.
import { availableParallelism } from "node:os";
import { compilers } from "./compilers.ts";
import { program, selfEnv } from "./self.ts";

/** So many names are worth a process of their own. */
const WORTH = 100;
/** The most processes. */
const MOST = 4;

/** Milliseconds after which another process is ended, and its share done here. */
const PATIENCE = 30_000;

/** What is found out about each of some names, in their order. */
export type Task<Row> = (names: readonly string[]) => Promise<PromiseSettledResult<Row>[]>;

/**
 * Runs a task over names, which differ, some of them in other processes that run a program of dp's: it gets names as JSON on
 * stdin, and answers with name and row of each that it has, as JSON on stdout. What it does not answer is done here.
 */
export async function inShares<Row>(
  names: readonly string[],
  path: string,
  task: Task<Row>,
): Promise<PromiseSettledResult<Row>[]> {
  const count = Math.min(availableParallelism(), MOST, Math.floor(names.length / WORTH));
  if (count < 2) return task(names);
  const share = (of: number) => names.filter((_, at) => at % count === of);
  const others = Array.from({ length: count - 1 }, (_, at) => askAnother<Row>(program(path), share(at + 1)));
  const found = new Map<string, PromiseSettledResult<Row>>();
  const doHere = async (own: readonly string[]) => {
    for (const [at, outcome] of (await task(own)).entries()) found.set(own[at]!, outcome);
  };
  await doHere(share(0));
  for (const [name, value] of (await Promise.all(others)).flat()) found.set(name, { status: "fulfilled", value });
  const left = names.filter((name) => !found.has(name));
  if (left.length > 0) await doHere(left);
  return names.map((name) => found.get(name)!);
}

/** The rows that another process has found; none when it fails. */
async function askAnother<Row>(argv: readonly string[], names: readonly string[]): Promise<[name: string, row: Row][]> {
  try {
    const stdin = new TextEncoder().encode(JSON.stringify(names));
    const child = Bun.spawn([...argv], {
      cwd: "/",
      env: { ...selfEnv(), ...compilers() },
      stdin,
      stdout: "pipe",
      stderr: "ignore",
      timeout: PATIENCE,
      killSignal: "SIGKILL",
    });
    return JSON.parse(await child.stdout.text()) as [string, Row][];
  } catch {
    return [];
  }
}
