// What holds at any moment, whatever was done to dp before; one function asserts all of it.
import { expect } from "bun:test";
import { existsSync, readFileSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Run } from "../../lib/pipeline/run-file.ts";
import { isLocked } from "../../lib/host/lock.ts";
import { isReleaseId, sequenceOf } from "../../lib/text/ids.ts";
import { pidsWith, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

/** What was done, and what has been put right since. */
export interface Moment {
  /** `dp reconcile`, or a deploy that ended well, came after the fault: nothing may be left of it. */
  isSettled: boolean;
  /** The release that served before. */
  before?: string | null;
  /** How the command ended whose run is the newest one. */
  outcome?: Outcome;
}

/** `keepLogs` of config.yml, when it says nothing else. */
const KEEP_LOGS = 200;

/** The runs of a sandbox as they were seen last: a number is never given twice, and what is good stays good. */
const seen = new WeakMap<Sandbox, { ids: string[]; highest: number }>();

const instancesOf = (box: Sandbox) => join(box.base, "instances");
const relayOf = (box: Sandbox) => join(box.root, "var/lib/dp/relay");
const named = (box: Sandbox, name: string) => join(box.base, "releases", name);
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const namesIn = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);

/** What is looked at, all at one time. */
interface Sight extends Moment {
  box: Sandbox;
  /** ID -> run, oldest first. */
  runs: Map<string, Run>;
  /** The pids of each instance. */
  instances: Record<string, number[]>;
}

/** Whether a release passed its check and was, or is about to be, live: by what the runs say that put it there. */
function isProven({ runs }: Sight, id: string): boolean {
  return [...runs.values()].some(({ facts, journal, result }) => {
    if (basename(String(facts["release"] ?? "")) !== id) return false;
    // It may be checked anew, by whoever goes on with it, when that is killed as well.
    const isChecked = journal["check"]?.state === "ok" || journal["check"]?.state === "running";
    const hasPassed = isChecked && typeof facts["healthyAt"] === "string";
    return (
      result?.state === "good" || (hasPassed && journal["swap"] !== undefined && journal["swap"].state !== "undone")
    );
  });
}

/** A release that may be gone back to: its own run is good, and its files are there. */
const isGood = ({ box, runs }: Sight, id: string) =>
  runs.get(id)?.result?.state === "good" && statSync(named(box, id), { throwIfNoEntry: false })?.isDirectory() === true;

/** I1, I2, I5: the links. */
function expectLinks(sight: Sight): void {
  const { box } = sight;
  const [current, previous] = [box.link("current"), box.link("previous")];
  if (current !== null) {
    expect(readlinkSync(join(box.base, "current"))).toBe(`releases/${current}`);
    expect(statSync(named(box, current)).isDirectory()).toBe(true);
    expect(`${current} is ${isProven(sight, current) ? "proven" : "NOT proven"}`).toBe(`${current} is proven`);
  }
  // A rollback to previous that was cut off between the two links: reconcile sees to it.
  const { result, facts } = [...sight.runs.values()].at(-1)!;
  const isBetween = !sight.isSettled && result === undefined && facts["kind"] === "rollback";
  if (previous === null || (isBetween && previous === current)) return;
  expect(previous).not.toBe(current!);
  expect(`${previous} is ${isGood(sight, previous) ? "good" : "NOT good"}`).toBe(`${previous} is good`);
}

/** I3, I4: who answers, what runs, what would come up at boot. */
async function expectServing(sight: Sight): Promise<void> {
  const { box, runs, instances, isSettled } = sight;
  const current = box.link("current");
  const running = Object.keys(instances);
  const enabledFile = join(instancesOf(box), "enabled");
  const enabled = existsSync(enabledFile) ? readFileSync(enabledFile, "utf8") : "";
  if (isSettled) {
    expect(running).toEqual(current === null ? [] : [current]);
    expect(enabled).toBe(current === null ? "" : `${current}\n`);
  }
  expect(running.length).toBeLessThanOrEqual(2);
  for (const id of running) expect([...runs.keys()]).toContain(id);
  if (current === null) return;
  const answered = (await box.answer()).split(" ").at(-1)!;
  if (isSettled) expect(answered).toBe(current);
  expect(`${answered} is ${isProven(sight, answered) ? "proven" : "NOT proven"}`).toBe(`${answered} is proven`);
}

/** I6: the lock is held by nobody once no process works. */
async function expectFree(box: Sandbox): Promise<void> {
  // Of a push it is the hook.
  const named = () => [...pidsWith(`\0work\0${box.app}\0`), ...pidsWith(`\0hook\0update\0${box.repo}\0`)];
  const workers = () => named().filter((pid) => environ(pid).includes(box.root));
  await until("the end of the worker", () => workers().length === 0);
  expect(isLocked(join(box.base, "lock"))).toBe(false);
  for (const name of namesIn(join(box.base, "queue"))) expect(isLocked(join(box.base, "queue", name))).toBe(false);
}

function environ(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return ""; // it has gone meanwhile
  }
}

/** I7, I8: every run has one end or is unfinished; numbers only grow, and nothing vanishes. */
function expectRuns({ box, runs }: Sight): void {
  const ids = [...runs.keys()];
  const numbers = ids.map(sequenceOf);
  expect(new Set(numbers).size).toBe(numbers.length);
  const last = seen.get(box) ?? { ids: [], highest: 0 };
  // All but those that a prune may take away: config.yml keeps the records of so many runs.
  const newest = [...new Set([...last.ids, ...ids])].sort((a, b) => sequenceOf(a) - sequenceOf(b)).slice(-KEEP_LOGS);
  for (const id of last.ids) if (newest.includes(id)) expect(ids).toContain(id);
  for (const id of ids) if (!last.ids.includes(id)) expect(sequenceOf(id)).toBeGreaterThan(last.highest);
  seen.set(box, { ids, highest: Math.max(last.highest, ...numbers) });
  for (const { result, journal } of runs.values()) {
    const states = Object.values(journal).map(({ state }) => state);
    if (result?.state === "good") expect(new Set(states)).toEqual(new Set(["ok"]));
    if (result?.state === "failed" && result.code !== 9) expect(states).not.toContain("running");
  }
}

