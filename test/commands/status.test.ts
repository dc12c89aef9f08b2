// `dp status` and `dp apps` of many apps: every row is what is true of its app, and no app that hangs makes another one
// look ill.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../../lib/pipeline/run-file.ts";
import type { AppRow } from "../../lib/commands/apps.ts";
import type { Status } from "../../lib/commands/status.ts";
import { statusLines } from "../../lib/commands/status-lines.ts";
import type { Report } from "../../lib/fleet/document.ts";
import { tryLock } from "../../lib/host/lock.ts";
import { claimPort } from "../support/port.ts";
import { sandbox, type Sandbox } from "../support/sandbox.ts";
import { callsIn, straceUnavailable } from "../support/strace.ts";

let box: Sandbox;
let id: string;
/** Where connections are made, and nothing is ever answered. */
let silent: { port: number; stop(): void };
beforeAll(async () => {
  box = await sandbox("shop", "none");
  await box.commit({ say: "hello" });
  await box.push();
  id = box.link("current")!;
  const { port, release } = await claimPort();
  const server = Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } });
  silent = { port, stop: () => (server.stop(true), release()) };
}, 60_000);
afterAll(async () => {
  silent?.stop();
  await box?.stop();
});

const at = (name: string, ...parts: string[]) => join(box.base, "..", name, ...parts);

/** An app of that name, as files: with the first one's process and public port, or another port. */
function copy(name: string, change: { port?: number; timeout?: number } = {}): string {
  for (const file of ["instances", "runs", "config.yml"])
    cpSync(join(box.base, file), at(name, file), { recursive: true });
  mkdirSync(at(name, "releases", id), { recursive: true });
  symlinkSync(`releases/${id}`, at(name, "current"));
  const { port = box.port, timeout } = change;
  const config = readFileSync(at(name, "config.yml"), "utf8").replace(/^port: .*$/m, `port: ${port}`);
  writeFileSync(at(name, "config.yml"), config, { mode: 0o600 });
  if (timeout === undefined) return name;
  const run = JSON.parse(readFileSync(at(name, "runs", `${id}.json`), "utf8")) as Run;
  (run.facts["config"] as { healthCheck: { timeout: number } }).healthCheck.timeout = timeout;
  writeFileSync(at(name, "runs", `${id}.json`), JSON.stringify(run), { mode: 0o600 });
  return name;
}

async function ask<Row>(...words: string[]): Promise<Row> {
  const { stdout } = await box.dp(...words, "--json");
  return JSON.parse(stdout) as Row;
}

test("what a check allows counts from the moment it is asked: hundreds of apps that hang before it take nothing of it", async () => {
  const timeout = 2_000;
  const hung = Array.from({ length: 300 }, (_, number) => copy(`hung-${number}`, { port: silent.port, timeout }));
  const well = ["well-1", "well-2"].map((name) => copy(name, { timeout: timeout / 2 }));
  try {
    const rows = new Map((await ask<Status[]>("status")).map(({ app, health }) => [app, health]));
    expect(well.map((name) => rows.get(name))).toEqual(["200", "200"]);
    expect(new Set(hung.map((name) => rows.get(name)))).toEqual(new Set([`no complete answer in ${timeout} ms`]));
    // A report waits a second for each.
    const told = new Map((await ask<Report>("report")).apps.map(({ app, health }) => [app, health]));
    expect(well.map((name) => told.get(name))).toEqual(["200", "200"]);
    expect(new Set(hung.map((name) => told.get(name)))).toEqual(new Set(["no complete answer in 1000 ms"]));
  } finally {
    for (const name of [...hung, ...well]) rmSync(at(name), { recursive: true });
  }
}, 60_000);

test("one restart is one", async () => {
  const now = await ask<Status>("status", "shop");
  const lines = (restarts: number) => statusLines({ ...now, process: { ...now.process!, restarts } }).join("\n");
  expect(lines(0)).not.toContain("restart");
  expect(lines(1)).toContain(", 1 restart\n");
  expect(lines(2)).toContain(", 2 restarts\n");
});

/** What may be true of an app; each is made for real. */
const TRUTHS: Record<string, (name: string) => void | Promise<void>> = {
  plain: () => undefined,
  wrong: (name) => writeFileSync(at(name, "config.yml"), "port: 1\nprot: 2\n"),
  "no-link": (name) => unlinkSync(at(name, "current")),
  "no-files": (name) => rmSync(at(name, "releases", id), { recursive: true }),
  "no-record": (name) => writeFileSync(at(name, "runs", `${id}.json`), "{"),
  locked: async (name) => void (await box.dp("lock", name, "-m", "hands off")),
  stopped: (name) => writeFileSync(at(name, "instances/stopped"), `${id}\n`),
  gone: (name) => {
    const file = at(name, "instances", `${id}.state.json`);
    const state = JSON.parse(readFileSync(file, "utf8")) as object;
    writeFileSync(
      file,
      JSON.stringify({ ...state, supervisor: { pid: 1, startTime: 1 }, main: { pid: 1, startTime: 1 } }),
    );
  },
  closed: (name) =>
    writeFileSync(at(name, "maintenance.json"), JSON.stringify({ by: "anna", since: "2026-03-01T12:00:00Z" })),
  refused: async (name) => {
    const { port, release } = await claimPort();
    release();
    const config = readFileSync(at(name, "config.yml"), "utf8").replace(/^port: .*$/m, `port: ${port}`);
    writeFileSync(at(name, "config.yml"), config);
  },
};

