// Git that receives a push, with the pipes by which its hooks ask: begun before what answers them is loaded.
import { closeSync } from "node:fs";
import { leaveSession, pipe } from "../host/process/libc.ts";

/** Starts git with these descriptors as 3, 4 and 5 of it and its hooks. */
export type Spawn = (stdio: readonly number[]) => Bun.Subprocess;

/** Git at work, and dp's ends of the pipes. */
export interface Receiving {
  git: Bun.Subprocess;
  /** What the hooks ask is read here. */
  asked: number;
  /** The answers are written here. */
  answering: number;
  /** The output of a deploy, which the hook shows. */
  output: number;
}

export function beginReceiving(spawn: Spawn): Receiving {
  // A deploy outlives git, its client and the terminal. The session of a key may be ended: there the deploy is another
  // process.
  if (process.env["DP_KEY"] === undefined) leaveSession();
  const [asked, asking] = pipe();
  const [answers, answering] = pipe();
  const [shownOutput, output] = pipe();
  const git = spawn([asking, answers, shownOutput]);
  for (const fd of [asking, answers, shownOutput]) closeSync(fd);
  process.env["DP_RECEIVER"] = String(git.pid);
  return { git, asked, answering, output };
}
