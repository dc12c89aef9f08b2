// Who may change an app, and who did: dp lock, unlock, cancel, --wait and the audit log, over real deploys.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditLine } from "../../lib/host/audit.ts";
import type { LockStatus } from "../../lib/commands/lock.ts";
import { deployYml, pidsWith, sandbox, until, type Outcome, type Sandbox, type Started } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
  await box.release(quick("one"));
});
afterAll(() => box?.stop());
const door = () => join(box.root, "door");
const inside = () => join(box.root, "inside");
beforeEach(() => [door(), inside()].forEach((path) => rmSync(path, { force: true })));

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const dp = (code: number, ...words: string[]) => expectCode(box.dp(...words), code);
const start = (...words: string[]) => box.start([box.program, ...words]);
const held = async () => JSON.parse((await box.dp("lock", "status", "shop", "--json")).stdout) as LockStatus;
const audited = async (...words: string[]) =>
  JSON.parse((await dp(0, "audit", "shop", "--json", ...words)).stdout) as AuditLine[];

const atDoor = () => `touch '${inside()}'; while [ ! -e '${door()}' ]; do sleep 0.02; done`;
const quick = (say: string) => ({ say, "deploy.yml": deployYml("shop") });
/** A push whose deploy stands still in its build, or in a hook, until the door is opened; it is there when this answers. */
async function pushToDoor(say: string, key = "build"): Promise<{ client: Started; id: string; sha: string }> {
  const line = key === "build" ? `build: ${JSON.stringify(atDoor())}` : `hooks: {${key}: ${JSON.stringify(atDoor())}}`;
  const sha = await box.commit({ say, "deploy.yml": deployYml("shop", `${line}\n`) });
  const client = box.start(["git", "push", "production", "main"]);
  await until("the door", () => existsSync(inside()));
  return { client, id: box.ids().at(-1)!, sha };
}
/** A commit that is deployed without a stop. */
const plain = () => String(box.run(box.ids()[0]!).facts["sha"]);
/** How many hooks read the log of a run. */
function readersOf(id: string): number {
  const log = join(box.root, "var/log/deployments/shop", `${id}.log`);
  const hooks = pidsWith(`\0hook\0update\0${box.repo}`);
  return hooks.filter((pid) => openFiles(pid).includes(log)).length;
}
function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return []; // one was closed meanwhile: asked again soon
  }
}
/** The working copy as the branch on the server. */
async function fresh(): Promise<void> {
  await box.git("fetch", "--quiet", "production", "main");
  await box.git("reset", "--quiet", "--hard", "FETCH_HEAD");
}

