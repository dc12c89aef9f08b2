// A run on the word of another server: `dp peer run` is the line to it. The run itself is a process of its own, so that it
// outlives the line, and takes itself back when nobody speaks any more.
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import type { App } from "../contracts/app.ts";
import { editEnv } from "../config/env-edit.ts";
import { envFile, envStamp, envText } from "../config/env-file.ts";
import { DpError, EXIT, messageOf } from "../errors.ts";
import { lineSink } from "../host/sink.ts";
import { who } from "../host/who.ts";
import { idOf } from "../text/ids.ts";
import type { Run } from "../pipeline/run-file.ts";
import { openApp } from "../release/app.ts";
import { goodReleases, logOf, runFile, runOf } from "../release/history.ts";
import { forgetParts } from "../servers/built.ts";
import { readOrder, type Order, type Told } from "../servers/messages.ts";
import { forgetWords, noteWord, renewLease } from "../servers/word.ts";
import { beginAsPeer, beginRestart, beginRollback, type Begun, type Brought, type Joint } from "./begin.ts";
import { forgetCanceller, noteCanceller } from "./canceller.ts";
import { endOf } from "./launch.ts";
import { follow } from "./log/follower.ts";
import { receipt } from "./log/receipt.ts";
import { probesOf } from "./log/screen.ts";
import { lockWhenFree } from "./queue.ts";
import { settingsToBring } from "./rollback.ts";
import { another, type RunnerProcess } from "./runner-process.ts";
import { settle } from "./settle.ts";

/** The pause between two looks at the run file, in ms. */
const LOOK = 40;

/** Takes the order on stdin and runs it, word by word; answers the exit code of the run. */
export async function runAsPeer(name: string): Promise<number> {
  const app = await openApp(name);
  const lines = linesOf(Bun.stdin.stream());
  const first = await lines.next();
  if (first.done === true) return EXIT.usage;
  const order = orderIn(first.value);
  const runner = another(app);
  let begun: Begun;
  try {
    renewLease(app, order.id);
    begun = await begin(app, order);
  } catch (error) {
    runner.order(null);
    await forgetParts(app, order.id);
    await forgetWords(app, order.id);
    return refuse(error);
  }
  mkdirSync(app.places.logs, { recursive: true, mode: 0o750 });
  closeSync(openSync(logOf(app, begun.id), "a", 0o640));
  runner.order({ id: begun.id, who: who() });
  tell({ is: "begun" });
  const listening = { isOver: false };
  void listen(app, order, { runner, lines, listening });
  return untilEnd(app, begun.id, { runner, listening });
}

function orderIn(line: string): Order {
  try {
    return readOrder(line);
  } catch (cause) {
    throw new DpError("usage", "the order is not understood: dp on the two servers differs too much", { cause });
  }
}

/** The reader may be gone, with its connection. */
function tell(told: Told): void {
  try {
    writeSync(1, `${JSON.stringify(told)}\n`);
  } catch {
    // The word to go back follows from the end of stdin.
  }
}

const NOTHING = { step: null, live: null, release: null, switchTime: null, probes: null } as const;

function refuse(error: unknown): number {
  if (!(error instanceof DpError)) throw error;
  const code = EXIT[error.exit];
  tell({ is: "ended", code, error: messageOf(error), ...NOTHING });
  return code;
}

/** Begins the run under the ID that all servers use. */
async function begin(app: App, order: Order): Promise<Begun> {
  const { name, lead, roles, id, kind, reason } = order;
  const by = `${order.by}, by ${lead}`;
  const joint: Joint = { id, by, group: { as: "peer", name, lead, peers: {}, without: [], roles } };
  if (kind === "deploy") return beginAsPeer(app, order, joint);
  if (kind === "restart") return beginRestart(app, reason, await changed(app, order.changes), joint);
  const to = await releaseFor(app, order);
  return beginRollback(app, to, order.withEnv ? await settingsToBring(app, to) : undefined, joint);
}

async function changed({ places, server }: App, changes: Order["changes"]): Promise<Brought | undefined> {
  if (changes === null) return undefined;
  const stamp = await envStamp(places.base, server.env);
  const text = editEnv(await envText(places.base, server.env), changes, envFile(places.base, server.env));
  return { text, stamp };
}

