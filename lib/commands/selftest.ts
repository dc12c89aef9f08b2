// `dp selftest`: proves on this very server that a deploy keeps its promises, with a temporary app of its own.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { DpError, EXIT, exitCodeOf, messageOf } from "../errors.ts";
import { namedApp } from "../release/named-app.ts";
import { allPids } from "../host/process/proc.ts";
import { hasEnvironment, listener } from "../host/process/process.ts";
import { holder } from "../release/history.ts";
import { userExists, userOf } from "../host/users.ts";
import { makeStage, type Stage } from "../selftest/stage.ts";
import { destroy } from "./destroy.ts";
import { PROOFS, until } from "../selftest/proofs.ts";
import { unmountSmallDisk } from "../selftest/small-disk.ts";

/** The result of one proof. */
export interface Proof {
  step: string;
  /** "skipped": not possible on this server; "not run": an earlier one failed. */
  result: "passed" | "failed" | "skipped" | "not run";
  /** Milliseconds. */
  took: number;
  /** Why it failed or was skipped; otherwise empty. */
  why: string;
}

/**
 * Runs every proof; `told` gets a line when each step begins, and the output of one that failed. Answers the results
 * and the exit code. Throws DpError "interrupted" or "terminated" after the current command has ended and the app is
 * removed.
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

/** Ends running commands, removes the app, and checks that nothing is left. */
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
