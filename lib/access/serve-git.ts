// Serves git over the caller's stdin and stdout: one push to, or fetch from, the repository of one app.
import { existsSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { gitUserEnv } from "../git/git.ts";
import { GIT_USER, hasGitUser, ownerOf } from "../git/owner.ts";
import { makeIo, silentLog } from "../host/io.ts";
import type { Account } from "../host/passwd.ts";
import { program } from "../host/process/privilege.ts";
import { plainEnv } from "../host/run.ts";
import { loginEnv } from "../host/who.ts";
import { beginReceiving } from "./receiving.ts";
import { hooksFolder, readyHooks } from "./served-hooks.ts";

/** The half of git's protocol that a server speaks. */
export type GitService = "receive-pack" | "upload-pack";

/** The service of that name. Throws DpError "usage" for any other. */
export function gitService(name: string): GitService {
  if (name === "receive-pack" || name === "upload-pack") return name;
  throw new DpError("usage", `${JSON.stringify(name)} is not a service of git`, {
    hint: "receive-pack or upload-pack",
  });
}

/**
 * Runs that service of git for the app's repository until the client is done; answers the exit code. Git runs as its own
 * user where there is one, and what a push deploys is begun here. After a push the caller must exit: a hanging file
 * operation of a deploy would keep it alive.
 */
export async function serveGit(app: NamedApp, service: GitService): Promise<number> {
  const account = await userFor(app);
  if (account === null) return asBefore(app, service);
  if (service === "upload-pack") return spawnGit(app, { service, account }).exited;
  const receiving = beginReceiving((stdio) => spawnGit(app, { service, account, stdio }));
  try {
    const { servePush } = await import("./serve-push.ts");
    return await servePush(app, receiving);
  } catch (error) {
    // Its hooks would wait for an answer for ever.
    receiving.git.kill();
    throw error;
  }
}

/** Git's user, when the repository belongs to it; one of an earlier dp is given to it first. */
async function userFor(app: NamedApp): Promise<Account | null> {
  const { repo } = app.places;
  if (!hasGitUser() || !existsSync(repo)) return null;
  const { giveAway } = await import("./give-away.ts");
  await readyHooks();
  if (!(await giveAway(app, makeIo(silentLog)))) return null;
  const account = ownerOf(repo);
  if (account === null)
    throw new DpError("host", `${repo} does not belong to ${GIT_USER}`, { hint: `dp setup ${app.name}` });
  return account;
}

/** Without root: git as dp's own user, with the hooks in the repository. */
function asBefore(app: NamedApp, service: GitService): Promise<number> {
  const git = Bun.spawn(["git", service, app.places.repo], {
    cwd: "/",
    // The hooks are dp again, on behalf of the same person.
    env: withProtocol({ ...plainEnv(), ...loginEnv() }),
    stdio: ["inherit", "inherit", "inherit"],
  });
  return git.exited;
}

interface Served {
  service: GitService;
  account: Account;
  /** The descriptors 3, 4 and 5 of git and its hooks. */
  stdio?: readonly number[];
}

/** Starts git as its user, without a way to other rights. The settings here stand above those in the repository. */
function spawnGit({ name, places }: NamedApp, { service, account, stdio = [] }: Served) {
  const drop = ["--reuid", `${account.uid}`, "--regid", `${account.gid}`, "--clear-groups"];
  const confined = [...drop, "--no-new-privs", "--inh-caps=-all", "--"];
  const env = withProtocol(gitUserEnv());
  env["DP_SERVES"] = "1";
  env["DP_APP"] = name;
  return Bun.spawn([program("setpriv"), ...confined, "git", ...settings(), service, places.repo], {
    cwd: "/",
    env,
    stdio: ["inherit", "inherit", "inherit", ...stdio],
  });
}

function settings(): string[] {
  const values = [
    `core.hooksPath=${hooksFolder()}`,
    "receive.advertisePushOptions=true",
    "receive.fsckObjects=true",
    "receive.shallowUpdate=true",
    "receive.denyDeleteCurrent=ignore",
    "transfer.hideRefs=refs/dp",
  ];
  return values.flatMap((value) => ["-c", value]);
}

function withProtocol(env: Record<string, string>): Record<string, string> {
  const protocol = process.env["GIT_PROTOCOL"] ?? "";
  if (/^version=[0-2]$/.test(protocol)) env["GIT_PROTOCOL"] = protocol;
  return env;
}