/** The release of that ID, else the newest of the same commit: a server that was away has it under another number. */
async function releaseFor(app: App, { to, sha }: Order): Promise<string> {
  const good = await goodReleases(app);
  const same = good.findLast(({ run }) => run.facts["sha"] === sha);
  const found = good.find(({ id }) => id === to) ?? same;
  if (found) return found.id;
  throw new DpError("usage", `there is no good release ${to} to go back to`);
}

interface Listening {
  runner: RunnerProcess;
  /** The run has ended: no word counts any more. */
  listening: { isOver: boolean };
}

/** Takes the words of the one that leads; when it says nothing more, the run goes back. */
async function listen(
  app: App,
  { id, lead }: Order,
  { runner, lines, listening }: Listening & { lines: AsyncIterator<string> },
): Promise<void> {
  for (let isLast = false; !isLast;) {
    const line = await lines.next();
    isLast = line.done === true;
    if (listening.isOver) return;
    const word = isLast ? "back" : line.value;
    if (!isLast) renewLease(app, id);
    if (word === "swap" || word === "keep" || word === "back") await noteWord(app, id, word);
    if (word !== "back") continue;
    // Before its switch it ends at once, whatever it does; afterwards it listens to the word alone.
    await noteCanceller(app, id, lead);
    runner.stop?.();
  }
}

/** Tells what the run does until it has ended, and takes back one whose process was killed. */
async function untilEnd(app: App, id: string, { runner, listening }: Listening): Promise<number> {
  let isOver = false;
  const ended = runner.ended.finally(() => (isOver = true));
  const sink = lineSink((line) => tell({ is: "log", line: line.slice(0, 500) }));
  const following = follow(logOf(app, id), 0, ended, sink);
  const stages = watchStages(app, id, () => isOver);
  const code = await following;
  await stages;
  const past = await runOf(app, id);
  // Told to go back, or killed, before its first step: there is nothing to take back.
  if (past.state === "unfinished" && Object.keys(past.run.journal).length === 0)
    await endOf(past, app, code, { who: who() });
  else if (past.state === "unfinished") await takeBack(app);
  listening.isOver = true;
  await forgetCanceller(app, id);
  await forgetParts(app, id);
  await forgetWords(app, id);
  const { run } = await runOf(app, id);
  const step = Object.entries(run.journal).find(([, entry]) => entry.error !== undefined)?.[0] ?? null;
  const end = run.result?.code ?? code;
  tell({ is: "ended", code: end, error: run.result?.error ?? null, step, live: await app.live(), ...figuresOf(run) });
  return end;
}

const figuresOf = (run: Run) => {
  const { release, switchTime } = run.facts;
  return {
    release: idOf(typeof release === "string" ? release : null),
    switchTime: typeof switchTime === "number" ? switchTime : null,
    probes: probesOf(run),
  };
};

/** Tells each stage once, as the journal says it. */
async function watchStages(app: App, id: string, isOver: () => boolean): Promise<void> {
  const path = runFile(app, id);
  let before = "";
  const stages: [Told["is"], (run: Run) => boolean][] = [
    ["ready", ({ journal }) => journal["agree"] !== undefined],
    ["proven", ({ journal }) => journal["prove"] !== undefined],
    ["kept", ({ journal }) => journal["prove"]?.state === "ok"],
  ];
  for (let isLast = false; ;) {
    const stat = statSync(path, { throwIfNoEntry: false });
    const now = `${stat?.ino} ${stat?.ctimeMs}`;
    if (now !== before) {
      before = now;
      const run = JSON.parse(readFileSync(path, "utf8")) as Run;
      while (stages[0]?.[1](run) === true) tellStage(stages.shift()![0], run);
    }
    if (isLast) return;
    isLast = isOver();
    if (!isLast) await Bun.sleep(LOOK);
  }
}

function tellStage(is: Told["is"], run: Run): void {
  if (is === "proven") tell({ is, ...figuresOf(run) });
  else if (is === "ready" || is === "kept") tell({ is });
}

/** The run's process was killed: what it left is taken back now, not with the next deploy. */
async function takeBack(app: App): Promise<void> {
  const lock = await lockWhenFree(app, "dp peer run", () => undefined);
  try {
    await settle(
      app,
      "",
      receipt((line) => tell({ is: "log", line: line.slice(0, 500) })),
    );
  } finally {
    lock.release();
  }
}

/** The lines of a stream, as they come. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > 1024 * 1024) return undefined;
    yield* lines;
  }
  return undefined;
}
