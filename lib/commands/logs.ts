// `dp logs`: what the app says, or what a deploy said.
import { DpError } from "../errors.ts";
import { readEnvFile } from "../env-file.ts";
import { redactor } from "../env.ts";
import { readText } from "../files.ts";
import { follow, lineSink } from "../talk/follower.ts";
import { holder, liveId, runsOf } from "../release/history.ts";
import { makeIo, silentLog } from "../io.ts";
import { places, sequenceOf } from "../paths.ts";
import { managerOf } from "../release/manager.ts";
import { tail } from "../process/output.ts";
import { readServer } from "../server.ts";
import { logOf } from "./launch.ts";

export interface LogsOptions {
  follow: boolean;
  lines: number;
}

/** Prints the output of the live instance, secrets masked; with `follow` until SIGINT. */
export async function appLogs(app: string, options: LogsOptions, print: (line: string) => void): Promise<void> {
  const server = await readServer(app);
  const live = await liveId(app);
  if (live === null) throw new DpError("usage", `${app} has no live release yet`, { hint: `dp logs ${app} --deploy` });
  const clean = redactor(await readEnvFile(places(app).base, server.env));
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort(new DpError("interrupted", "interrupted")));
  process.once("SIGTERM", () => stop.abort(new DpError("terminated", "terminated")));
  const managed = await managerOf(server);
  const onLine = (line: string) => print(clean(line));
  await managed.logs({ app, id: live }, { ...options, onLine }, makeIo(silentLog, stop.signal));
}

/** Prints the log of a deploy, the newest without `wish`; with `follow` until the deploy has ended. */
export async function deployLogs(
  app: string,
  wish: string | undefined,
  options: LogsOptions,
  print: (line: string) => void,
): Promise<void> {
  await readServer(app);
  const runs = await runsOf(app);
  const found =
    wish === undefined ? runs.at(-1) : runs.findLast(({ id }) => id === wish || String(sequenceOf(id)) === wish);
  if (!found)
    throw new DpError(
      "usage",
      wish === undefined ? `${app} has no deploy yet` : `${app} has no deploy ${JSON.stringify(wish)}`,
      { hint: `dp releases ${app}` },
    );
  const log = logOf(app, found.id);
  const text = await readText(log);
  if (text === null) throw new DpError("usage", `${found.id} has no log: its steps were run by hand`);
  if (!options.follow || found.state !== "running") {
    for (const line of tail(text, options.lines)) print(line);
    return;
  }
  await follow(log, 0, ended(app, found.id), lineSink(print));
}

// The lock tells, not the log: it is free as soon as the deploy is over, however it ended.
async function ended(app: string, id: string): Promise<number> {
  while (holder(app)?.id === id) await Bun.sleep(100);
  return 0;
}
