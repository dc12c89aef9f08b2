// The static server's process: `bun … lib/apps/static/process.ts FOLDER`, in the foreground, until SIGTERM.
import { chmodSync, mkdirSync, openSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { version } from "../../../package.json";
import { DpError, messageOf } from "../../errors.ts";
import { tryFlock } from "../../host/process/libc.ts";
import { notify } from "../../fronts/relay/systemd.ts";
import { print, say } from "../../text/say.ts";
import { served, stopAll, sync } from "./listeners.ts";
import type { Status } from "./client.ts";
import { runFolder } from "./site.ts";

/** Answers dp: `GET /status`, and `POST /sync`, which reloads the sites and then answers the same. */
function listenControl(folder: string): Promise<void> {
  const path = join(runFolder(folder), "control.sock");
  rmSync(path, { force: true }); // its owner is gone, or it would hold the lock
  const server = createServer((request, response) => {
    const done = request.method === "POST" && request.url === "/sync" ? sync(folder) : Promise.resolve();
    void done.then(
      () => response.end(JSON.stringify({ pid: process.pid, version, sites: served() } satisfies Status)),
      (error: unknown) => response.writeHead(500).end(messageOf(error)),
    );
  });
  return new Promise((listening, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      listening();
    });
  });
}

/** Starts the static server: its sites accept connections when this returns. Throws DpError "host". */
export async function startStatic(folder: string): Promise<void> {
  mkdirSync(runFolder(folder), { recursive: true, mode: 0o700 });
  if (!tryFlock(openSync(join(runFolder(folder), "static.lock"), "a", 0o600)))
    throw new DpError("host", `another static server runs in ${folder}`);
  await sync(folder);
  await listenControl(folder);
  notify("READY=1");
  print(`the static server runs with ${served().length} sites, pid ${process.pid}`);
}

/** The whole program. Exits when it cannot start. */
export async function main(folder?: string): Promise<void> {
  process.on("SIGHUP", () => undefined);
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => void stopAll().then(() => process.exit(0)));
  try {
    if (folder === undefined) throw new DpError("usage", "usage: process.ts FOLDER");
    await startStatic(resolve(folder));
  } catch (error) {
    say(`dp static: ${messageOf(error)}`);
    process.exit(error instanceof DpError && error.exit === "usage" ? 2 : 8);
  }
}

if (import.meta.main) void main(process.argv[2]);
