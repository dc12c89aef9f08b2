// `dp selftest`: proves on this very server that a deploy keeps its promises, with an app of its own that goes again.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { DpError, EXIT, exitCodeOf, messageOf } from "../errors.ts";
import { namedApp } from "../release/app.ts";
import { allPids } from "../host/process/proc.ts";
import { hasEnvironment, listener } from "../host/process/process.ts";
import { holder } from "../release/history.ts";
import { userExists, userOf } from "../host/users.ts";
import { makeStage, type Stage } from "../selftest/stage.ts";
import { destroy } from "./destroy.ts";
import { PROOFS, until } from "../selftest/proofs.ts";
import { unmountSmallDisk } from "../selftest/small-disk.ts";

/** One thing that was tried. */
export interface Proof {
  step: string;
  /** "skipped": it cannot be tried here; "not run": one before it failed. */
  result: "passed" | "failed" | "skipped" | "not run";
  /** Milliseconds. */
  took: number;
  /** Why it failed, or was skipped; empty while all is well. */
  why: string;
}

/**
 * Proves all of it; `told` gets a line for each step that begins, and what was said in one that failed. Answers what came
 * of each, and the exit code. Throws DpError "interrupted" or "terminated": the command at hand ends first, and the app goes.
 */
export async function selftest(told: (line: string) => void): Promise<{ proofs: Proof[]; code: number }> {
  const leave = new AbortController();
  process.once("SIGINT", () => leave.abort(new DpError("interrupted", "the self-test was interrupted")));
  process.once("SIGTERM", () => leave.abort(new DpError("terminated", "the self-test was stopped")));
  const name = `dp-selftest-${crypto.getRandomValues(new Uint16Array(1))[0]!.toString(36).padStart(4, "0")}`;
  let said: string[] = [];
  const stage = await makeStage(name, (line) => said.push(line));
  const proofs: Proof[] = [];
  let code: number = EXIT.ok;
  for (const [step, prove] of [...PROOFS, ["destroy the app: nothing is left", leaveNothing] as const]) {
    const isLast = prove === leaveNothing;
    if ((code !== EXIT.ok || leave.signal.aborted) && !isLast) {
      proofs.push({ step, result: "not run", took: 0, why: "" });
      continue;
    }
    told(step);
    said = [];
    const begun = performance.now();
    const proof: Proof = { step, result: "passed", took: 0, why: "" };
    try {
      const why = await prove(stage);
      if (why) Object.assign(proof, { result: "skipped", why });
    } catch (error) {
      Object.assign(proof, { result: "failed", why: messageOf(error) });
      code ||= exitCodeOf(error);
      said.flatMap((line) => line.split("\n")).forEach((line) => told(`  ${line}`));
    }
    proofs.push({ ...proof, took: Math.round(performance.now() - begun) });
  }
  leave.signal.throwIfAborted();
  return { proofs, code };
}

/** Ends what is under way, takes the app away, and looks whether that is all. */
async function leaveNothing({ app: name, folder, port }: Stage): Promise<void> {
  const app = namedApp(name);
  const { base, repo, logs, home } = app.places;
  await rm(folder, { recursive: true, force: true });
  if (!existsSync(base) && !existsSync(repo)) return;
  const pid = holder(app)?.pid;
  if (pid !== undefined) process.kill(pid, "SIGTERM");
  await until("the end of the deploy", async () => holder(app) === null);
  await unmountSmallDisk(name);
  await destroy(name, { purge: true });
  const left = [base, repo, logs].filter(existsSync);
  if (userExists(userOf(name))) left.push(`the user ${userOf(name)}`);
  if ((await listener(port)).length > 0) left.push(`port ${port}`);
  for (const each of allPids()) if (hasEnvironment(each, `HOME=${home}`)) left.push(`process ${each}`);
  if (left.length > 0) throw new DpError("command", `still there: ${left.join(", ")}`);
}
