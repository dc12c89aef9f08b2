// How long a push takes, and where the time goes: by the clock outside, and by the run file inside.
import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../../lib/pipeline/run-file.ts";
import type { Spec, State } from "../../lib/host/supervisor/supervision.ts";
import { freePort } from "../support/core-server.ts";
import type { Sandbox } from "../support/sandbox.ts";
import { median } from "./section.ts";

/** A push or a rollback. All times in ms. */
export interface Timing {
  id: string;
  /** From the start of the command to its end. */
  total: number;
  /** From the start of the command to the first answer of the new release through the public port. */
  firstAnswer: number;
  /** From the start of the command to the start of the run: git, the hooks, dp's start. */
  before: number;
  /** From the end of the run to the end of the command. */
  after: number;
  steps: Record<string, number>;
  /** From the start of the app's process to its first healthy answer, as dp saw it. */
  boot: number;
  /** Processor time of the command and all that it waited for: git, the hooks and the deploy, not the app. */
  cpu: number;
  /** Of the front's target, as the step "swap" measured it. */
  switchTime: number;
}

/** One GET on a connection of its own; the body, or null when there was no good answer. */
export function get(port: number, path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`),
    );
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("data", (chunk) => void (text += chunk.toString()));
    socket.on("error", () => resolve(null));
    socket.on("close", () => resolve(/^HTTP\/1\.1 200 /.test(text) ? text.slice(text.indexOf("\r\n\r\n") + 4) : null));
  });
}

/** Runs a command that changes the release, and asks all the while until an answer has `wanted` in it. */
export async function timed(box: Sandbox, wanted: string, argv: readonly string[]): Promise<Timing> {
  const begunAt = Date.now();
  const begun = performance.now();
  let isOver = false;
  const first = (async () => {
    while (!isOver) {
      if ((await get(box.port, "/"))?.includes(wanted)) return performance.now() - begun;
      await Bun.sleep(5);
    }
    return Number.NaN;
  })();
  const child = Bun.spawn([...argv], { cwd: box.code, env: box.env, stdio: ["ignore", "pipe", "pipe"] });
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  const total = performance.now() - begun;
  const endedAt = Date.now();
  // The last look may be under way.
  if (Number.isNaN(await Promise.race([first, Bun.sleep(1_000).then(() => Number.NaN)]))) isOver = true;
  if (code !== 0) throw new Error(`${argv.join(" ")} exited with code ${code}:\n${out}${err}`);
  const cpu = Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1000;
  return timingOf(box, { total, firstAnswer: await first, cpu, begunAt, endedAt });
}

interface Clock {
  total: number;
  firstAnswer: number;
  cpu: number;
  begunAt: number;
  endedAt: number;
}

function timingOf(box: Sandbox, { total, firstAnswer, cpu, begunAt, endedAt }: Clock): Timing {
  const id = box.ids().at(-1)!;
  const run: Run = box.run(id);
  const live = box.link("current")!;
  const state = record<State>(box, `${live}.state`);
  const since = Date.parse(state.since ?? "");
  const entries = Object.entries(run.journal);
  return {
    id,
    total,
    firstAnswer,
    cpu,
    before: Date.parse(entries[0]![1].startedAt) - begunAt,
    after: endedAt - Date.parse(run.result!.endedAt),
    steps: Object.fromEntries(entries.map(([name, entry]) => [name, entry.took ?? 0])),
    boot: Date.parse(String(run.facts["healthyAt"])) - since,
    switchTime: Number(run.facts["switchTime"]),
  };
}

const record = <T>(box: Sandbox, name: string) =>
  JSON.parse(readFileSync(join(box.base, "instances", `${name}.json`), "utf8")) as T;

/**
 * How long the live release takes when nothing else runs, in ms, the median of some times: from start to first answer,
 * and from SIGTERM to its end.
 */
export async function appTimes(box: Sandbox, path: string, times: number): Promise<{ boot: number; end: number }> {
  const spec = record<Spec>(box, box.link("current")!);
  const boots: number[] = [];
  const ends: number[] = [];
  for (let time = 0; time < times; time++) {
    const port = await freePort();
    const env = { ...spec.env, PORT: String(port) };
    const begun = performance.now();
    const app = Bun.spawn(["/bin/sh", spec.script], { cwd: spec.folder, env, stdio: ["ignore", "ignore", "ignore"] });
    while ((await get(port, path)) === null && app.exitCode === null) await Bun.sleep(2);
    boots.push(performance.now() - begun);
    const told = performance.now();
    app.kill();
    await app.exited;
    ends.push(performance.now() - told);
  }
  return { boot: median(boots), end: median(ends) };
}

/** `git push`, as it is typed. */
export const push = (box: Sandbox, wanted: string) => timed(box, wanted, ["git", "push", "production", "main"]);

/** `dp` with words. */
export const dp = (box: Sandbox, wanted: string, ...words: string[]) => timed(box, wanted, [box.program, ...words]);
