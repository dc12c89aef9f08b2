// `dp demo`: the main job for real, in a temp folder: push, push again, break it, go back. Nothing stays.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DpError, EXIT } from "../errors.ts";
import { run } from "../run.ts";
import { SELF } from "../self.ts";
import { answers, APP, BREAK, leaveNothing, makeStage, type, type Stage } from "../stage.ts";
import { template } from "../template.ts";

/** Shows a deploy from nothing to rollback; answers the exit code. Throws DpError when something is not as it should be. */
export async function demo(print: (line: string) => void): Promise<number> {
  const stage = await makeStage(print);
  const leave = new AbortController();
  process.once("SIGINT", () => leave.abort(new DpError("interrupted", "the demo was interrupted")));
  process.once("SIGTERM", () => leave.abort(new DpError("terminated", "the demo was stopped")));
  try {
    for (const part of [prepare, pushFirst, pushSecond, pushBroken, goBack]) {
      await part(stage);
      leave.signal.throwIfAborted();
    }
  } catch (error) {
    // What was under way had the same signal, and may have ended first.
    leave.signal.throwIfAborted();
    throw error;
  } finally {
    await leaveNothing(stage);
  }
  print("");
  print(`That was all of it: three pushes, one refused, and the way back. ${stage.folder} is gone again.`);
  return EXIT.ok;
}

const git = (...args: string[]) => ["git", ...args];
const dp = (stage: Stage, ...args: string[]) => type(stage, `dp ${args.join(" ")}`, [...SELF, ...args]);
const push = (stage: Stage, wanted: "succeeds" | "is refused" = "succeeds") =>
  type(stage, "git push production main", git("push", "production", "main"), wanted);

async function commit(stage: Stage, message: string): Promise<void> {
  await run(git("add", "--all"), { cwd: stage.code, env: stage.env });
  await type(stage, `git commit -m "${message}"`, git("commit", "--quiet", "-m", message));
}

async function prepare(stage: Stage): Promise<void> {
  const { code, server, port, file, print } = stage;
  await mkdir(code);
  print(`A server in a folder: ${server}`);
  await dp(stage, "setup", APP, "--port", String(port), "--manager", "builtin");
  const start = file === "server.py" ? "python3 server.py" : "bun server.ts";
  await writeFile(join(code, "deploy.yml"), `name: ${APP}\ntype: python\nhealthCheck: /\ncommand: ${start}\n`);
  await writeFile(join(code, file), await template(`demo/${file}`));
  print(`\nAn app in another: ${code}`);
  await type(stage, "cat deploy.yml", ["cat", "deploy.yml"]);
  await run(git("init", "--quiet", "--initial-branch=main"), { cwd: code, env: stage.env });
  await run(git("remote", "add", "production", join(server, "var/repos", `${APP}.git`)), { cwd: code, env: stage.env });
}

async function pushFirst(stage: Stage): Promise<void> {
  await commit(stage, "Say hello");
  await push(stage);
  await answers(stage, "version 1");
}

async function pushSecond(stage: Stage): Promise<void> {
  const path = join(stage.code, stage.file);
  await writeFile(path, (await readFile(path, "utf8")).replace("version 1", "version 2"));
  await commit(stage, "Say hello again");
  await push(stage);
  await answers(stage, "version 2");
}

async function pushBroken(stage: Stage): Promise<void> {
  const path = join(stage.code, stage.file);
  await writeFile(path, BREAK[stage.file] + (await readFile(path, "utf8")));
  await commit(stage, "Break it");
  await push(stage, "is refused");
  stage.print("\nThe push was refused, and version 2 still answers:");
  await answers(stage, "version 2");
}

async function goBack(stage: Stage): Promise<void> {
  await dp(stage, "rollback", APP);
  await answers(stage, "version 1");
  await dp(stage, "releases", APP);
}
