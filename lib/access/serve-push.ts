// The root side of one push: git receives it as a user without rights, and its hooks ask here what to do.
import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from "node:fs";
import type { App, NamedApp } from "../contracts/app.ts";
import { deployMoved, moveBranch, storedLines, takeBack, type Pushing } from "../deploy/push.ts";
import { parseOptions } from "../deploy/push-options.ts";
import type { RefChange } from "../deploy/pushed-refs.ts";
import { codeOf, DpError, EXIT } from "../errors.ts";
import { duplicate } from "../host/process/libc.ts";
import { report } from "../main.ts";
import { openApp } from "../release/app.ts";
import { branchApart } from "../release/branch.ts";
import { say } from "../text/say.ts";
import { shown } from "../text/text.ts";
import { readRequests, type Request } from "./push-requests.ts";
import type { Receiving } from "./receiving.ts";

/** Serves one push; answers git's exit code. Whoever breaks git can speak for this push, and for nothing else. */
export async function servePush(app: NamedApp, { git, asked, answering, output }: Receiving): Promise<number> {
  const rehearsal = new AbortController();
  getReady(app, rehearsal.signal);
  const nothing = leaveClient();
  const push = { app, answering, output: outputOf(output, nothing), pushing: null, opened: null, moved: null } as Push;
  let turn = Promise.resolve();
  let isAsked = false;
  const take = (request: Request | DpError) => {
    isAsked = true;
    rehearsal.abort();
    turn = turn.then(() => answer(push, request));
  };
  const reading = readRequests(asked, take);
  const code = await git.exited;
  rehearsal.abort();
  // A hook of a git that was killed may have asked just before.
  if (code !== 0) await Promise.race([reading.done, Bun.sleep(50)]);
  await turn;
  if (push.moved !== null) await takeBack(app, push.moved);
  if (code === 0 && !isAsked) await tellWhatIsLive(app);
  return code;
}

/** Loads what a deploy in this process needs, and rehearses it, while git receives the commits. */
function getReady(app: NamedApp, signal: AbortSignal): void {
  if (process.env["DP_KEY"] !== undefined) return;
  const ready = import("../deploy/work.ts").then(async ({ loadDeploy }) => {
    await loadDeploy();
    signal.throwIfAborted();
    await (await import("../deploy/rehearsal.ts")).rehearse(app, signal);
  });
  ready.catch(() => undefined); // the deploy tells of it
}

// "Everything up-to-date" says nothing of a rollback: git's hooks do not run when no ref moves.
async function tellWhatIsLive(app: NamedApp): Promise<void> {
  try {
    const apart = await branchApart(await openApp(app.name));
    if (apart !== null) say(`dp: ${apart.what}; dp deploy ${app.name} deploys the branch`);
  } catch {
    // A damaged app is told about by every other command; this push has done nothing.
  }
}

/** One push under way. */
interface Push {
  app: NamedApp;
  /** The descriptor of the answers. */
  answering: number;
  output: Output;
  /** What pre-receive has told. */
  pushing: Pushing | null;
  opened: App | null;
  /** The branch whose new commit is live. */
  moved: RefChange | null;
}

// The client is git's: as long as this process held stdin and stdout as well, it could not see their end.
function leaveClient(): number {
  const nothing = openSync("/dev/null", "r+");
  for (const fd of [0, 1]) duplicate(nothing, fd);
  return nothing;
}

interface Output {
  /** Runs something whose output the hook shows; once. */
  during(work: () => Promise<number>, begin: () => void): Promise<number>;
}

/** The output of this process goes to the hook that waits, which reads it to its end. */
function outputOf(fd: number, nothing: number): Output {
  const pipeOf = readlinkSync(`/proc/self/fd/${fd}`);
  let isLeft = true;
  return {
    async during(work, begin) {
      if (!isLeft) return EXIT.usage;
      isLeft = false;
      for (const to of [1, 2]) duplicate(fd, to);
      closeSync(fd);
      begin();
      try {
        return await work();
      } catch (error) {
        return report(error);
      } finally {
        for (const to of openOn(pipeOf)) duplicate(nothing, to);
      }
    },
  };
}

// Bun makes copies of its stdout and stderr, and the hook reads to the end of them all.
function openOn(pipeOf: string): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === pipeOf;
      } catch {
        return false; // the descriptor of the folder itself
      }
    });
}

async function answer(push: Push, request: Request | DpError): Promise<void> {
  const loud = (work: () => Promise<number>) => push.output.during(work, () => tell(push, "follow"));
  let code: number;
  if (request instanceof DpError) code = await loud(() => Promise.reject(request));
  else if (request.hook === "pre-receive") code = await note(push, request, loud);
  else if (request.hook === "update") code = await update(push, request, loud);
  else code = await afterwards(push, request, loud);
  tell(push, `exit ${code}`);
}

type Loud = (work: () => Promise<number>) => Promise<number>;

/** Before any ref moves. */
async function note(push: Push, { refs, options }: Request, loud: Loud): Promise<number> {
  try {
    push.pushing = { refs, options: parseOptions(options) };
    return EXIT.ok;
  } catch (error) {
    return loud(() => Promise.reject(error as Error));
  }
}

const isSame = (a: RefChange, b: RefChange) => a.ref === b.ref && a.old === b.old && a.sha === b.sha;

/** The gate, once for each ref. */
async function update(push: Push, { refs: [change] }: Request, loud: Loud): Promise<number> {
  const { pushing } = push;
  if (change === undefined || pushing === null || !pushing.refs.some((ref) => isSame(ref, change))) return EXIT.usage;
  let lines: string[] | null;
  try {
    push.opened ??= await openApp(push.app.name);
    lines = storedLines(push.opened, change);
  } catch (error) {
    return loud(() => Promise.reject(error as Error));
  }
  const app = push.opened;
  for (const line of lines ?? []) tell(push, `say ${shown(line)}`);
  if (lines !== null) return EXIT.ok;
  const work = () => moveBranch(app, change, () => Promise.resolve(pushing));
  if (!app.server.gate) return quietly(work, loud);
  const code = await loud(work);
  if (code === EXIT.ok) push.moved = change;
  return code;
}

// With `gate: false` the output is for the deploy after the push.
async function quietly(work: () => Promise<number>, loud: Loud): Promise<number> {
  try {
    return await work();
  } catch (error) {
    return loud(() => Promise.reject(error as Error));
  }
}

/** After the refs have moved: with `gate: false` the deploy. */
async function afterwards({ opened, pushing }: Push, { refs }: Request, loud: Loud): Promise<number> {
  if (opened === null || pushing === null || opened.server.gate) return EXIT.ok;
  const moved = refs.filter((ref) => pushing.refs.some((told) => isSame(told, ref)));
  return loud(() => deployMoved(opened, moved, () => pushing.options));
}

// The hook may be gone, with its client.
function tell({ answering }: Push, line: string): void {
  try {
    writeSync(answering, `${line}\n`);
  } catch (error) {
    if (codeOf(error) !== "EPIPE") throw error;
  }
}
