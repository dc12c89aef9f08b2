// `dp keys`: who may log in as dp, with which keys, for which apps, in which role.
import { setUpAccount } from "../access/account.ts";
import { changeHolders } from "../access/change.ts";
import { holders, type HeldKey, type Holder } from "../access/keys-file.ts";
import { newKeyPair } from "../access/new-key.ts";
import { proveLogin } from "../access/proof.ts";
import { fingerprintOf, publicKeyIn, type PublicKey } from "../access/public-key.ts";
import { isLess, type Granted } from "../access/role.ts";
import { endSessions } from "../access/sessions.ts";
import { forgetUse, lastUse } from "../access/uses.ts";
import { appNames, noSuchApp } from "../config/server.ts";
import { DpError, EXIT } from "../errors.ts";
import { audit } from "../host/audit.ts";
import { readText } from "../host/files.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { starter, who } from "../host/who.ts";
import { isAppName, root } from "../paths.ts";
import { table, when } from "../text/table.ts";
import { didYouMean } from "../text/suggestion.ts";
import { say } from "../text/say.ts";

const io = makeIo(silentLog);

/** One key of somebody. */
export interface KeyRow {
  name: string;
  /** App -> role, or two: `operate,server`. */
  apps: Record<string, Granted>;
  /** `SHA256:…`. */
  key: string;
  type: string;
  /** ISO 8601. */
  added: string;
  by: string;
  /** When it was last used, or null. */
  last: string | null;
}

/** Every key, sorted by the name of its holder. */
export async function keyRows(): Promise<KeyRow[]> {
  return (await holders()).flatMap(({ name, apps, keys }) =>
    keys.map((key) => {
      const { type, added, by } = key;
      const print = fingerprintOf(key);
      const roles = Object.fromEntries(apps.map(({ app, role }) => [app, role]));
      return { name, apps: roles, key: print, type, added, by, last: lastUse(print) };
    }),
  );
}

/** The same for people: a line for each role of each key. */
export function keyLines(rows: readonly KeyRow[]): string[] {
  if (rows.length === 0) return ["no key yet: dp keys add NAME --app APP --role view|push|operate < FILE.pub"];
  const lines = rows.flatMap(({ name, apps, key, added, last }) => {
    const roles = Map.groupBy(Object.entries(apps), ([, role]) => role);
    const sets = roles.size === 0 ? [["-", [] as [string, Granted][]] as const] : [...roles];
    return sets.map(([role, all]) => {
      const names = all.map(([app]) => app).join(", ");
      return [name, role, names || "-", key, when(added), last === null ? "never" : when(last)];
    });
  });
  return table(["NAME", "ROLE", "APPS", "KEY", "ADDED", "LAST"], lines);
}

/** What somebody gets. */
export interface Grant {
  apps: readonly string[];
  role: Granted;
}

export interface Added extends KeyRow {
  /** One sentence for each thing that was made on the server. */
  changes: string[];
}

/** Lets a public key in, under a name that may have keys already; without `grant` only with what the name has. */
export async function addKey(name: string, grant: Grant | null, text: string): Promise<Added> {
  requireName(name);
  await requireApps(grant?.apps ?? []);
  const added = publicKeyIn(text);
  const changes = await requireAccount();
  await changeHolders((all) => put(all, name, grant, added));
  await warnOfRoot(added);
  note(name, "keys add", grant?.apps ?? []);
  return { ...(await rowOf(name, added)), changes };
}

export interface New extends Added {
  /** The private key, which dp keeps nowhere. */
  privateKey: string;
}

/** Makes a pair of keys, lets it in, and proves that sshd does. Throws DpError "host" when it does not. */
export async function newKey(name: string, grant: Grant): Promise<New> {
  requireName(name);
  await requireApps(grant.apps);
  const changes = await requireAccount();
  const pair = newKeyPair(name);
  await changeHolders((all) => put(all, name, grant, pair.public));
  try {
    await proveLogin(name, pair.private, io);
  } catch (error) {
    await changeHolders((all) => drop(all, name, fingerprintOf(pair.public)));
    throw error;
  }
  note(name, "keys new", grant.apps);
  return { ...(await rowOf(name, pair.public)), changes, privateKey: pair.private };
}

/** Gives somebody an app more, or another role for it. Less than before ends their sessions. */
export async function allow(name: string, app: string, role: Granted): Promise<Holder> {
  await requireApps([app]);
  requireServer();
  const { holder, before } = await changeHolders((all) => {
    const holder = known(all, name);
    const before = holder.apps.find((each) => each.app === app)?.role;
    give(holder, [app], role);
    return { holder, before };
  });
  if (before !== undefined && isLess(role, before)) await endSessions(name);
  note(name, "keys allow", [app]);
  return holder;
}

