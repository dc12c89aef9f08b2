// `dp fleet sync`: brings the other servers of an app to the release that is live here.
import type { App } from "../contracts/app.ts";
import { receipt } from "../deploy/log/receipt.ts";
import { lockNow } from "../deploy/queue.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { settle } from "../deploy/settle.ts";
import { DpError, EXIT } from "../errors.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { starter } from "../host/who.ts";
import { sequenceOf } from "../text/ids.ts";
import { fact } from "../pipeline/facts.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { openApp } from "../release/app.ts";
import { nothingLive } from "../release/first-deploy.ts";
import { runFile } from "../release/history.ts";
import { hello } from "../servers/ask.ts";
import { sendCommit } from "../servers/commit.ts";
import { openLine } from "../servers/line.ts";
import { LANGUAGE, type Hello, type Order } from "../servers/messages.ts";
import { hasServers, ownName } from "../servers/part.ts";

/** What became of a server. */
export interface Synced {
  server: string;
  state: "in line" | "brought" | "away" | "failed";
  live: string | null;
  /** Why it is away or failed. */
  error: string | null;
  code: number;
  /** In ms. */
  took: number;
}

/** The release that all should have. */
interface Goal {
  app: App;
  live: string;
  sha: string;
  subject: string;
}

/** Brings them in line, all at once; `say` gets a line for each that has ended. */
export async function sync(name: string, say: (line: string) => void): Promise<Synced[]> {
  const app = await openApp(name);
  if (!hasServers(app.server))
    throw new DpError("usage", `${name} has no other servers: config.yml has no servers`, {
      hint: "dp help servers",
    });
  requireUnlocked(app);
  const lock = await lockNow(app, `dp fleet sync ${name}`);
  try {
    // What a killed deploy left here is ended first: only then it is known what all should have.
    await settle(app, "", receipt(say));
    const live = await app.live();
    if (live === null) throw await nothingLive(app);
    const run = await load(runFile(app, live));
    const goal = { app, live, sha: factOf(run, "sha", fact.sha), subject: factOf(run, "subject", fact.subject) };
    const own = ownName(app.server);
    const others = Object.entries(app.server.servers).filter(([server]) => server !== own);
    return await Promise.all(
      others.map(async ([server, address]) => {
        const done = await bring(goal, server, address);
        say(syncedLine(done));
        return done;
      }),
    );
  } finally {
    lock.release();
  }
}

async function bring(goal: Goal, server: string, address: string): Promise<Synced> {
  const begun = performance.now();
  const there = await hello(goal.app.name, address);
  const none = { server, live: null, error: null, code: EXIT.ok as number };
  const took = () => Math.round(performance.now() - begun);
  if (typeof there === "string") return { ...none, state: "away", error: there, code: EXIT.host, took: took() };
  const isSame = there.live === goal.live || there.sha === goal.sha;
  if (isSame && there.isSettled) return { ...none, state: "in line", live: there.live, took: took() };
  try {
    const order = orderFor(goal, server, there);
    const io = makeIo(silentLog);
    if (order.kind === "deploy") await sendCommit(goal.app, goal.sha, { name: server, address, has: there.sha }, io);
    const line = openLine(server, address, goal.app.name, order);
    if ((await line.until("ready")) !== null) line.say("swap");
    if ((await line.until("proven")) !== null) line.say("keep");
    const { code, error, live, step } = await line.ended;
    if (code === EXIT.ok) return { ...none, state: "brought", live, took: took() };
    const why = `${step === null ? "" : `at ${step}: `}${error ?? `exit code ${code}`}`;
    return { ...none, state: "failed", live, error: why, code, took: took() };
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return { ...none, state: "failed", live: there.live, error: error.message, code: EXIT[error.exit], took: took() };
  }
}

/** Back to a release that it has, else a deploy of the commit, with the same ID where that is possible there. */
function orderFor({ app, live, sha, subject }: Goal, name: string, { next, good }: Hello): Order {
  const isThere = good.includes(live);
  const number = Math.max(next, isThere ? 0 : sequenceOf(live));
  return {
    v: LANGUAGE,
    id: `${number}-${sha.slice(0, 7)}`,
    kind: isThere ? "rollback" : "deploy",
    sha,
    subject: subject.slice(0, 400),
    by: starter().slice(0, 200),
    name,
    lead: ownName(app.server),
    roles: app.server.roles,
    to: isThere ? live : null,
    reason: "",
    changes: null,
    built: null,
    withEnv: false,
  };
}

/** `c        brought to 44-3f9c2ab in 8.2 s`. */
function syncedLine({ server, state, live, error, took }: Synced): string {
  const what = {
    "in line": `has ${live}`,
    brought: `brought to ${live} in ${(took / 1000).toFixed(1)} s`,
    away: `away: ${error}`,
    failed: `failed, ${live === null ? "nothing is live there" : `${live} serves there as before`}: ${error}`,
  };
  return `${server.padEnd(8)} ${what[state]}`;
}

/** The exit code of all: that of the first which is not in line. */
export const syncedCode = (all: readonly Synced[]): number => all.find(({ code }) => code !== EXIT.ok)?.code ?? EXIT.ok;
