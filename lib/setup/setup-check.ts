// The last check of `dp setup`: the result, as the first push will find it.
import { constants } from "node:fs";
import { access, chmod, stat } from "node:fs/promises";
import { join } from "node:path";
import type { App } from "../contracts/app.ts";
import { hooksFolder } from "../access/served-hooks.ts";
import { envFile, readEnvFile } from "../config/env-file.ts";
import { DpError, messageOf } from "../errors.ts";
import { git, gitUserEnv } from "../git/git.ts";
import { ownerOf } from "../git/owner.ts";
import type { Io } from "../host/io.ts";
import { SELF } from "../host/self.ts";
import { idsOf } from "../host/users.ts";

/** Throws DpError "host" with everything that would make the first push fail. */
export async function checkSetup({ name, places, server, manager }: App, io: Io): Promise<void> {
  const { base, repo, home } = places;
  const env = envFile(base, server.env);
  const account = ownerOf(repo) ?? undefined;
  const hooks = account ? hooksFolder() : join(repo, "hooks");
  const canRun = (path: string) =>
    account ? io.run(["test", "-x", path], { account, env: gitUserEnv(), quiet: true }) : access(path, constants.X_OK);
  const checks: Record<string, () => Promise<unknown>> = {
    "dp starts itself": () => io.run([...SELF, "--version"], { quiet: true }),
    "the hook pre-receive can run": () => canRun(join(hooks, "pre-receive")),
    "the hook update can run": () => canRun(join(hooks, "update")),
    "the hook post-receive can run": () => canRun(join(hooks, "post-receive")),
    "git finds the repository": () => git(repo, ["rev-parse", "--is-bare-repository"]),
    "the app's user can enter its home": () => io.run(["test", "-w", home], { user: server.user, quiet: true }),
    "the env file is readable": () => readEnvFile(base, server.env),
    "the env file is closed to others": async () => {
      if ((await stat(env)).mode & 0o077) await chmod(env, 0o600);
    },
    "the manager answers": () => manager.instances(name),
    "the app's user exists": async () => server.user && idsOf(server.user),
  };
  const problems: string[] = [];
  for (const [what, check] of Object.entries(checks)) {
    try {
      await check();
    } catch (error) {
      problems.push(`${what}: ${messageOf(error)}`);
      if (error instanceof DpError) problems.push(...error.lines.map((line) => `  ${line}`));
    }
  }
  if (problems.length > 0)
    throw new DpError("host", "the setup is not complete", {
      lines: problems,
      hint: `mend that and run again: dp setup ${name}`,
    });
}
