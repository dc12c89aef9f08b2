// A power cut at any moment: every file of state is whole, and current never names a release that is not on the disk.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromSource } from "../../lib/host/self.ts";
import type { State } from "../../lib/host/supervisor/supervision.ts";
import { deployYml, pidsWith, sandbox, until, type Sandbox } from "../support/sandbox.ts";
import { callsIn, straced, straceUnavailable, type Call } from "../support/strace.ts";
import { durabilityComplaints, isOfProcess, type Grounds } from "./durability.ts";

const TRACE = "trace=openat,rename,renameat,renameat2,symlink,symlinkat,mkdir,unlink,fsync,fdatasync,syncfs";
const unavailable = straceUnavailable();
if (unavailable) console.warn(`the durability of a deploy is left out: ${unavailable}`);

let box: Sandbox;
let log = "";
let calls: Call[] = [];
const grounds = (): Grounds => ({ base: box.base, others: [join(box.root, "var/lib/dp/relay")] });
const options = () => ["-ff", "-y", "-ttt", "-qq", "-s", "4096", "-e", "signal=none", "-e", TRACE];

/** Traces the relay, which is no child of a deploy, while something is done. */
async function withRelayTraced(action: () => Promise<void>): Promise<void> {
  const [relay] = pidsWith(`lib/fronts/relay/process.ts\0${join(box.root, "var/lib/dp/relay")}`);
  const strace = Bun.spawn(["strace", ...options(), "-o", join(log, "relay/of"), "-p", String(relay)], {
    stderr: "ignore",
  });
  await until("the relay is traced", async () =>
    /^TracerPid:\t[1-9]/m.test(await Bun.file(`/proc/${relay}/status`).text()),
  );
  try {
    await action();
  } finally {
    strace.kill("SIGINT");
    await strace.exited;
  }
}

beforeAll(async () => {
  if (unavailable) return;
  box = await sandbox();
  log = mkdtempSync(join(tmpdir(), "dp-strace-"));
  for (const name of ["deploy", "restart", "relay"]) mkdirSync(join(log, name));
  // What is made by the build and the hook is part of the release, and so is the link to what is shared.
  const more = "build: mkdir made && touch made/file\nhooks: {preDeploy: touch last}\nshared: {dirs: [uploads]}\n";
  await box.release({ "deploy.yml": deployYml(box.app, more) });
  appendFileSync(join(box.base, "config.yml"), "stopTimeout: 2s\n");
  await withRelayTraced(async () => {
    for (const command of ["deploy", "restart"]) {
      expect(await straced(box, [...options(), "-o", join(log, command, "of")], command, box.app)).toBe(0);
    }
  });
  calls = callsIn(join(log, "deploy"));
});
afterAll(async () => {
  await box?.stop();
  if (log) rmSync(log, { recursive: true });
});

const syncs = () => [...calls.keys()].filter((at) => ["fsync", "syncfs"].includes(calls[at]!.name));
const without = (at: number) => calls.filter((_, index) => index !== at);
const renamed = (some: readonly Call[]) => some.filter(({ name }) => name === "rename").map(({ paths }) => paths[1]);

describe.skipIf(unavailable !== null)("on the disk in time", () => {
  test("is all that a deploy changes", () => {
    expect(renamed(calls)).toContain(join(box.base, "current"));
    expect(renamed(calls)).toContain(join(box.base, "counter"));
    expect(renamed(calls)).toContain(join(box.base, "instances/enabled"));
    expect(renamed(calls).filter((path) => path?.endsWith(".state.json")).length).toBeGreaterThan(0);
    expect(durabilityComplaints(calls, grounds())).toEqual([]);
  });

  test("is all that a restart changes", () => {
    const restart = callsIn(join(log, "restart"));
    expect(renamed(restart)).toContain(join(box.base, "current"));
    expect(durabilityComplaints(restart, grounds())).toEqual([]);
  });

  test("is all that the relay changes", () => {
    const relay = callsIn(join(log, "relay"));
    expect(renamed(relay)).toContain(join(box.root, "var/lib/dp/relay/routes.json"));
    expect(durabilityComplaints(relay, grounds())).toEqual([]);
  });
});

test.skipIf(unavailable !== null)(
  "how a process ended is on the disk; that it ran is of no use after a boot",
  async () => {
    const [folder, own] = [join(log, "ended"), join(log, "ended.calls")];
    for (const made of [folder, own]) mkdirSync(made);
    const at = (name: string) => join(folder, name);
    const env = { PATH: "/usr/bin:/bin", DP_INSTANCE: `ended@1-aaaaaaa:${folder}` };
    const how = { user: null, uid: process.getuid!(), stopTimeout: 1_000, restartDelay: null };
    const files = { folder, script: at("script"), log: at("log"), state: at("state.json") };
    writeFileSync(files.script, "exit 3\n");
    writeFileSync(at("spec.json"), JSON.stringify({ app: "ended", id: "1-aaaaaaa", env, ...how, ...files }));
    const supervisor = fromSource("lib/host/supervisor/supervisor.ts");
    const argv = ["strace", ...options(), "-o", join(own, "of"), ...supervisor, at("spec.json")];
    expect(await Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"] }).exited).toBe(0);
    const { state, detail } = JSON.parse(readFileSync(files.state, "utf8")) as State;
    expect([state, detail]).toEqual(["failed", "exited with code 3"]);
    const traced = callsIn(own);
    const states = [...traced.keys()].filter((each) => traced[each]!.paths[1] === files.state);
    const complaints = durabilityComplaints(traced, { base: box.base, others: [folder] });
    expect(states.length).toBe(2);
    // Of the first one.
    expect(complaints).toEqual([`${files.state} was renamed before its content was on the disk`]);
    expect(durabilityComplaints(traced.slice(states[0]! + 1), { base: box.base, others: [folder] })).toEqual([]);
  },
  30_000,
);

describe.skipIf(unavailable !== null)("the check itself sees", () => {
  test("each file whose content, and each folder, that was not synced", () => {
    const isState = (path = "") => path.startsWith(box.base) && !path.includes("/releases/") && !isOfProcess(path);
    const state = renamed(calls).filter(isState);
    const needed = syncs().filter((at) => calls[at]!.name === "fsync");
    const missed = needed.filter((at) => durabilityComplaints(without(at), grounds()).length === 0);
    // Folders that are synced once more than needed are no fault; files never are.
    const files = missed.map((at) => calls[at]!.paths[0]!).filter((path) => path.includes(".tmp"));
    expect(files.filter((path) => !isOfProcess(path))).toEqual([]);
    expect(needed.length - missed.length).toBeGreaterThanOrEqual(state.length);
  });

  test("a release that was not synced before the switch", () => {
    const bad = calls.filter(({ name }) => name !== "syncfs");
    expect(durabilityComplaints(bad, grounds())).toEqual([
      `${join(box.base, "current")} was switched before its release was on the disk`,
    ]);
  });

  test("a folder that was synced too late, and a link that was removed", () => {
    const at = calls.findIndex(({ name, paths }) => name === "rename" && paths[1] === join(box.base, "current"));
    const late = calls.toSpliced(at + 1, 0, { ...calls[at]!, name: "mkdir", paths: ["/elsewhere"] });
    expect(durabilityComplaints(late, grounds())).toEqual([
      `${join(box.base, "current")} was renamed, and its folder not synced then`,
    ]);
    const gone = [...calls, { ...calls[at]!, name: "unlink", paths: [join(box.base, "current")] }];
    expect(durabilityComplaints(gone, grounds())).toEqual([`${join(box.base, "current")} was removed`]);
  });
});
