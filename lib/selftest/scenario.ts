// The common parts of demo and self-test: an app that answers with its version, committed and pushed.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMMANDS } from "../access/served-hooks.ts";
import { hasGitUser } from "../git/owner.ts";
import { run } from "../host/run.ts";
import { SELF } from "../host/self.ts";
import { type, type Stage } from "./stage.ts";
import { template } from "../host/template.ts";

const git = (...args: string[]) => ["git", ...args];

/** Runs `dp`, shown as it would be typed. */
export const dp = (stage: Stage, ...args: string[]) => type(stage, `dp ${args.join(" ")}`, [...SELF, ...args]);

/** Runs `git push production main`. */
export const push = (stage: Stage, wanted: "succeeds" | "is refused" = "succeeds") =>
  type(stage, "git push production main", git("push", "production", "main"), wanted);

/** Makes the folder of the code, with a deploy.yml; `bun` is the start command where there is no python. */
export async function makeCode(stage: Stage, bun: string): Promise<void> {
  const { app, code, file, repo, env } = stage;
  await mkdir(code);
  const start = file === "server.py" ? "python3 server.py" : `${bun} server.ts`;
  await writeFile(join(code, "deploy.yml"), `name: ${app}\ntype: python\nhealthCheck: /\ncommand: ${start}\n`);
  await run(git("init", "--quiet", "--initial-branch=main"), { cwd: code, env });
  await run(git("remote", "add", "production", repo), { cwd: code, env });
  // The push of a server to itself: by ssh this command is found.
  const command = `${COMMANDS}/git-receive-pack`;
  if (hasGitUser()) await run(git("config", "remote.production.receivepack", command), { cwd: code, env });
}

/** Commits a version of the app, whose program begins with `first`. */
export async function commit(stage: Stage, version: number, message: string, first = ""): Promise<void> {
  const { code, file, env } = stage;
  const text = (await template(`demo/${file}`)).replace("version 1", `version ${version}`);
  await writeFile(join(code, file), first + text);
  await run(git("add", "--all"), { cwd: code, env });
  await type(stage, `git commit -m "${message}"`, git("commit", "--quiet", "-m", message));
}