describe("dp lock", () => {
  const REASON = "moving the database";
  beforeAll(async () => {
    await dp(0, "lock", "shop", "-m", REASON);
  });
  afterAll(async () => {
    await dp(0, "unlock", "shop");
    await fresh();
  });

  test.each([
    ["dp deploy", ["deploy", "shop"]],
    ["dp deploy of a named commit", ["deploy", "shop", "main"]],
    ["dp begin", ["begin", "shop"]],
    ["dp resume", ["resume", "shop"]],
    ["dp restart", ["restart", "shop"]],
    ["dp restart of one process", ["restart", "shop", "web"]],
    ["dp rollback", ["rollback", "shop"]],
    ["dp env set", ["env", "shop", "set", "A=1"]],
    ["dp env set, for later", ["env", "shop", "set", "A=1", "--no-restart"]],
    ["dp env unset", ["env", "shop", "unset", "B"]],
    ["dp scale", ["scale", "shop", "web=1"]],
    ["dp destroy", ["destroy", "shop", "--yes"]],
    ["dp lock", ["lock", "shop"]],
  ])("%s is refused at once: by whom, since when, why, and what to type", async (_, words) => {
    writeFileSync(join(box.base, ".env.production"), "B=1\n");
    const before = box.ids();
    const { stderr } = await dp(5, ...words);
    expect(stderr).toMatch(
      /dp: shop is locked by \S+ since \d{4}-\d\d-\d\d \d\d:\d\d: moving the database\n {2}→ dp unlock shop/,
    );
    expect(box.ids()).toEqual(before);
    expect(readFileSync(join(box.base, ".env.production"), "utf8")).toBe("B=1\n");
  });

  test("a push is rejected with the same words, and the branch stays", async () => {
    const before = (await box.git("ls-remote", "production", "main")).stdout;
    await box.commit(quick("locked out"));
    const { text } = await expectCode(box.push(), 1);
    expect(text).toMatch(/shop is locked by \S+ since .*: moving the database[\s\S]*→ dp unlock shop/);
    expect((await box.git("ls-remote", "production", "main")).stdout).toBe(before);
    expect(await box.answer()).toStartWith("one");
  });

  test("status, lock status and their JSON tell of it; exit code 5", async () => {
    expect((await dp(0, "status", "shop")).stdout).toMatch(
      /^ {2}locked +by \S+ since .*: moving the database; dp unlock shop$/m,
    );
    expect((await dp(5, "lock", "status", "shop")).stdout).toMatch(/^locked by \S+ since .*: moving the database\n$/);
    const now = JSON.parse((await dp(5, "lock", "status", "shop", "--json")).stdout) as LockStatus;
    expect(now).toMatchObject({ app: "shop", isHeld: true, lock: { reason: REASON }, running: null, waiting: [] });
    const all = JSON.parse((await dp(0, "status", "shop", "--json")).stdout) as { lock: unknown };
    expect(all.lock).toEqual(now.lock);
  });

  test("what only looks, stops, starts or puts right is not refused", async () => {
    for (const words of [
      ["stop", "shop"],
      ["start", "shop"],
      ["reconcile", "shop"],
      ["run", "shop", "true"],
      ["cancel", "shop"],
    ])
      await dp(0, ...words);
    expect(await box.answer()).toStartWith("one");
  });

  test("its file is dp's alone", () => {
    const { mode, uid } = statSync(join(box.base, "locked.json"));
    expect([mode & 0o777, uid]).toEqual([0o600, process.getuid!()]);
  });

  test("two who lock at the same moment: one does, and the other is told", async () => {
    await dp(0, "unlock", "shop");
    const both = await Promise.all(["a", "b", "c"].map((reason) => box.dp("lock", "shop", "-m", reason)));
    expect(both.map(({ code }) => code).sort()).toEqual([0, 5, 5]);
    const winner = ["a", "b", "c"][both.findIndex(({ code }) => code === 0)]!;
    expect((await held()).lock?.reason).toBe(winner);
    for (const { code, stderr } of both) if (code === 5) expect(stderr).toContain(`: ${winner}\n`);
  });
});

test("an app is free again after dp unlock, and a second one says so", async () => {
  await dp(0, "apps:lock", "shop");
  expect((await held()).lock?.reason).toBeNull();
  expect((await dp(0, "apps:unlock", "shop")).stdout).toStartWith("shop is unlocked; it was locked by ");
  expect((await dp(0, "unlock", "shop")).stdout).toBe("shop is not locked\n");
  expect((await dp(0, "lock", "status", "shop")).stdout).toBe("shop is free\n");
});

test("which app is said without a word too many, and not guessed", async () => {
  expect((await dp(2, "lock")).stderr).toContain("dp lock needs APP\n");
  expect((await dp(2, "lock", "status")).stderr).toContain("dp lock status needs APP\n");
  expect((await dp(2, "execute")).stderr).toContain("dp execute needs GIT-DIR SHA\n");
});

test("a reason is one line", async () => {
  expect((await dp(2, "lock", "shop", "-m", "a\nb")).stderr).toContain("the reason must be one line");
  expect((await dp(2, "lock", "shop", "moving")).stderr).toContain('dp lock shop -m "moving"');
  expect((await held()).isHeld).toBe(false);
});

test("in an outage dp rollback --force goes back all the same, and leaves the lock", async () => {
  const good = box.link("current")!;
  const bad = await box.release(quick("bad"));
  await dp(0, "lock", "shop", "-m", "nobody touches it");
  expect((await dp(5, "rollback", "shop")).stderr).toContain(
    "→ dp unlock shop, or in an outage, leaving the lock in place: dp rollback shop --force",
  );
  expect(box.link("current")).toBe(bad);
  await dp(0, "rollback", "shop", "--force");
  expect(box.link("current")).toBe(good);
  expect((await held()).lock?.reason).toBe("nobody touches it");
  await dp(0, "unlock", "shop");
});

