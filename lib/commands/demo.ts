// `dp demo`: a real deploy in a temp folder: push, push again, break it, roll back. Nothing stays.
import { DpError, EXIT } from "../errors.ts";
import { answers, BREAK, leaveNothing, makeStage, type, type Stage } from "../selftest/stage.ts";
import { commit, dp, makeCode, push } from "../selftest/scenario.ts";

/** Shows a deploy from nothing to rollback; answers the exit code. Throws DpError when something goes wrong. */
export async function demo(print: (line: string) => void): Promise<number> {
  const leave = new AbortController();
  const stage = await makeStage("demo", print, "server");
  process.once("SIGINT", () => leave.abort(new DpError("interrupted", "the demo was interrupted")));
  process.once("SIGTERM", () => leave.abort(new DpError("terminated", "the demo was stopped")));
  try {
    for (const part of [prepare, pushFirst, pushSecond, pushBroken, rollBack]) {
      await part(stage);
      leave.signal.throwIfAborted();
    }
  } catch (error) {
    // The current command got the same signal, and may have ended first.
    leave.signal.throwIfAborted();
    throw error;
  } finally {
    await leaveNothing(stage);
  }
  print("");
  print(`That was all: three pushes, one of them refused, and a rollback. ${stage.folder} is removed again.`);
  return EXIT.ok;
}

async function prepare(stage: Stage): Promise<void> {
  const { app, code, port, print } = stage;
  await makeCode(stage, "bun");
  print(`The server, in a folder: ${process.env["DP_ROOT"]}`);
  await dp(stage, "setup", app, "--port", String(port), "--manager", "builtin");
  print(`\nThe app, in another: ${code}`);
  await type(stage, "cat deploy.yml", ["cat", "deploy.yml"]);
}

async function pushFirst(stage: Stage): Promise<void> {
  await commit(stage, 1, "Say hello");
  await push(stage);
  await answers(stage, "version 1");
}

async function pushSecond(stage: Stage): Promise<void> {
  await commit(stage, 2, "Say hello again");
  await push(stage);
  await answers(stage, "version 2");
}

async function pushBroken(stage: Stage): Promise<void> {
  await commit(stage, 2, "Break it", BREAK[stage.file]);
  await push(stage, "is refused");
  stage.print("\nThe push was refused, and version 2 still answers:");
  await answers(stage, "version 2");
}

async function rollBack(stage: Stage): Promise<void> {
  await dp(stage, "rollback", stage.app);
  await answers(stage, "version 1");
  await dp(stage, "releases", stage.app);
}
