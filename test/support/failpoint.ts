// Loaded before dp by tests: ends the deploying process by SIGKILL at an exact place, and dp knows nothing of it.
//
// DP_TEST_FAILPOINT=STEP:PLACE, where PLACE is one of
//   begun     the journal says "running", nothing else was done
//   N         just before the N-th effect of the step: a rename, link, unlink, folder or child process
//   spawned   the step's first child process has just been started
//   done      the step has done all it does, and the journal does not say so yet
//   recorded  the journal says "ok"
// With DP_TEST_HANG=FILE it makes that file there and stands still, for ever.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname } from "node:path";

type Effect = (...args: never[]) => Promise<unknown>;

const [STEP, PLACE] = (process.env["DP_TEST_FAILPOINT"] ?? ":").split(":");
const HANG = process.env["DP_TEST_HANG"] ?? "";
const isWorker = process.argv[2] === "work";
let current = "";
let count = 0;

function die(): never {
  if (HANG) writeFileSync(HANG, "");
  else process.kill(process.pid, "SIGKILL");
  // A signal to oneself need not arrive before the call returns.
  for (;;) Bun.sleepSync(1000);
}

const isContext = (path: unknown): path is string =>
  typeof path === "string" && /^\d+-[0-9a-f]{7}\.json$/.test(basename(path)) && basename(dirname(path)) === "runs";

/** What a context says: what became of STEP, and which step runs. One save may end a step and begin the next. */
function journalOf(path: string): { state: string | undefined; running: string } {
  const { journal } = JSON.parse(readFileSync(path, "utf8")) as { journal: Record<string, { state: string }> };
  const [step, entry] = Object.entries(journal).at(-1) ?? ["", { state: "" }];
  return { state: journal[STEP ?? ""]?.state, running: entry.state === "running" ? step : "" };
}

async function save(from: string, to: string, rename: () => Promise<unknown>): Promise<unknown> {
  const { state, running } = journalOf(from);
  const isNew = !existsSync(to) || journalOf(to).state !== state;
  if (isNew && state === "ok" && PLACE === "done") die();
  const answer = await rename();
  if (isNew && state === "ok" && PLACE === "recorded") die();
  if (isNew && state === "running" && PLACE === "begun") die();
  [current, count] = [running, 0];
  return answer;
}

function effect(): void {
  if (current === STEP && String(++count) === PLACE) die();
}

// The module that require() answers is the one that dp's imports are bound to, as long as none came before.
const promises = createRequire(import.meta.url)("node:fs/promises") as Record<string, Effect>;
for (const name of ["symlink", "unlink", "mkdir", "rmdir", "rename"]) {
  const real = promises[name]!;
  promises[name] = (...args: never[]) => {
    if (isWorker && name === "rename" && isContext(args[1])) return save(args[0]!, args[1]!, () => real(...args));
    // A context's temp file belongs to the journal, not to the step.
    if (isWorker && !String(args[0]).includes("/runs/")) effect();
    return real(...args);
  };
}

const spawn = Bun.spawn as (argv: string[], options: { env: Record<string, string> }) => Bun.Subprocess;
(Bun as { spawn: unknown }).spawn = (argv: string[], options: { env: Record<string, string> }) => {
  // dp hands nothing of its environment on to the process that deploys, and this has to get there.
  if (!isWorker && argv.includes("work")) {
    const env = { ...options.env, DP_TEST_FAILPOINT: `${STEP}:${PLACE}`, DP_TEST_HANG: HANG };
    return spawn([argv[0]!, "--preload", import.meta.path, ...argv.slice(1)], { ...options, env });
  }
  if (isWorker) effect();
  const child = spawn(argv, options);
  if (isWorker && current === STEP && PLACE === "spawned") die();
  return child;
};