describe("a deploy that is under way", () => {
  test("ends well when the app is locked meanwhile; who waited is refused when its turn comes, and can be gone on with", async () => {
    const { client, id } = await pushToDoor("under way");
    const waiting = start("deploy", "shop", "main");
    await until("one that waits", async () => (await held()).waiting.length === 1);
    expect((await dp(0, "lock", "shop", "-m", "from now on")).stderr).toContain(`deploy ${id} by `);
    writeFileSync(door(), "");
    await expectCode(client.done, 0);
    const { text } = await expectCode(waiting.done, 5);
    expect(text).toContain("FAILED: shop is locked by ");
    expect(text).toContain("from now on");
    expect(box.run().result).toMatchObject({ state: "failed", code: 5 });
    expect(box.link("current")).toBe(id);
    await dp(0, "unlock", "shop");
    await dp(0, "resume", "shop");
    expect(box.link("current")).toBe(box.ids().at(-1)!);
  });

  test("is waited for as long as --wait says; 0 is not at all, and leaves no run", async () => {
    const { client, id } = await pushToDoor("slow");
    const before = box.ids();
    const busy = new RegExp(`deploy ${id} by \\S+, since \\d\\d:\\d\\d:\\d\\d, is running[\\s\\S]*--wait 5m`);
    for (const words of [["deploy"], ["rollback"], ["restart"], ["rollback", before[0]!]])
      expect((await dp(5, words[0]!, "shop", ...words.slice(1), "--wait", "0")).stderr).toMatch(busy);
    expect((await dp(5, "restart", "shop", "--wait", "100ms")).stderr).toMatch(busy);
    expect(box.ids()).toEqual(before);
    expect((await dp(5, "deploy", "shop", "--wait=200ms")).stdout).toMatch(busy);
    const other = await box.commit(quick("impatient"));
    expect((await expectCode(box.push("-o", "wait=200ms", "production", "main"), 1)).text).toMatch(busy);
    writeFileSync(door(), "");
    await expectCode(client.done, 0);
    expect(box.link("current")).toBe(id);
    await expectCode(box.push("-o", "wait=5m", "production", "main"), 0);
    expect(box.run().facts["sha"]).toBe(other);
  });

  test("of the commit that is pushed again is followed to its end, and answers both", async () => {
    const { client, id, sha } = await pushToDoor("twice");
    const again = box.start(["git", "push", "production", "main"]);
    await until("two that read its log", () => readersOf(id) === 2);
    writeFileSync(door(), "");
    const [first, second] = [await expectCode(client.done, 0), await expectCode(again.done, 0)];
    expect(box.ids().at(-1)).toBe(id);
    expect(second.text).toMatch(
      new RegExp(`${sha.slice(0, 7)} is already being deployed: deploy ${id} by \\S+, since`),
    );
    for (const { text } of [first, second]) expect(text).toContain(`live: shop ${id}`);
    expect((await box.git("ls-remote", "production", "main")).stdout).toStartWith(sha);
  });

  test("and fails is refused to both", async () => {
    const { client, id } = await pushToDoor("twice bad", "preDeploy");
    const again = box.start(["git", "push", "production", "main"]);
    await until("two that read its log", () => readersOf(id) === 2);
    await dp(0, "cancel", "shop");
    for (const { text } of [await expectCode(client.done, 1), await expectCode(again.done, 1)])
      expect(text).toContain("cancelled by ");
    expect(box.ids().at(-1)).toBe(id);
    await fresh();
  });
});

