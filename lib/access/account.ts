// The user dp: its home, its login shell, the gate, and the one line of sudo that joins them.
import { existsSync, lstatSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Drift } from "../contracts/check.ts";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { accountNamed, passwordField } from "../host/passwd.ts";
import { findProgram } from "../host/program.ts";
import { BUN, SELF } from "../host/self.ts";
import { render, shellQuote, template } from "../host/template.ts";
import { root, SYSTEM_PATH } from "../paths.ts";
import { authorizedKeysFile, gateFile, keysFile, LOGIN, loginHome, shellFile, sudoersFile } from "./places.ts";
import { requireRootsOwn } from "./roots-own.ts";

/** A file of the account, or a folder when it has no text. */
interface Item {
  path: string;
  mode: number;
  text: string | null;
}

// The folders before what is in them.
async function items(): Promise<Item[]> {
  const sudo = (await findProgram("sudo", SYSTEM_PATH)) ?? "/usr/bin/sudo";
  const gate = gateFile();
  const words = { program: shellQuote(SELF[0]!), dp: SELF.map(shellQuote).join(" ") };
  const shell = render(await template("access/login.sh"), { sudo: shellQuote(sudo), gate: shellQuote(gate) });
  return [
    { path: dirname(keysFile()), mode: 0o755, text: null },
    { path: loginHome(), mode: 0o755, text: null },
    { path: dirname(authorizedKeysFile()), mode: 0o755, text: null },
    { path: dirname(gate), mode: 0o755, text: null },
    { path: shellFile(), mode: 0o755, text: shell },
    { path: gate, mode: 0o755, text: render(await template("access/gate.sh"), words) },
    { path: sudoersFile(), mode: 0o440, text: render(await template("access/sudoers"), { gate }) },
  ];
}

/** Whether keys are used here: the first `dp keys add` makes their login. */
export const hasAccount = () =>
  process.getuid?.() === 0 && root() === "" && (existsSync(keysFile()) || existsSync(shellFile()));

/** Makes the account, or mends it; answers one sentence for each change. Throws DpError "host" where it cannot be had. */
export async function setUpAccount(io: Io): Promise<string[]> {
  await requireSudo();
  requireRootsOwn(BUN, SELF[0]!, SELF.at(-1)!);
  requireOurs();
  const changes: string[] = [];
  const mask = process.umask(0o022);
  try {
    for (const item of await items()) changes.push(...(await make(item, io)));
  } finally {
    process.umask(mask);
  }
  if (accountNamed(LOGIN) === null) {
    const options = ["--system", "--user-group", "--no-create-home", "--home-dir", loginHome(), "--shell", shellFile()];
    // With the "!" that useradd writes, sshd lets nobody in where it does without PAM.
    await io.run(["useradd", ...options, "--password", "*", LOGIN], { quiet: true });
    changes.push(`made the system user ${LOGIN}`);
  } else if (passwordField(LOGIN) !== "*") {
    await io.run(["usermod", "--password", "*", LOGIN], { quiet: true });
    changes.push(`took the password of ${LOGIN} away`);
  }
  return changes;
}

async function requireSudo(): Promise<void> {
  for (const name of ["sudo", "visudo"])
    if ((await findProgram(name, SYSTEM_PATH)) === null)
      throw new DpError("host", `keys need ${name}, by which the login reaches dp`, { hint: "apt-get install sudo" });
}

/** A user of that name that somebody else made stays as it is, and so does a home that its user could fill. */
function requireOurs(): void {
  const drift = userDrift().find(({ kind }) => kind === "foreign");
  if (drift) throw new DpError("host", drift.what, { hint: drift.path });
}

async function make({ path, mode, text }: Item, io: Io): Promise<string[]> {
  if (text === null) {
    const isNew = (await mkdir(path, { recursive: true, mode })) !== undefined;
    await chown(path, 0, 0);
    await chmod(path, mode);
    return isNew ? [`made ${path}`] : [];
  }
  if ((await readText(path)) === text && problemOf({ path, mode, text }) === null) return [];
  if (path === sudoersFile()) await requireValid(text, io);
  await writeFileAtomic(path, text, mode, [0, 0]);
  return [`wrote ${path}`];
}

/** Checks the line of sudo before sudo reads it: with a mistake in it nobody could use sudo any more. */
async function requireValid(text: string, io: Io): Promise<void> {
  const file = `${dirname(gateFile())}/sudoers.tmp`;
  await writeFileAtomic(file, text, 0o440, [0, 0]);
  try {
    await io.run(["visudo", "-c", "-q", "-f", file], { quiet: true });
  } finally {
    await io.run(["rm", "-f", "--", file], { quiet: true });
  }
}

/** What is wrong with owner, kind or mode of a file; null: nothing. */
function problemOf({ path, mode, text }: Item): string | null {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return `${path} is missing`;
  if (text === null ? !found.isDirectory() : !found.isFile()) return `${path} is something else`;
  if (found.uid !== 0) return `${path} belongs to uid ${found.uid}, not to root`;
  const now = found.mode & 0o7777;
  return now === mode ? null : `${path} has mode ${now.toString(8)}, not ${mode.toString(8)}`;
}

/** The user dp, when it is not as dp makes it. The path of something foreign is what to type. */
function userDrift(): Drift[] {
  const account = accountNamed(LOGIN);
  const home = lstatSync(loginHome(), { throwIfNoEntry: false });
  const drift: Drift[] = [];
  if (account !== null && (account.home !== loginHome() || account.shell !== shellFile()))
    drift.push({
      path: `usermod --home ${loginHome()} --shell ${shellFile()} ${LOGIN}, if nobody needs it otherwise`,
      kind: "foreign",
      what: `the user ${LOGIN} has the home ${account.home} and the shell ${account.shell}: it is not the one that dp makes`,
    });
  if (home !== undefined && home.uid !== 0)
    drift.push({
      path: `rm -r ${loginHome()}, and dp keys add makes it anew`,
      kind: "foreign",
      what: `${loginHome()} belongs to uid ${home.uid}, who could let in any key`,
    });
  return drift;
}

/** Everything of the account that differs from what dp makes, but for authorized_keys. */
export async function accountDrift(): Promise<Drift[]> {
  const drift = userDrift();
  if (accountNamed(LOGIN) === null) drift.push({ path: LOGIN, kind: "missing", what: `there is no user ${LOGIN}` });
  else if (passwordField(LOGIN) !== "*")
    drift.push({ path: LOGIN, kind: "changed", what: `the user ${LOGIN} has another password field than "*"` });
  const files: Item[] = [...(await items()), { path: keysFile(), mode: 0o600, text: "" }];
  for (const item of files) {
    const what = problemOf(item);
    const isTold = item.path === loginHome() && what?.includes("belongs to");
    if (isTold) continue;
    if (what !== null) drift.push({ path: item.path, kind: "changed", what });
    else if (item.text && (await readText(item.path)) !== item.text)
      drift.push({ path: item.path, kind: "changed", what: `${item.path} is not as dp writes it` });
  }
  return drift;
}
