// What dp tells of an app, the way back, and what stays on the disk.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ReleaseRow } from "../../lib/commands/releases.ts";
import type { Status } from "../../lib/commands/status.ts";
import { watchArguments } from "../support/argv-watch.ts";
import { deployYml, project, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

// In the arguments of no other test's processes.
const SECRET = `s3cr3t-of-${randomUUID()}`;
let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
});
afterAll(() => box?.stop());

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const status = async () => JSON.parse((await expectCode(box.dp("status", "shop", "--json"), 0)).stdout) as Status;
const releases = async () =>
  JSON.parse((await expectCode(box.dp("releases", "shop", "--json"), 0)).stdout) as ReleaseRow[];
const onDisk = () => readdirSync(join(box.base, "releases")).sort((a, b) => Number.parseInt(a) - Number.parseInt(b));

test("before the first push everything answers, and says so", async () => {
  expect(await status()).toMatchObject({
    app: "shop",
    live: null,
    process: null,
    isHealthy: null,
    strays: [],
    deploying: null,
  });
  expect(await releases()).toEqual([]);
  expect((await expectCode(box.dp("releases", "shop"), 0)).stdout).toBe("no deploy yet\n");
  expect((await expectCode(box.dp("logs", "shop"), 2)).text).toContain("shop has no live release yet");
  expect((await expectCode(box.dp("logs", "shop", "--deploy"), 2)).text).toContain("shop has no deploy yet");
  for (const words of [["logs"], ["logs", "--deploy"], ["rollback"], ["restart"], ["ps"], ["deploy"], ["plan"]])
    expect((await expectCode(box.dp(words[0]!, "shop", ...words.slice(1)), 2)).text).toContain(
      "→ push to deploy: git push production main\n",
    );
});

test("what is to be typed first follows from what was pushed, and how it ended", async () => {
  const next = async () => (await expectCode(box.dp("status", "shop"), 0)).stdout.match(/nothing yet: (.*)/)![1];
  expect(await next()).toBe("push to deploy: git push production main");
  await expectCode(box.push("production", "HEAD:refs/heads/trial"), 0);
  expect(await next()).toBe("trial is stored, but shop deploys main: git push production trial:main");
  await expectCode(box.dp("deploy", "shop"), 2);
  await expectCode(box.git("--git-dir", box.repo, "update-ref", "refs/heads/main", "refs/heads/trial"), 0);
  expect(await next()).toBe("dp deploy shop");
  for (const branch of ["main", "trial"])
    await expectCode(box.git("--git-dir", box.repo, "update-ref", "-d", `refs/heads/${branch}`), 0);
});

test("a first deploy that fails is what the next commands speak of", async () => {
  const other = await sandbox();
  try {
    await other.commit({ mode: "crash" });
    await expectCode(other.push(), 1);
    expect((await expectCode(other.dp("ps", "shop"), 2)).text).toContain(
      "→ dp logs shop --deploy shows why the last deploy failed; mend it, and push again",
    );
  } finally {
    await other.stop();
  }
});

describe("secrets of the env file", () => {
  let watching: ReturnType<typeof watchArguments>;
  beforeAll(() => void (watching = watchArguments(SECRET)));
  afterAll(() => watching.stop());

  test("are masked in what a push says, in its log, and in the app's log; the app has them", async () => {
    writeFileSync(join(box.base, ".env.production"), `SECRET=${SECRET}\n`);
    await box.commit({ "deploy.yml": deployYml("shop", 'build: echo "the word is $SECRET"; test -n "$SECRET"\n') });
    const pushed = await expectCode(box.push(), 0);
    expect(pushed.text).toContain("the word is ***");
    const app = await expectCode(box.dp("logs", "shop"), 0);
    expect(app.stdout).toMatch(/listening on \d+ \*\*\*/);
    const deploy = await expectCode(box.dp("logs", "shop", "--deploy"), 0);
    expect(deploy.stdout).toContain("the word is ***");
    const run = JSON.stringify(box.run());
    for (const text of [pushed.text, app.text, deploy.text, box.log(box.ids().at(-1)!), run])
      expect(text).not.toContain(SECRET);
  });

  test("are masked in a failure's command and lines, too", async () => {
    const before = (await box.git("rev-parse", "HEAD")).stdout.trim();
    await box.commit({ "deploy.yml": deployYml("shop", 'build: echo "$SECRET" >&2; exit 3\n') });
    const pushed = await expectCode(box.push(), 1);
    expect(pushed.text).toContain("| ***");
    expect(pushed.text).not.toContain(SECRET);
    expect(JSON.stringify(box.run())).not.toContain(SECRET);
    await box.git("reset", "--quiet", "--hard", before);
  });

  test("are in the arguments of no process, of a one-off command neither, which has them", async () => {
    expect((await expectCode(box.dp("run", "shop", 'echo "$SECRET"'), 0)).stdout).toBe(`${SECRET}\n`);
    expect(await watching.stop()).toEqual([]);
  });
});