describe("dp cancel", () => {
  test("says that nothing is running, and that is no failure", async () => {
    expect((await dp(0, "cancel", "shop")).stdout).toBe("no deploy of shop is running\n");
    expect((await dp(2, "cancel", "shop", "99")).stderr).toContain(
      'shop has no deploy "99" that is running or waiting',
    );
  });

  test.each(["build", "preDeploy"])(
    "ends a deploy in its %s: all is taken back, and everybody is told",
    async (key) => {
      const before = box.link("current")!;
      const serving = await box.answer();
      const { client, id } = await pushToDoor("never", key);
      const cancelled = await dp(0, "cancel", "shop");
      expect(cancelled.stdout).toMatch(new RegExp(`^${id}: cancelled by \\S+\nserving: ${before}, as before\n$`));
      // The push is told by its hook, after the run has ended.
      const { text } = await expectCode(client.done, 1);
      expect(text).toMatch(/FAILED at (build|pre-deploy): cancelled by \S+/);
      expect(text).toContain("[remote rejected] main -> main");
      expect(box.run(id).result).toMatchObject({
        state: "failed",
        code: 143,
        error: expect.stringMatching(/^cancelled by \S+$/),
      });
      expect([box.link("current"), await box.answer(), Object.keys(box.instances())]).toEqual([
        before,
        serving,
        [before],
      ]);
      expect(pidsWith(inside())).toEqual([]);
      expect((await held()).isHeld).toBe(false);
      expect([...new Bun.Glob("*.cancelled-by").scanSync({ cwd: join(box.base, "runs") })]).toEqual([]);
      await fresh();
    },
  );

  test("a health check that waits", async () => {
    const before = box.link("current")!;
    await box.commit({ mode: "slow", wait: door(), "deploy.yml": deployYml("shop").replace("5s", "60s") });
    const client = box.start(["git", "push", "production", "main"]);
    await until("the check", () => box.run().journal["check"]?.state === "running");
    expect(JSON.parse((await dp(0, "cancel", "shop", "--json")).stdout)).toMatchObject({
      id: box.ids().at(-1)!,
      live: before,
      code: 0,
      result: { code: 143 },
    });
    await expectCode(client.done, 1);
    expect(Object.keys(box.instances())).toEqual([before]);
    await fresh();
  });

  test("after the switch it is too late, and says what to type", async () => {
    const { client, id } = await pushToDoor("switched", "postDeploy");
    const { stderr } = await dp(5, "cancel", "shop");
    expect(stderr).toBe(`dp: ${id} is already live: it is too late to cancel it\n  → dp rollback shop\n`);
    writeFileSync(door(), "");
    await expectCode(client.done, 0);
    expect(await box.answer()).toBe(`switched ${id}`);
  });

  test("ends only the one that runs: who waits goes on; by its ID one that waits is ended, and no other", async () => {
    const { client, id } = await pushToDoor("first");
    const waiting = start("deploy", "shop", plain());
    const other = await until("one that waits", async () => (await held()).waiting[0]);
    expect((await dp(5, "lock", "status", "shop")).stdout).toMatch(
      new RegExp(
        `^deploy ${id} by \\S+, since \\S+, pid \\d+, is running\ndeploy ${other.id} by \\S+, since \\S+, waits\n$`,
      ),
    );
    expect((await dp(0, "cancel", "shop", String(Number.parseInt(other.id)))).stdout).toContain(
      `${other.id}: cancelled by`,
    );
    await expectCode(waiting.done, 143);
    expect((await held()).running?.id).toBe(id);

    const next = start("deploy", "shop", plain());
    await until("another that waits", async () => (await held()).waiting.length === 1);
    expect((await dp(0, "cancel", "shop")).stdout).toContain(`${id}: cancelled by`);
    await expectCode(client.done, 1);
    await expectCode(next.done, 0);
    expect(box.link("current")).toBe(box.ids().at(-1)!);
    await fresh();
  });
});

