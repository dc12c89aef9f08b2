// `dp upgrade`: installs the dp of a folder in place of this one, and brings every app up to it.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { hasAccount, setUpAccount } from "../access/account.ts";
import { appNames } from "../config/server.ts";
import { lockWhenFree } from "../deploy/queue.ts";
import { DpError, EXIT, exitCodeOf } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { makeIo, type Io } from "../host/io.ts";
import { plainEnv, run } from "../host/run.ts";
import { installedTree, SELF, selfEnv, treeOfDp } from "../host/self.ts";
import { template } from "../host/template.ts";
import { isOlder, version } from "../host/version.ts";
import { loginEnv } from "../host/who.ts";
import { openApp } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { reconcile } from "../release/reconcile.ts";
import { quoted } from "../text/text.ts";
import { setup } from "./setup.ts";

const SYSTEM_TREE = "/opt/dp";
/** install.sh may have to fetch Bun, in ms. */
const PATIENCE = 15 * 60_000;

export interface UpgradeOptions {
  /** An older dp may replace this one. */
  downgrade: boolean;
}

/**
 * Installs the dp of a folder. Until the last rename the installed dp is the one before, whatever happens. Answers
 * whether it can bring the apps up to itself: a dp that is older cannot. Throws DpError "usage" for a folder without dp,
 * and for an older dp unless that is wanted; "command" when install.sh fails.
 */
export async function install(folder: string, { downgrade }: UpgradeOptions, say: (line: string) => void) {
  const prefix = prefixOf(installedTree);
  const source = resolve(folder);
  const wanted = await versionIn(source);
  const isBack = isOlder(wanted, version);
  if (isBack && !downgrade)
    throw new DpError("usage", `the dp in ${quoted(source)} is ${wanted}, older than the installed ${version}`, {
      hint: "dp upgrade FOLDER --downgrade, if that is what you want",
    });
  const argv = ["sh", join(source, "install.sh"), ...(prefix === null ? [] : ["--prefix", prefix])];
  const bun = process.env["DP_BUN"];
  const env = bun === undefined ? plainEnv() : { ...plainEnv(), DP_BUN: bun };
  await run(argv, { env, timeout: PATIENCE, onLine: say });
  if (isBack) await keepName();
  return !isBack;
}

/** Hooks and units start dp by the name of a program that older ones do not have. */
async function keepName(): Promise<void> {
  const [path = ""] = SELF;
  if (existsSync(path)) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, await template("start.sh"), 0o755);
}

/** The folder of `install.sh --prefix`; null: the whole server's. Throws DpError for a dp that cannot be replaced. */
function prefixOf(tree: string | null): string | null {
  if (tree === null)
    throw new DpError("usage", "this dp runs from a folder of its sources, and is not installed", {
      hint: "./install.sh, in that folder, installs it",
    });
  if (treeOfDp !== SYSTEM_TREE) return dirname(dirname(treeOfDp));
  if (process.getuid?.() === 0) return null;
  throw new DpError("host", `dp upgrade needs root to replace ${SYSTEM_TREE}`, { hint: "sudo dp upgrade FOLDER" });
}

async function versionIn(source: string): Promise<string> {
  const text = existsSync(join(source, "install.sh")) ? await readText(join(source, "package.json")) : null;
  const found = /^\s*"version":\s*"(\d+\.\d+\.\d+[\w.-]*)"/m.exec(text ?? "")?.[1];
  if (found !== undefined && /^\s*"name":\s*"deploy-paradigm"/m.test(text!)) return found;
  throw new DpError("usage", `${quoted(source)} holds no dp`, {
    hint: "dp upgrade FOLDER, where FOLDER is a clone of dp, or its files unpacked",
  });
}

/** Starts the dp that is installed now, which brings the apps up to itself; answers its exit code. */
export async function handOver(): Promise<number> {
  const argv = [...SELF, "upgrade"];
  const env = { ...selfEnv(), ...loginEnv() };
  return Bun.spawn(argv, { cwd: "/", env, stdio: ["ignore", "inherit", "inherit"] }).exited;
}

/** What was changed for each app, and the exit code of the first that failed. */
export interface Brought {
  changes: Record<string, string[]>;
  code: number;
}

/**
 * Sets every app up as this dp does, and reconciles it: hooks, units, the relay. Apps serve meanwhile, and a running deploy ends first.
 * The error of an app goes to `broken`, and the others are brought up all the same.
 */
export async function bringApps(broken: (app: string, error: unknown) => void, say: (line: string) => void) {
  const brought: Brought = { changes: {}, code: EXIT.ok };
  const io = makeIo({ info() {}, warn: say, output: (line) => say(`| ${line}`) });
  for (const name of await appNames())
    try {
      brought.changes[name] = await bringApp(name, io, say);
    } catch (error) {
      broken(name, error);
      brought.code ||= exitCodeOf(error);
    }
  try {
    // Login and gate name the program of dp, and the next one may want other words of them.
    if (hasAccount()) brought.changes["the login of keys"] = await setUpAccount(io);
  } catch (error) {
    broken("the login of keys", error);
    brought.code ||= exitCodeOf(error);
  }
  return brought;
}

async function bringApp(name: string, io: Io, say: (line: string) => void): Promise<string[]> {
  const lock = await lockWhenFree(namedApp(name), "dp upgrade", say);
  try {
    const { changes } = await setup(name, {}, io);
    // The relay of a live app, which setup leaves alone while its route is right, may run an older version.
    return await reconcile(await openApp(name), io, [...changes]);
  } finally {
    lock.release();
  }
}