describe("status and releases", () => {
  test("as JSON have every field that a program may read", async () => {
    const now = await status();
    expect(now).toMatchObject({
      app: "shop",
      manager: "builtin",
      branch: "main",
      live: box.link("current"),
      isHealthy: true,
      health: "200",
    });
    expect(now.process).toMatchObject({ state: "running", restarts: 0 });
    expect(now.lastFailure?.error).toContain("exited with code 3");
    const [failed, good] = await releases();
    expect(failed).toMatchObject({ number: 2, kind: "deploy", state: "failed", isLive: false });
    expect(good).toMatchObject({
      number: 1,
      id: box.link("current"),
      state: "good",
      isLive: true,
      isKept: true,
      error: null,
      by: expect.any(String),
    });
    expect(good!.sha).toMatch(/^[0-9a-f]{40}$/);
    expect(good!.took).toBeGreaterThan(0);
    expect(JSON.parse((await box.dp("status", "--json")).stdout)).toHaveLength(1);
  });

  test("an app that crashes is started again, and status counts it", async () => {
    const [pid] = box.instances()[box.link("current")!]!;
    process.kill(pid!, "SIGKILL");
    const now = await until("the restart", async () => {
      const found = await status();
      return found.process?.restarts === 1 && found.isHealthy && found;
    });
    expect(now.process?.pid).not.toBe(pid!);
  });
});

