// A server in a temp folder for one test file: apps of the builtin manager, and commits made without a working tree.
import { afterAll, beforeAll } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setupBase } from "../../lib/setup/base.ts";
import { begin } from "../../lib/deploy/begin.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { relayFolder } from "../../lib/fronts/relay.ts";
import builtin from "../../lib/managers/builtin.ts";
import { stopSupervisedRelay } from "../../lib/fronts/relay/supervised.ts";
import type { Places } from "../../lib/paths.ts";
import { receipt } from "../../lib/deploy/log/receipt.ts";
import { setupRepository } from "../../lib/setup/repository.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { load, save } from "../../lib/pipeline/run-file.ts";
import { runStep, undoStep } from "../../lib/pipeline/runner.ts";
import type { App as OpenApp } from "../../lib/contracts/app.ts";
import { openApp } from "../../lib/release/app.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { freePort } from "./port.ts";
import type { Receipt } from "../../lib/pipeline/receipt.ts";
import type { DeployConfig, ServerConfig } from "../../lib/config/types.ts";

export { freePort };

export const io = makeIo(silentLog);
export const dp = [process.execPath, join(import.meta.dir, "../../bin/dp")];
/** An app without dependencies. */
export const noRuntime = { path: [], env: {}, dependencies: null };
/** The shell line that starts server.ts, whatever PATH is. */
export const START = `${process.execPath} --no-env-file --config=/dev/null --no-install server.ts`;
/** Answers its release's ID. */
export const SERVER = `Bun.serve({
  hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: () => new Response(process.env.DP_RELEASE) });
console.log("serving");`;

/** An app on the server of this file. */
export interface App extends Places {
  port: number;
  server: ServerConfig;
  /** As dp hands it on. */
  own: OpenApp;
}

const apps: string[] = [];
let folder = "";

/** Makes DP_ROOT a temp folder for all tests of the file; afterwards every instance is ended and all is removed. */
export function useServer(): { path(...parts: string[]): string } {
  const before = process.env["DP_ROOT"];
  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-core-")));
    process.env["DP_ROOT"] = folder;
    mkdirSync(join(folder, "bin"));
    // A PATH without any python: the search for one takes the better part of a second.
    for (const name of ["sh", "cat", "chmod", "echo", "env", "find", "kill", "mkdir", "rm", "sleep", "test", "touch"])
      symlinkSync(Bun.which(name) ?? `/bin/${name}`, join(folder, "bin", name));
  });
  afterAll(async () => {
    for (const app of apps.splice(0)) await endInstances(app);
    // A command that set an app up started the relay of this folder.
    await stopSupervisedRelay(relayFolder());
    if (before === undefined) delete process.env["DP_ROOT"];
    else process.env["DP_ROOT"] = before;
    rmSync(folder, { recursive: true, force: true });
  });
  return { path: (...parts) => join(folder, ...parts) };
}

/** Ends every instance of an app. */
export async function endInstances(app: string): Promise<void> {
  for (const id of await builtin.instances(app)) await builtin.stop({ app, id }, io);
}

let count = 0;

/** A new app: folders, config.yml with `more` lines, and a bare repository. */
export async function makeApp(more = ""): Promise<App> {
  const app = `app${++count}`;
  apps.push(app);
  const port = await freePort();
  const named = namedApp(app);
  await setupBase(named, undefined);
  const lines = [
    `port: ${port}`,
    "manager: builtin",
    `path: ${join(folder, "bin")}`,
    "stopTimeout: 5s",
    "verifyTime: 0s",
  ];
  lines.push(more.includes("front:") ? more : `front: none\n${more}`);
  writeFileSync(named.places.config, `${lines.join("\n")}\n`, { mode: 0o600 });
  await setupRepository(named, "main", io);
  const own = await openApp(app);
  return { ...own.places, port, server: own.server, own };
}