describe("dp audit", () => {
  test("has a line for each: who, what, which run and commit, and how it ended", async () => {
    const sha = await box.commit(quick("noted"));
    await expectCode(box.push(), 0);
    const id = box.link("current")!;
    await dp(0, "lock", "shop");
    await box.commit(quick("refused"));
    await expectCode(box.push(), 1);
    await dp(0, "unlock", "shop");
    await fresh();
    await dp(6, "run", "shop", "--", "sh", "-c", "exit 6", "hunter2");
    await dp(0, "run", "shop", "PASSWORD=hunter2 true");
    await dp(0, "env", "shop", "set", "SECRET=hunter2");
    await dp(0, "stop", "shop");
    await dp(0, "start", "shop");
    await dp(2, "env", "shop", "set", "hunter2");
    const restart = box.link("current")!;
    await dp(0, "rollback", "shop");
    const by = expect.any(String);
    const text = readFileSync(join(box.root, "var/log/deployments/audit.log"), "utf8");
    expect((await audited("-n", "11")).map(({ time: _, ...line }) => line)).toEqual([
      { app: "shop", what: "deploy", run: id, sha, by, result: "ok", code: 0 },
      { app: "shop", what: "lock", by, result: "ok", code: 0 },
      { app: "shop", what: "push", sha: expect.stringMatching(/^[0-9a-f]{40}$/), by, result: "refused", code: 5 },
      { app: "shop", what: "unlock", by, result: "ok", code: 0 },
      { app: "shop", what: "run", detail: "sh", by, result: "failed", code: 6 },
      { app: "shop", what: "run", detail: "sh", by, result: "ok", code: 0 },
      { app: "shop", what: "restart", detail: "set SECRET", run: restart, sha, by, result: "ok", code: 0 },
      { app: "shop", what: "env set", detail: "SECRET", by, result: "ok", code: 0 },
      { app: "shop", what: "stop", by, result: "ok", code: 0 },
      { app: "shop", what: "start", by, result: "ok", code: 0 },
      {
        ...{ app: "shop", what: "rollback", run: box.ids().at(-1)!, sha: box.run().facts["sha"], by },
        ...{ detail: box.link("current")!, result: "ok", code: 0 },
      },
    ] as never);
    expect(text).not.toContain("hunter2");
    expect(statSync(join(box.root, "var/log/deployments/audit.log")).mode & 0o777).toBe(0o640);
  });

  test("tells what was cancelled, by whom, and at which step it was", async () => {
    const { client, id } = await pushToDoor("cancelled");
    await dp(0, "cancel", "shop");
    await client.done;
    await fresh();
    const lines = (await audited("-n", "2")).sort((a, b) => a.what.localeCompare(b.what));
    expect(lines).toMatchObject([
      { what: "cancel", run: id, result: "ok" },
      { what: "deploy", run: id, step: "build", result: "stopped", code: 143 },
    ]);
  });

  test("a deploy whose process is killed has a line as well, and so has what takes it back", async () => {
    const { client, id } = await pushToDoor("killed");
    process.kill((await held()).running!.pid, "SIGKILL");
    expect((await expectCode(client.done, 1)).text).toContain("the process of the deploy was killed");
    await fresh();
    await box.release(quick("after"));
    expect(await audited("-n", "3")).toMatchObject([
      { what: "deploy", run: id, result: "stopped", code: 143 },
      { what: "take back", run: id, result: "ok", by: "dp" },
      { what: "deploy", run: box.link("current")!, result: "ok" },
    ]);
  });

  test("that cannot be written costs a warning, and nothing else", async () => {
    const log = join(box.root, "var/log/deployments/audit.log");
    const text = readFileSync(log);
    rmSync(log);
    await Bun.$`mkdir ${log}`.quiet();
    try {
      expect((await dp(0, "lock", "shop")).stderr).toContain(`dp: the audit log misses a line, EISDIR: ${log}`);
      await dp(0, "unlock", "shop");
      await box.release(quick("all the same"));
    } finally {
      await Bun.$`rmdir ${log}`.quiet();
      writeFileSync(log, text, { mode: 0o640 });
    }
  });

  test("outlives its app, and is told for people, too", async () => {
    await dp(0, "destroy", "shop", "--yes", "--purge");
    expect((await audited("-n", "1"))[0]).toMatchObject({ what: "destroy", app: "shop", result: "ok" });
    const { stdout } = await dp(0, "audit", "--since", "1h");
    expect(stdout).toMatch(/^WHEN +APP +WHAT +RUN +BY +RESULT\n/);
    expect(stdout).toMatch(/^\S+ \d\d:\d\d {2}shop {2}deploy +\d+-\w{7} +\S+ +stopped at build \(143\)$/m);
    expect((await dp(2, "audit", "shpo")).stderr).toMatch(
      /^dp: there is no app "shpo" on this server\n +→ did you mean "shop"\?$/m,
    );
    expect(await audited("--since", "2099-01-01")).toEqual([]);
  });
});
