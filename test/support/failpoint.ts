// Loaded before dp by tests: at an exact place of a run something happens to the deploying process, and dp knows nothing of it.
//
// DP_TEST_FAILPOINT=STEP:PLACE[:FAULT]. PLACE is one of
//   begun     the journal says "running", nothing else was done
//   N         just before the N-th effect of the step: a rename, link, unlink, folder or child process; "done" when it has fewer
//   spawned   the step's first child process has just been started
//   done      the step has done all it does, and the journal does not say so yet
//   recorded  the journal says "ok"
// and STEP "undo" with N is the N-th effect of the way back. FAULT is one of
//   kill      SIGKILL (the default)
//   term      SIGTERM
//   enospc    this effect, and every later one of the step that needs room, finds the disk full
//   eacces    this effect, and every later one of the step, is not permitted
//   hang      the child process that is started here never ends by itself
// DP_TEST_HANG: a file that "kill" makes in place of the signal, and then stands still for ever.
// DP_TEST_PLACES: a file that gets a line for every place passed, `swap:3 rename`; the one of the fault begins with "!".
// DP_TEST_CLOCK: milliseconds that the clock is ahead, as far as dp reads it.
import { appendFileSync, existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname } from "node:path";
import { workerWith } from "./preload.ts";

type Effect = (...args: never[]) => Promise<unknown>;
export type Fault = "kill" | "term" | "enospc" | "eacces" | "hang";

const [STEP = "", PLACE = "", FAULT = "kill"] = (process.env["DP_TEST_FAILPOINT"] ?? "").split(":");
const PLACES = process.env["DP_TEST_PLACES"];
const HANG = process.env["DP_TEST_HANG"] ?? "";
const isWorker = process.argv[2] === "work";
let [current, count, hasFired, isBroken] = ["", 0, false, false];

/** Notes a place that was passed; answers whether it is the one where the fault is. */
function isHere(place: string, what: string): boolean {
  const mine = !hasFired && current === STEP && place === PLACE;
  hasFired ||= mine;
  if (PLACES) appendFileSync(PLACES, `${mine ? "!" : ""}${current}:${place} ${what}\n`);
  return mine;
}

function fail(path: unknown): never {
  const [code, text] = FAULT === "enospc" ? ["ENOSPC", "no space left on device"] : ["EACCES", "permission denied"];
  throw Object.assign(new Error(`${code}: ${text}, '${String(path)}'`), { code, path });
}

/** Does to the process what a signal of that kind does; what concerns an effect or a child is left to these. */
function strike(): void {
  if (FAULT === "term") process.kill(process.pid, "SIGTERM");
  if (FAULT !== "kill") return;
  if (HANG) writeFileSync(HANG, "");
  else process.kill(process.pid, "SIGKILL");
  // A signal to oneself need not arrive before the call returns.
  for (;;) Bun.sleepSync(1000);
}

const isContext = (path: unknown): path is string =>
  typeof path === "string" && /^\d+-[0-9a-f]{7}\.json$/.test(basename(path)) && basename(dirname(path)) === "runs";

/** What a run file says: what became of each step, and which one runs; "undo" when one has failed. */
function journalOf(path: string): { states: Record<string, string>; running: string } {
  const { journal } = JSON.parse(readFileSync(path, "utf8")) as { journal: Record<string, { state: string }> };
  const states = Object.fromEntries(Object.entries(journal).map(([step, { state }]) => [step, state]));
  const [step = "", state = ""] = Object.entries(states).at(-1) ?? [];
  return { states, running: state === "running" ? step : state === "failed" || state === "undone" ? "undo" : "" };
}

/** Whether a run file is that of the process's own run, whose log it writes; others it only ends first. */
const isOwn = (context: string) => basename(readlinkSync("/proc/self/fd/1"), ".log") === basename(context, ".json");

// One save may end a step and begin the next.
async function save(from: string, to: string, rename: () => Promise<unknown>): Promise<unknown> {
  if (!isOwn(to)) return rename();
  const { states, running } = journalOf(from);
  const before = existsSync(to) ? journalOf(to).states : {};
  const ended = current !== "undo" && states[current] === "ok" && before[current] !== "ok";
  const isFewer = current === STEP && /^\d+$/.test(PLACE);
  if (ended && isHere(isFewer ? PLACE : "done", "save")) {
    if (FAULT === "enospc" || FAULT === "eacces") fail(to);
    strike();
  }
  const answer = await rename();
  if (ended && isHere("recorded", "save")) strike();
  if (running !== "undo" || current !== "undo") count = 0;
  [current, isBroken] = [running, false];
  if (running !== "" && running !== "undo" && before[running] !== "running" && isHere("begun", "save")) strike();
  return answer;
}

function effect(what: string, path: unknown): boolean {
  const mine = current !== "" && isHere(String(++count), what);
  if (mine) {
    isBroken = FAULT === "enospc" || FAULT === "eacces";
    strike();
  }
  if (isBroken && (FAULT === "eacces" || ["symlink", "mkdir", "rename"].includes(what))) fail(path);
  return mine;
}

if (process.env["DP_TEST_CLOCK"]) {
  const [RealDate, ahead] = [Date, Number(process.env["DP_TEST_CLOCK"])];
  const now = () => RealDate.now() + ahead;
  globalThis.Date = new Proxy(RealDate, {
    construct: (_, args: number[]) => new RealDate(...((args.length === 0 ? [now()] : args) as [number])),
    get: (target, key) => (key === "now" ? now : Reflect.get(target, key)),
  });
}

// The module that require() answers is the one that dp's imports are bound to, as long as none came before.
const promises = createRequire(import.meta.url)("node:fs/promises") as Record<string, Effect>;
for (const name of isWorker ? ["symlink", "unlink", "mkdir", "rmdir", "rename"] : []) {
  const real = promises[name]!;
  promises[name] = async (...args: never[]) => {
    if (name === "rename" && isContext(args[1])) return save(args[0]!, args[1]!, () => real(...args));
    // A run file's temp file belongs to the journal, not to the step.
    if (!String(args[0]).includes("/runs/")) effect(name, args[0]);
    return real(...args);
  };
}

/** A program that does nothing instead, and is known as what it stands for where that matters. */
function hanging(argv: string[]): string[] {
  const isSupervisor = /\/supervisor\.[tj]s$/.test(argv.at(-2) ?? "");
  return isSupervisor ? ["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", ...argv] : ["sleep", "86399"];
}

type Options = { env: Record<string, string> };
const spawn = Bun.spawn as (argv: string[], options: Options) => Bun.Subprocess;
(Bun as { spawn: unknown }).spawn = (argv: string[], options: Options) => {
  // dp hands nothing of its environment on to the process that deploys, and this has to get there.
  if (!isWorker && argv.includes("work")) {
    const given = Object.entries(process.env).filter(([name]) => name.startsWith("DP_TEST_"));
    const env = { ...options.env, ...(Object.fromEntries(given) as Record<string, string>) };
    return spawn(workerWith(import.meta.path, argv), { ...options, env });
  }
  if (!isWorker || current === "") return spawn(argv, options);
  const isNth = effect("spawn", argv[0]);
  const isFirst = !spawned.has(current) && (spawned.add(current), isHere("spawned", argv[0] ?? ""));
  const child = spawn((isNth || isFirst) && FAULT === "hang" ? hanging(argv) : argv, options);
  if (isFirst) strike();
  return child;
};
const spawned = new Set<string>();