/** A file of a commit: its text, or something that is no plain file. */
export type File = string | Uint8Array | { executable: string } | { link: string } | { submodule: string };

function entry(path: string, file: File): Uint8Array[] {
  if (typeof file === "object" && "submodule" in file)
    return [Buffer.from(`M 160000 ${file.submodule} ${JSON.stringify(path)}\n`)];
  const isPlain = typeof file === "string" || file instanceof Uint8Array;
  const data = Buffer.from(isPlain ? file : "link" in file ? file.link : file.executable);
  const mode = isPlain ? "100644" : "link" in file ? "120000" : "100755";
  return [Buffer.from(`M ${mode} inline ${JSON.stringify(path)}\ndata ${data.length}\n`), data, Buffer.from("\n")];
}

let moment = 1_700_000_000;

/** Commits files as a branch of a bare repository; answers the commit's full name. */
export async function commit(repo: string, files: Record<string, File>, subject = "Change", branch = "main") {
  const head = `commit refs/heads/${branch}\ncommitter D <d@localhost> ${moment++} +0000\n`;
  const message = `data ${Buffer.byteLength(subject)}\n${subject}\n`;
  const parts = Object.entries(files).flatMap(([path, file]) => entry(path, file));
  const input = Buffer.concat([Buffer.from(`${head}${message}`), ...parts, Buffer.from("\n")]);
  const git = ["git", "--git-dir", repo];
  const made = Bun.spawnSync([...git, "fast-import", "--quiet", "--force"], { stdin: input, env: plainEnv() });
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  const found = Bun.spawnSync([...git, "rev-parse", `refs/heads/${branch}`], { env: plainEnv() });
  return found.stdout.toString().trim();
}

/** A deploy.yml of an app that runs server.ts; `more` are further lines. */
export function deployYml(app: string, more = ""): string {
  const check = "healthCheck:\n  path: /\n  interval: 100ms\n  startTimeout: 30s\n";
  return `name: ${app}\ntype: python\n${check}command: ${START}\n${more}`;
}

/** Commits an app that serves, and begins its deploy; `more` are lines of deploy.yml, `files` further files. */
export async function beginDeploy(app: App, more = "", files: Record<string, File> = {}, subject = "Change") {
  const sha = await commit(
    app.repo,
    { "deploy.yml": deployYml(app.app, more), "server.ts": SERVER, ...files },
    subject,
  );
  return { sha, ...(await begin(app.own, sha)) };
}

/** A receipt that keeps its lines. */
export function recorded(): Receipt & { lines: string[] } {
  const lines: string[] = [];
  return Object.assign(
    receipt((line) => lines.push(line)),
    { lines },
  );
}

/** Runs steps over a run file, in the order given; answers what they said. */
export async function runSteps(context: string, ...names: string[]): Promise<string[]> {
  const said = recorded();
  for (const name of names) await runStep(name, context, said);
  return said.lines;
}

/** Undoes a step over a run file. */
export const undo = (name: string, context: string) => undoStep(name, context, recorded());

/** Gives a run facts that earlier steps would have provided. */
export async function giveFacts(context: string, facts: Record<string, unknown>): Promise<void> {
  const run = await load(context);
  Object.assign(run.facts, facts);
  await save(context, run);
}

/** A deploy.yml as read, for tests that begin behind the step "read". */
export const someConfig = (app: string, more: Partial<DeployConfig> = {}): DeployConfig => ({
  name: app,
  type: "python",
  healthCheck: { path: "/", timeout: 5_000, interval: 50, startTimeout: 30_000 },
  command: START,
  hooks: {},
  processes: {},
  cron: [],
  ...more,
});

/** Runs `dp` with words; answers exit code and both outputs. */
export async function runDp(words: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([...dp, ...words], {
    cwd: "/",
    env: { ...plainEnv(), ...(process.env["DP_ROOT"] ? { DP_ROOT: process.env["DP_ROOT"] } : {}), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}
