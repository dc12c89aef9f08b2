// What git obeys when dp serves it, in places that only root can write: the hooks of a push, and the commands that ssh
// finds before git's own.
import { lstatSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Drift } from "../contracts/check.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { rootsLogin } from "../host/passwd.ts";
import { SELF } from "../host/self.ts";
import { render, shellQuote, template } from "../host/template.ts";
import { gitFolder, repositories, SYSTEM_PATH } from "../paths.ts";

const HOOKS = ["pre-receive", "update", "post-receive"] as const;
const SERVICES = ["git-receive-pack", "git-upload-pack"] as const;
const MARKER = "# written by dp:";

/** The first folder of sshd's PATH in which nothing of a distribution lies. */
export const COMMANDS = "/usr/local/bin";

/** The folder of the hooks, git's `core.hooksPath`. */
export const hooksFolder = () => join(gitFolder(), "hooks");

const hookText = async () => render(await template("git/hook.sh"), { commands: COMMANDS });

async function commandText(): Promise<string> {
  const dp = SELF.map(shellQuote).join(" ");
  return render(await template("git/command.sh"), { program: shellQuote(SELF[0]!), dp, repositories: repositories() });
}

/** Every file, with its text. */
async function files(): Promise<[path: string, text: string][]> {
  return [...(await hookFiles()), ...(await commandFiles())];
}

async function hookFiles(): Promise<[path: string, text: string][]> {
  const text = await hookText();
  return HOOKS.map((hook) => [join(hooksFolder(), hook), text]);
}

async function commandFiles(): Promise<[path: string, text: string][]> {
  const text = await commandText();
  return SERVICES.map((service) => [join(COMMANDS, service), text]);
}

/** Writes the hooks if they differ from those of this dp. Before each push: git runs none that it cannot find. */
export async function readyHooks(): Promise<void> {
  for (const folder of [gitFolder(), hooksFolder()]) await mkdir(folder, { recursive: true, mode: 0o755 });
  for (const [path, text] of await hookFiles()) await ready(path, text);
}

async function ready(path: string, text: string): Promise<"wrote" | "changed" | null> {
  const now = await readText(path);
  const isRunnable = (lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o111;
  if (now === text && isRunnable) return null;
  await writeFileAtomic(path, text, 0o755);
  return now === null ? "wrote" : "changed";
}

/** Writes all that differs; answers one sentence for each change. Somebody else's file stays. */
export async function setupServing(): Promise<string[]> {
  await readyHooks();
  for (const folder of [gitFolder(), hooksFolder()]) await chmod(folder, 0o755);
  const changes: string[] = [];
  for (const [path, text] of await commandFiles()) {
    const now = await readText(path);
    if (now !== null && !now.includes(MARKER)) continue;
    const how = await ready(path, text);
    if (how !== null) changes.push(`${how} ${path}`);
  }
  return changes;
}

/** What ssh starts for a push as root, asked of root's own shell as sshd starts it; null: it cannot be found out. */
export async function foundBySsh(io: Io): Promise<string | null> {
  const { shell, home } = rootsLogin();
  const path = /^PATH="?([^"\n]*)"?$/m.exec((await readText("/etc/environment")) ?? "")?.[1] ?? SYSTEM_PATH;
  // A shell that sshd starts is told by this variable, and bash then reads its .bashrc.
  const env = { HOME: home, SHELL: shell, USER: "root", LOGNAME: "root", PATH: path, SSH_CLIENT: "127.0.0.1 1 22" };
  const argv = [shell, "-c", `command -v ${SERVICES[0]}`];
  const { code, text } = await io.run(argv, { env, check: false, quiet: true, timeout: 10_000 });
  return code === 0 ? (text.split("\n").at(-1) ?? null) : null;
}

/** The files that differ from those of this dp, or that cannot be run. */
export async function servingDrift(): Promise<Drift[]> {
  const wrong: Drift[] = [];
  for (const [path, text] of await files()) {
    const now = await readText(path);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (now === null || stat === undefined) wrong.push({ path, kind: "missing", what: `${path} is missing` });
    else if (!now.includes(MARKER))
      wrong.push({ path, kind: "foreign", what: `${path} is not dp's: a push as root would go past dp` });
    else if (now !== text) wrong.push({ path, kind: "changed", what: `${path} is from another version of dp` });
    else if (stat.uid !== 0 || (stat.mode & 0o022) !== 0)
      wrong.push({ path, kind: "changed", what: `${path} can be changed by others than root` });
    else if ((stat.mode & 0o111) === 0) wrong.push({ path, kind: "changed", what: `${path} cannot be run` });
  }
  return wrong;
}