describe("logs -f", () => {
  const argv = (...args: string[]) => [join(project, "bin/dp"), "logs", "shop", ...args];

  test("of the app follows what it says, and ends on SIGINT", async () => {
    const following = Bun.spawn(argv("-f"), {
      cwd: "/",
      env: box.env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const reader = following.stdout.getReader();
    let seen = "";
    const decoder = new TextDecoder();
    while (!seen.includes("listening on")) seen += decoder.decode((await reader.read()).value);
    appendFileSync(
      join(box.root, "var/log/deployments/shop", `${box.link("current")}.app.log`),
      `one more ${SECRET}\n`,
    );
    while (!seen.includes("one more")) seen += decoder.decode((await reader.read()).value);
    expect(seen).toContain("one more ***");
    following.kill("SIGINT");
    expect([0, 130]).toContain(await following.exited);
  });

  test("of a deploy ends with the deploy", async () => {
    const door = join(box.root, "door");
    await box.commit({
      say: "two",
      "deploy.yml": deployYml("shop", `build: while [ ! -e '${door}' ]; do sleep 0.02; done; echo through\n`),
    });
    const pushed = box.start(["git", "push", "production", "main"]);
    await until("the build", () => box.run().journal["build"]?.state === "running");
    const following = box.start(argv("--deploy", "-f"));
    writeFileSync(door, "");
    await expectCode(pushed.done, 0);
    const { code, stdout } = await following.done;
    expect(stdout).toMatch(/\| through[\s\S]*live: shop 3-/);
    expect(code).toBe(0);
  });
});

describe("rollback", () => {
  let [one, two, three] = ["", "", ""];
  beforeAll(async () => {
    one = box.ids()[0]!;
    two = box.link("current")!;
    three = await box.release({ say: "three", "deploy.yml": deployYml("shop") });
  });
  const live = () => [box.link("current"), box.link("previous")];

  /** What status and releases say of the way back, told apart from what was live before. */
  const told = async () => {
    const { previous, rollbackTarget } = await status();
    const marks = (await expectCode(box.dp("releases", "shop"), 0)).stdout.match(
      /^\S+ (?=.*\b(previous|rollback target)\b)/gm,
    );
    return { previous, rollbackTarget, lines: (await expectCode(box.dp("status", "shop"), 0)).stdout, marks };
  };

  test("goes to the newest good release before the live one, twice in a row further back; status says where to", async () => {
    const before = await told();
    expect(before).toMatchObject({ previous: two, rollbackTarget: two, marks: [`${two} `] });
    expect(before.lines).toContain(`  previous   ${two}  dp rollback shop goes back\n`);
    await expectCode(box.dp("rollback", "shop"), 0);
    expect(live()).toEqual([two, three]);
    expect(await box.answer()).toBe(`two ${two}`);
    const between = await told();
    expect(between).toMatchObject({ previous: three, rollbackTarget: one, marks: [`${three} `, `${one} `] });
    expect(between.lines).toContain(
      `  previous   ${three}  dp rollback shop ${three} returns to it\n  rollback   ${one}  dp rollback shop goes back\n`,
    );
    await expectCode(box.dp("rollback", "shop"), 0);
    expect(live()).toEqual([one, two]);
    expect(await box.answer()).toBe(`one ${one}`);
    expect(await told()).toMatchObject({ previous: two, rollbackTarget: null });
    expect((await expectCode(box.dp("rollback", "shop"), 2)).text).toContain(`no good release before ${one}`);
    expect(Object.keys(box.instances())).toEqual([one]);
  });

  test("goes to a release by number, by ID, by commit", async () => {
    const sha = String(box.run(two).facts["sha"]);
    for (const [wish, id] of [
      [three.split("-")[0]!, three],
      [one, one],
      [sha.slice(0, 10), two],
    ] as const) {
      await expectCode(box.dp("rollback", "shop", wish), 0);
      expect(box.link("current")).toBe(id);
      expect(await box.answer()).toEndWith(id);
    }
  });

  test("is in the history as what it was", async () => {
    expect((await releases())[0]).toMatchObject({ kind: "rollback", state: "good", release: two });
    expect((await expectCode(box.dp("releases", "shop"), 0)).stdout).toContain(`back to ${two}`);
  });

  test("refuses what is live, what failed, what was a rollback, what is unknown", async () => {
    const before = box.ids();
    const failed = (await releases()).find(({ state }) => state === "failed")!.id;
    for (const [wish, says] of [
      [two, "is already live"],
      [failed, "is failed, dp goes back only to good releases"],
      [before.at(-1)!, "is a rollback, not a release"],
      ["4711", 'has no release "4711"'],
    ] as const)
      expect((await expectCode(box.dp("rollback", "shop", wish), 2)).text).toContain(says);
    expect(box.ids()).toEqual(before);
  });

  test("to a release that no longer starts goes back to where it was", async () => {
    const marked = await box.release({ mode: "marked", wait: join(box.root, "ill"), say: "ill" });
    await expectCode(box.dp("rollback", "shop", three), 0);
    writeFileSync(join(box.root, "ill"), "");
    appendFileSync(join(box.base, "config.yml"), "");
    rmSync(join(box.base, "releases", marked, "server.py"));
    const outcome = await expectCode(box.dp("rollback", "shop", marked), 7);
    expect(outcome.text).toContain(`serving: ${three}`);
    expect(box.link("current")).toBe(three);
    expect(await box.answer()).toEndWith(three);
    expect(Object.keys(box.instances())).toEqual([three]);
  });
});

describe("prune", () => {
  test("keeps the good ones that config.yml asks for, and current and previous; what is not dp's is left alone", async () => {
    appendFileSync(join(box.base, "config.yml"), "keep: 2\n");
    mkdirSync(join(box.base, "releases/my-backup"));
    const before = box.link("current")!;
    await box.git("rm", "--quiet", "mode");
    const first = await box.release({ say: "p1" });
    expect(box.link("previous")).toBe(before);
    const second = await box.release({ say: "p2" });
    const pushed = await box.dp("deploy", "shop");
    expect(pushed.text).toContain("releases/my-backup is not from dp and was left alone");
    const third = box.link("current")!;
    const good = onDisk().filter((id) => id !== "my-backup" && box.run(id).result?.state === "good");
    expect(good).toEqual([second, third]);
    expect(existsSync(join(box.base, "releases", first))).toBe(false);
    expect(onDisk()).toContain("my-backup");
  });

  test("never takes the live or the previous release, however old", async () => {
    const [second, third] = [box.link("previous")!, box.link("current")!];
    await expectCode(box.dp("rollback", "shop"), 0);
    await box.commit({ mode: "crash" });
    await expectCode(box.push(), 1);
    expect(onDisk()).toEqual(expect.arrayContaining([second, third]));
    expect(await box.answer()).toEndWith(second);
  });
});

test("numbers are never used again, whatever was deleted", async () => {
  const highest = Math.max(...box.ids().map((id) => Number.parseInt(id)));
  for (const id of box.ids().slice(-3)) if (id !== box.link("current")) rmSync(join(box.base, "runs", `${id}.json`));
  const next = (await expectCode(box.dp("begin", "shop", box.link("current")!.split("-")[1]!), 0)).stdout;
  expect(next).toContain(`/${highest + 1}-`);
  rmSync(join(box.base, "counter"));
  const after = (await expectCode(box.dp("begin", "shop", box.link("current")!.split("-")[1]!), 0)).stdout;
  expect(after).toContain(`/${highest + 2}-`);
});