test("what the list of all apps says of one is what is said of it alone, and changes at once", async () => {
  const names = Object.keys(TRUTHS);
  for (const name of names) copy(name);
  const all = async () => ({
    status: new Map((await ask<Status[]>("status")).map((row) => [row.app, row])),
    apps: new Map((await ask<AppRow[]>("apps")).map((row) => [row.app, row])),
  });
  const before = await all();
  for (const name of names)
    expect([name, before.status.get(name)!.isHealthy, before.apps.get(name)!.process!.state]).toEqual([
      name,
      true,
      "running",
    ]);
  for (const [name, make] of Object.entries(TRUTHS)) await make(name);
  const deploying = copy("deploying");
  const held = tryLock(at(deploying, "lock"))!;
  held.note({ id: "2-bbbbbbb", by: "anna", pid: process.pid, startTime: 1, since: "2026-03-01T12:00:00Z" });
  const { status, apps } = await all();
  for (const name of [...names, deploying]) {
    expect([name, status.get(name)]).toEqual([name, await ask<Status>("status", name)]);
    if (name !== "plain") expect([name, status.get(name)]).not.toEqual([name, before.status.get(name)]);
  }
  held.release();
  const of = (name: string) => status.get(name)!;
  expect(of("wrong").mistake).toContain("prot");
  expect([of("no-link").damage, of("no-files").damage].map((text) => text?.split("; ")[0])).toEqual([
    `${at("no-link", "current")} is missing`,
    `${at("no-files", "current")} names ${id}, whose files are gone`,
  ]);
  expect(of("no-record").damage).toContain("not JSON");
  expect(of("locked").lock?.reason).toBe("hands off");
  expect(of("stopped").strays).toEqual([id]);
  expect([of("gone").process?.state, apps.get("gone")!.process?.state]).toEqual(["failed", "failed"]);
  expect(of("closed").maintenance?.by).toBe("anna");
  expect(of("refused").health).toBe("connection refused");
  expect(of(deploying).deploying?.by).toBe("anna");
}, 60_000);

test("hundreds of apps are shared among processes, and nothing in the answer tells", async () => {
  const many = Array.from({ length: 210 }, (_, number) => copy(`many-${number}`));
  try {
    for (const command of ["status", "apps"]) {
      const whole = await ask<AppRow[]>(command);
      const parts: AppRow[] = [];
      for (let at = 0; at < whole.length; at += 50) {
        const names = whole.slice(at, at + 50).map(({ app }) => app);
        parts.push(...(await ask<AppRow[]>(command, "--only", names.join())));
      }
      expect(whole.length).toBeGreaterThan(many.length);
      expect(JSON.stringify(whole, null, 1)).toBe(JSON.stringify(parts, null, 1));
    }
    const { text } = await box.dp("status");
    expect(text.match(/^wrong  .*\n  MISTAKE/m)).not.toBeNull();
    expect(text.match(/^many-\d+  /gm)!.length).toBe(many.length);
  } finally {
    for (const name of many) rmSync(at(name), { recursive: true });
  }
}, 60_000);

const why = straceUnavailable();

test.skipIf(why !== null)(
  `each file of an app is opened once${why === null ? "" : ` (skipped: ${why})`}`,
  async () => {
    const names = Array.from({ length: 20 }, (_, number) => copy(`once-${number}`));
    try {
      for (const command of ["status", "apps"]) {
        await box.dp(command); // keeps config.yml as it was parsed
        const folder = join(box.root, `strace-${command}`);
        mkdirSync(folder);
        const options = ["-ff", "-qq", "-y", "-ttt", "-e", "trace=open,openat", "-o", join(folder, "calls")];
        const { code } = await box.start(["strace", ...options, box.program, command, "--json"]).done;
        expect(code).toBe(0);
        const opened = callsIn(folder).map(({ paths }) => paths.at(-1)!);
        for (const name of names) {
          const own = opened.filter((path) => path.startsWith(`${at(name)}/`));
          expect(own).toContain(at(name, "runs", `${id}.json`));
          expect([command, own.filter((path, index) => own.indexOf(path) !== index)]).toEqual([command, []]);
        }
      }
    } finally {
      for (const name of names) rmSync(at(name), { recursive: true });
    }
  },
  60_000,
);