/** Takes an app from somebody, and ends their sessions. */
export async function deny(name: string, app: string): Promise<Holder> {
  requireServer();
  const holder = await changeHolders((all) => {
    const found = known(all, name);
    if (!found.apps.some((each) => each.app === app))
      throw new DpError("usage", `${name} has no app ${JSON.stringify(app)}`, { hint: "dp keys" });
    found.apps = found.apps.filter((each) => each.app !== app);
    return found;
  });
  await endSessions(name);
  note(name, "keys deny", [app]);
  return holder;
}

export interface Removed {
  name: string;
  /** The fingerprints of the keys that are let in no more. */
  keys: string[];
  /** How many sessions were under way. */
  sessions: number;
}

/** Lets nobody in under a name any more, or not with one of its keys; sessions under way end. */
export async function removeKey(name: string, print?: string): Promise<Removed> {
  requireServer();
  const { keys, apps } = await changeHolders((all) => {
    const { apps } = known(all, name);
    return { keys: drop(all, name, print), apps: apps.map(({ app }) => app) };
  });
  const sessions = await endSessions(name, print);
  for (const key of keys) await forgetUse(key);
  note(name, "keys remove", apps);
  return { name, keys, sessions };
}

function requireServer(): void {
  if (process.getuid?.() === 0 && root() === "") return;
  throw new DpError("host", "dp keys needs root: the login of keys is a user of the system", {
    hint: "sudo dp keys …",
  });
}

async function requireAccount(): Promise<string[]> {
  requireServer();
  return setUpAccount(io);
}

function requireName(name: string): void {
  if (isAppName(name)) return;
  throw new DpError(
    "usage",
    `the name of a key is like that of an app, lower-case letters, digits and dashes, not ${JSON.stringify(name)}`,
  );
}

async function requireApps(apps: readonly string[]): Promise<void> {
  const there = await appNames();
  for (const app of apps) if (!there.includes(app)) throw noSuchApp(app, there);
}

function known(all: readonly Holder[], name: string): Holder {
  const found = all.find((each) => each.name === name);
  if (found) return found;
  const names = all.map((each) => each.name);
  throw new DpError("usage", `nobody called ${JSON.stringify(name)} has a key`, {
    hint: "dp keys",
    ...didYouMean(name, names),
  });
}

/** Adds a key to a holder. Throws DpError "usage" when another name has it, or a new name comes without an app. */
function put(all: Holder[], name: string, grant: Grant | null, added: PublicKey): void {
  const owner = all.find(({ keys }) => keys.some(({ blob }) => blob === added.blob));
  if (owner && owner.name !== name)
    throw new DpError("usage", `${owner.name} has that key: a key has one name`, {
      hint: `dp keys allow ${owner.name} APP --role ROLE`,
    });
  let holder = all.find((each) => each.name === name);
  if (!holder && !grant) throw new DpError("usage", `which app and role? dp keys add ${name} --app APP --role ROLE`);
  if (!holder) all.push((holder = { name, apps: [], keys: [] }));
  if (grant) give(holder, grant.apps, grant.role);
  if (owner) return;
  const key: HeldKey = { ...added, added: new Date().toISOString(), by: starter() };
  holder.keys.push(key);
}

function give(holder: Holder, apps: readonly string[], role: Granted): void {
  const others = holder.apps.filter(({ app }) => !apps.includes(app));
  holder.apps = [...others, ...apps.map((app) => ({ app, role }))].sort((a, b) => (a.app < b.app ? -1 : 1));
}

/** Takes one key, or all, from a holder; a name without keys is gone. Answers the fingerprints. */
function drop(all: readonly Holder[], name: string, print: string | undefined): string[] {
  const holder = known(all, name);
  const gone = holder.keys.map(fingerprintOf).filter((each) => print === undefined || each === print);
  if (gone.length === 0)
    throw new DpError("usage", `${name} has no key ${print}`, { hint: "dp keys shows the fingerprints" });
  holder.keys = holder.keys.filter((key) => !gone.includes(fingerprintOf(key)));
  return gone;
}

async function rowOf(name: string, key: PublicKey): Promise<KeyRow> {
  const print = fingerprintOf(key);
  return (await keyRows()).find((row) => row.name === name && row.key === print)!;
}

async function warnOfRoot({ blob }: PublicKey): Promise<void> {
  if ((await readText("/root/.ssh/authorized_keys"))?.includes(blob))
    say(`dp: warning: /root/.ssh/authorized_keys has that key, too: whoever has it is root, as root@`);
}

function note(name: string, what: string, apps: readonly string[]): void {
  const warn = (line: string) => say(`dp: ${line}`);
  for (const app of apps.length > 0 ? apps : ["-"])
    audit({ app, what, detail: name, ...who(), result: "ok", code: EXIT.ok }, warn);
}