/** I9, I14: what dp keeps can be read, by dp alone, and nothing half lies beside it. */
function expectFiles({ box, isSettled }: Sight): void {
  expect(readFileSync(join(box.base, "counter"), "utf8")).toMatch(/^\d+\n$/);
  for (const folder of [join(box.base, "runs"), instancesOf(box), relayOf(box)]) {
    const files = namesIn(folder).filter((name) => name.endsWith(".json"));
    for (const name of files) expect(JSON.parse(readFileSync(join(folder, name), "utf8"))).toBeObject();
  }
  const secret = [
    join(box.base, ".env.production"),
    ...namesIn(join(box.base, "runs")).map((name) => join(box.base, "runs", name)),
  ].filter((path) => existsSync(path));
  for (const path of secret) expect(`${modeOf(path)} ${path}`).toBe(`600 ${path}`);
  expect(modeOf(join(box.base, "runs"))).toBe("700");
  const folders = ["", "runs", "instances", "releases", "queue"].map((name) => join(box.base, name));
  const temps = [...folders, relayOf(box)].flatMap((folder) =>
    namesIn(folder).flatMap((name) => /^(.*)\.tmp(?:\.\d+){0,2}$/.exec(name)?.[1] ?? []),
  );
  expect(temps).toEqual([...new Set(temps)]);
  if (isSettled) expect(temps).toEqual([]);
}

/** I10: what may be needed is there, and what failed does not pile up. */
function expectKept({ box, runs }: Sight): void {
  const keep = Number(/^keep: (\d+)$/m.exec(readFileSync(join(box.base, "config.yml"), "utf8"))?.[1] ?? 5);
  const onDisk = (id: string) => existsSync(named(box, id));
  const deploys = [...runs].map(([id, run]) => ({ id, ...run })).filter(({ facts }) => facts["kind"] === "deploy");
  // The live one counts while its own run is under way.
  const good = deploys.filter(({ id, result }) => result?.state === "good" || id === box.link("current"));
  // One fewer when the last record of a run failed: its own release counted when it made room.
  for (const { id } of good.slice(1 - keep)) expect(`${id} ${onDisk(id) ? "kept" : "GONE"}`).toBe(`${id} kept`);
  const failed = deploys.filter(({ id, result }) => result?.state === "failed" && onDisk(id));
  expect(failed.length).toBeLessThanOrEqual(1 + deploys.filter(({ result }) => result === undefined).length);
  expect(namesIn(join(box.base, "releases")).filter((name) => !isReleaseId(name) && !name.includes(".tmp."))).toEqual(
    [],
  );
}

/** I12: the exit code tells which release serves. */
function expectTruth({ box, runs, outcome, before }: Sight): void {
  if (outcome === undefined || before === undefined) return;
  const run = [...runs.values()].at(-1)!;
  const release = basename(String(run.facts["release"] ?? ""));
  const current = box.link("current");
  const told = `${outcome.code}, and ${current} is live\n${outcome.text}`;
  if (outcome.code === 0) expect(told).toBe(`0, and ${release} is live\n${outcome.text}`);
  // A process that was killed has no say: then either of the two is live.
  else if (run.result === undefined) expect([before, release]).toContain(current);
  else if (outcome.code !== 9) expect(told).toBe(`${outcome.code}, and ${before} is live\n${outcome.text}`);
  if (run.result !== undefined) expect(`${run.result.code}\n${outcome.text}`).toBe(`${outcome.code}\n${outcome.text}`);
}

/** I11: preDeploy has run in every release that went live by a deploy, postDeploy in none that did not. */
function expectHooks(sight: Sight): void {
  const { box, runs } = sight;
  const lines = (name: string) => {
    const path = join(box.base, "home", `${name}.log`);
    return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
  };
  if (!existsSync(join(box.base, "home/pre.log"))) return;
  const [pre, post] = [lines("pre"), lines("post")];
  for (const [id, { facts, journal }] of runs)
    if (facts["kind"] === "deploy" && journal["swap"]?.state === "ok") expect(pre).toContain(id);
  for (const id of post) expect(isProven(sight, id) || runs.get(id)?.result?.state === "failed").toBe(true);
}

/** All of it, now. */
export async function expectInvariants(box: Sandbox, moment: Moment): Promise<void> {
  await expectFree(box);
  const runs = new Map(box.ids().map((id) => [id, box.run(id)]));
  const sight: Sight = { ...moment, box, runs, instances: box.instances() };
  expectLinks(sight);
  await expectServing(sight);
  expectRuns(sight);
  expectFiles(sight);
  expectKept(sight);
  expectTruth(sight);
  expectHooks(sight);
}

/** I17: all of it, now and after `dp reconcile`, which ends well and changes no mind about who is live. */
export async function expectRecovery(box: Sandbox, moment: Omit<Moment, "isSettled"> = {}): Promise<void> {
  await expectInvariants(box, { ...moment, isSettled: false });
  const live = box.link("current");
  const first = await box.dp("reconcile", box.app);
  expect(`${first.code}\n${first.code === 0 ? "" : first.text}`).toBe("0\n");
  await expectInvariants(box, { isSettled: true });
  expect(box.link("current")).toBe(live);
}
