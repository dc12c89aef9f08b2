// A deploy as a process of its own, and whoever started it as its reader.
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { follow } from "../follower.ts";
import { places } from "../paths.ts";
import { SELF, selfEnv } from "../self.ts";

/** The log of a run. */
export function logOf(app: string, id: string): string {
  return join(places(app).logs, `${id}.log`);
}

/**
 * Runs a begun deploy in a process of its own session, which survives this one, and prints its log until it
 * ends. Answers its exit code.
 */
export async function launch(app: string, id: string, from?: string): Promise<number> {
  mkdirSync(places(app).logs, { recursive: true, mode: 0o750 });
  const log = logOf(app, id);
  const fd = openSync(log, "a", 0o640);
  const start = Bun.file(log).size;
  const argv = [...SELF, "work", app, id, ...(from === undefined ? [] : ["--from", from])];
  const worker = Bun.spawn(argv, { cwd: "/", env: selfEnv(), stdin: "ignore", stdout: fd, stderr: fd, detached: true });
  closeSync(fd);
  return follow(log, start, worker.exited);
}
