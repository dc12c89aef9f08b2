// A push is a deploy, and tells the truth: every way in which one ends, over real pushes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer } from "node:net";
import { configure } from "../support/load-run.ts";
import { deployYml, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
});
afterAll(() => box?.stop());

const branch = async () => (await box.git("--git-dir", box.repo, "rev-parse", "main")).stdout.trim();
const setting = (line: string) => appendFileSync(join(box.base, "config.yml"), `${line}\n`);

/** The command ended so; what it said is shown when not. */
function expectCode(outcome: Outcome, code: number): void {
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
}

/** Nothing that a failed deploy may change has changed, and the push said so. */
async function expectRefused(outcome: Outcome, live: string | null, says: RegExp): Promise<void> {
  expect(outcome.text).toMatch(says);
  expectCode(outcome, 1);
  expect(outcome.text).toContain("[remote rejected] main -> main");
  expect(box.link("current")).toBe(live);
  expect(box.run().result?.state).toBe("failed");
  if (live !== null) {
    expect(await box.answer()).toEndWith(live);
    expect(Object.keys(box.instances())).toEqual([live]);
    expect(outcome.text).toContain(`serving: ${live}`);
  }
}

describe("a push that is well", () => {
  test("deploys the first commit", async () => {
    const pushed = await box.push();
    expect(pushed.text).toContain("live: shop 1-");
    expectCode(pushed, 0);
    expect(await box.answer()).toBe(`one ${box.link("current")}`);
    expect(box.link("previous")).toBeNull();
    expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
  });

  test("deploys the second beside the first, and keeps the first to go back to", async () => {
    const first = box.link("current");
    const second = await box.release({ say: "two" });
    expect(second).toStartWith("2-");
    expect(await box.answer()).toBe(`two ${second}`);
    expect(box.link("previous")).toBe(first);
    expect(Object.keys(box.instances())).toEqual([second]);
  });

  test("the same commit again by dp deploy is a new release", async () => {
    const second = box.link("current")!;
    const again = await box.dp("deploy", "shop");
    expectCode(again, 0);
    const third = box.link("current")!;
    expect(third).toBe(second.replace("2-", "3-"));
    expect(await box.answer()).toBe(`two ${third}`);
  });

  test("the same commit pushed again is up to date, and deploys nothing", async () => {
    const before = box.ids();
    const pushed = await box.push();
    expect(pushed.text).toContain("Everything up-to-date");
    expect(box.ids()).toEqual(before);
  });
});

describe("a push that is not", () => {
  let live: string;
  beforeAll(async () => {
    live = box.link("current") ?? (await box.release({ say: "two" }));
  });
  const broken: [string, Record<string, string>, RegExp][] = [
    [
      "dependencies that cannot be installed",
      { "requirements.txt": "--no-index\nno-such-package-at-all==1.0\n" },
      /No matching distribution found for no-such-package-at-all[\s\S]*FAILED at install: .* exited with code 1/,
    ],
    [
      "a build that fails",
      { "deploy.yml": deployYml("shop", "build: echo so it goes; exit 3\n") },
      /FAILED at build: .*exited with code 3/,
    ],
    [
      "a build that wants a setting",
      {
        "deploy.yml": deployYml("shop", "build: python3 settings.py\n"),
        "settings.py": 'import os\nkey = os.environ["API_KEY"]\n',
      },
      /FAILED at build: [^]*→ the app wants the setting API_KEY: dp env shop set API_KEY[^]*next: set it, and push again/,
    ],
    [
      "a build that speaks of a setting which it has",
      { "deploy.yml": deployYml("shop", "build: 'echo Error: DP_APP is required; exit 3'\n") },
      /FAILED at build: (?![^]*dp env)[^]*next: mend it, commit, and push again/,
    ],
    [
      "a hook that fails",
      {
        "deploy.yml": deployYml("shop", "hooks: {preDeploy: ./no.sh}\n"),
        "no.sh": "#!/bin/sh\necho no migration\nexit 4\n",
      },
      /\| no migration[\s\S]*FAILED at pre-deploy: .*exited with code 4/,
    ],
    ["a crash at boot", { mode: "crash" }, /FAILED at check: .*exited with code 1[\s\S]*\| boom: it does not start/],
    ["a health check that answers 500", { mode: "unhealthy" }, /FAILED at check: GET .*\/health: .*\b500/],
    ["a health check that redirects", { mode: "redirect" }, /302 → \/login[\s\S]*a redirect does not count as healthy/],
    [
      "a deploy.yml with mistakes",
      { "deploy.yml": "name: shop\ntype: pyton\nhealtCheck: /\n" },
      /deploy\.yml:3:1 healtCheck: .*healthCheck/,
    ],
    [
      "a deploy.yml that is another app's",
      { "deploy.yml": deployYml("other") },
      /deploy\.yml is for "other", and this is "shop"/,
    ],
    ["no deploy.yml", {}, /has no deploy\.yml/],
  ];
  test.each(broken)("%s is refused, and the old release answers", async (name, files, says) => {
    const before = await branch();
    const slow = files["mode"] === "unhealthy" || files["mode"] === "redirect";
    const quick = slow ? { "deploy.yml": deployYml("shop").replace("5s", "1s") } : {};
    await box.commit({ ...quick, ...files, ...(name === "no deploy.yml" ? { "deploy.yml": null } : {}) });
    try {
      await expectRefused(await box.push(), live, says);
      expect(await branch()).toBe(before);
    } finally {
      await box.git("reset", "--quiet", "--hard", before);
    }
  });

  test("the wrong port is named, with the right one beside it", async () => {
    const before = await branch();
    await box.commit({ mode: "wrong-port", "deploy.yml": deployYml("shop").replace("5s", "1s") });
    const pushed = await box.push();
    await box.git("reset", "--quiet", "--hard", before);
    await expectRefused(pushed, live, /connection refused/);
    const [, wrong] = /listening on (\d+)/.exec(pushed.text) ?? [];
    expect(pushed.text).toContain(`the app listens on 127.0.0.1:${wrong}; it must listen on $PORT, here 2`);
  });

  test("the same commit is deployed by the same push once the cause is gone", async () => {
    const sha = await box.commit({ mode: "setting", say: "three" });
    await expectRefused(await box.push(), live, /SETTING is not set/);
    writeFileSync(join(box.base, ".env.production"), "SETTING=1\n");
    const pushed = await box.push();
    expectCode(pushed, 0);
    expect(await branch()).toBe(sha);
    live = box.link("current")!;
    expect(await box.answer()).toBe(`three ${live}`);
    live = await box.release({ mode: null });
    writeFileSync(join(box.base, ".env.production"), "");
  });

  test("a broken env file is named by line and refused, without its values", async () => {
    const before = await branch();
    await box.commit({ say: "never" });
    writeFileSync(join(box.base, ".env.production"), "GOOD=1\nhunter2 is the word\n");
    try {
      const pushed = await box.push();
      await expectRefused(pushed, live, /\.env\.production:2/);
      expect(pushed.text).not.toContain("hunter2");
    } finally {
      writeFileSync(join(box.base, ".env.production"), "");
      await box.git("reset", "--quiet", "--hard", before);
    }
  });
});

describe("refs", () => {
  test("another branch and a tag are stored with a hint, and deploy nothing", async () => {
    const before = box.ids();
    await box.git("tag", "v1");
    const pushed = await box.push("production", "HEAD:refs/heads/idea", "v1");
    expectCode(pushed, 0);
    expect(pushed.text).toContain("dp: idea is stored and not deployed; shop deploys main");
    expect(pushed.text).toContain("dp: v1 is stored and not deployed");
    expect(box.ids()).toEqual(before);
  });

  test("three refs in one push, an annotated tag among them, are one deploy", async () => {
    const before = box.ids().length;
    await box.commit({ say: "four" });
    await box.git("tag", "-a", "v4", "-m", "Four");
    const pushed = await box.push("production", "main", "HEAD:refs/heads/other", "v4");
    expectCode(pushed, 0);
    expect(box.ids().length).toBe(before + 1);
    expect(await box.answer()).toBe(`four ${box.link("current")}`);
  });

  test("a tag is a name to deploy by", async () => {
    expectCode(await box.dp("deploy", "shop", "v4"), 0);
    expect(await box.answer()).toStartWith("four");
  });

  test("the deploy branch cannot be deleted", async () => {
    const before = await branch();
    const pushed = await box.push("production", ":main");
    expectCode(pushed, 1);
    expect(pushed.text).toContain("shop is deployed from main, which cannot be deleted");
    expect(await branch()).toBe(before);
    expect(await box.answer()).toStartWith("four");
  });

  test("another branch can be deleted", async () => {
    expectCode(await box.push("production", ":idea"), 0);
  });

  test("a force push of an older commit deploys it, as a new release", async () => {
    const before = box.ids().length;
    const older = (await box.git("rev-parse", "HEAD~1")).stdout.trim();
    const refused = await box.push("production", `${older}:main`);
    expectCode(refused, 1);
    const pushed = await box.push("--force", "production", `${older}:main`);
    expectCode(pushed, 0);
    expect(box.ids().length).toBe(before + 1);
    expect(await branch()).toBe(older);
    expect(await box.answer()).toStartWith("three");
  });

  test("a commit that a force push left behind can still be deployed: its run holds it", async () => {
    const gone = box.ids().find((id) => box.run(id).facts["subject"] === "Change it" && id.startsWith("2-"))!;
    await box.git("--git-dir", box.repo, "gc", "--quiet", "--prune=now");
    const sha = String(box.run(gone).facts["sha"]);
    expect((await box.git("--git-dir", box.repo, "cat-file", "-t", sha)).stdout.trim()).toBe("commit");
  });

  test("the refs that dp keeps for itself are not offered to clients", async () => {
    expect((await box.git("ls-remote", "production")).stdout).not.toContain("refs/dp/");
  });
});

describe("push options", () => {
  const hooks = {
    "deploy.yml": deployYml("shop", "hooks:\n  preDeploy: touch pre-ran\n  postDeploy: touch post-ran\n"),
  };
  const ran = (name: string) => existsSync(join(box.base, "current", name));

  test("skip-hooks leaves both hooks out", async () => {
    await box.git("reset", "--quiet", "--hard", await branch());
    await box.commit({ ...hooks, say: "five" });
    const pushed = await box.push("-o", "skip-hooks", "production", "main");
    expectCode(pushed, 0);
    expect(pushed.text).toMatch(/pre-deploy .*skipped, as asked[\s\S]*post-deploy .*skipped, as asked/);
    expect([ran("pre-ran"), ran("post-ran")]).toEqual([false, false]);
  });

  test("without it both run", async () => {
    await box.release({ say: "six" });
    expect([ran("pre-ran"), ran("post-ran")]).toEqual([true, true]);
  });

  test("a postDeploy that fails is a warning", async () => {
    const files = { "deploy.yml": deployYml("shop", "hooks: {postDeploy: 'false'}\n"), say: "seven" };
    await box.commit(files);
    const pushed = await box.push();
    expectCode(pushed, 0);
    expect(pushed.text).toContain("postDeploy failed, but the release is live");
    expect(await box.answer()).toStartWith("seven");
  });

  test("dry-run shows the plan, changes nothing, and refuses the push", async () => {
    const [before, runs] = [await branch(), box.ids()];
    await box.commit({ say: "eight" });
    const pushed = await box.push("-o", "dry-run", "production", "main");
    expectCode(pushed, 1);
    expect(pushed.text).toMatch(/healthCheck\s+\/health[\s\S]*dry run: nothing was deployed/);
    expect([await branch(), box.ids()]).toEqual([before, runs]);
    expect(await box.answer()).toStartWith("seven");
  });

  test("an unknown one is refused, and the known ones are named", async () => {
    const runs = box.ids();
    const pushed = await box.push("-o", "skip_hooks", "production", "main");
    expectCode(pushed, 1);
    expect(pushed.text).toContain('unknown push option "skip_hooks"; dp knows skip-hooks, dry-run, wait=30s');
    expect(box.ids()).toEqual(runs);
  });
});

describe("a port that somebody else holds", () => {
  test("is named with who holds it, before anything is stopped or started", async () => {
    const other = await sandbox("other", "none");
    try {
      const held = createServer();
      await new Promise<void>((resolve) => held.listen(other.port, "127.0.0.1", resolve));
      const pushed = await other.push();
      await new Promise((resolve) => held.close(resolve));
      expectCode(pushed, 1);
      expect(pushed.text).toContain(`port ${other.port} is held by pid ${process.pid}`);
      expect(other.link("current")).toBeNull();
      expect(other.instances()).toEqual({});
      expectCode(await other.push(), 0);
    } finally {
      await other.stop();
    }
  });

  test("is told by the relay as well, before the app is set up behind it", async () => {
    const held = createServer();
    const port = await new Promise<number>((resolve) =>
      held.listen(0, "127.0.0.1", () => resolve((held.address() as { port: number }).port)),
    );
    const refused = await box.dp("setup", "late", "--port", String(port), "--manager", "builtin");
    await new Promise((resolve) => held.close(resolve));
    expectCode(refused, 8);
    expect(refused.text).toMatch(new RegExp(`the relay cannot listen on port ${port}`));
    expect(refused.text).toContain(`held by pid ${process.pid}`);
    expectCode(await box.dp("setup", "late", "--port", String(port), "--manager", "builtin"), 0);

    // Nobody is told to end the relay for what another app of dp's has.
    configure(box, { port });
    const taken = await box.dp("reconcile", "shop");
    configure(box, { port: box.port });
    expectCode(taken, 8);
    expect(taken.text).toContain(`port ${port} belongs to the app "late"`);
    expect(taken.text).not.toContain("end that process");
  });
});

describe("strategy restart, without a front", () => {
  test("deploys with a gap that is told, and starts the old one again when the new one is bad", async () => {
    const other = await sandbox("restart", "none");
    try {
      await other.release({ say: "one" });
      const second = await other.release({ say: "two" });
      expect(other.log(second)).toMatch(/strategy restart: down for \d+\.\d s/);
      const [before] = other.instances()[second]!;
      await other.commit({ mode: "crash" });
      const pushed = await other.push();
      expectCode(pushed, 1);
      expect(pushed.text).toContain(`serving: ${second}, started again, and healthy`);
      expect(await other.answer()).toBe(`two ${second}`);
      expect(other.instances()[second]).not.toEqual([before!]);
    } finally {
      await other.stop();
    }
  });
});

describe("while a deploy runs", () => {
  const door = () => join(box.root, "open");
  const slow = (say: string) => ({
    mode: "slow",
    wait: door(),
    say,
    "deploy.yml": deployYml("shop").replace("5s", "60s"),
  });
  const waiting = (count: number) =>
    until(`${count} deploys that wait`, async () => {
      const rows = JSON.parse((await box.dp("releases", "shop", "--json")).stdout) as { state: string }[];
      return rows.filter(({ state }) => state === "waiting").length === count;
    });

  test("others wait; of those only the newest runs, and the others are told", async () => {
    const live = box.link("current")!;
    const sha = await box.commit(slow("slow"));
    const first = box.start(["git", "push", "production", "main"]);
    await until("the first deploy's check", () => box.run().journal["check"]?.state === "running");
    const running = box.ids().at(-1)!;
    expect((await box.dp("status", "shop")).stdout).toContain(`deploying  deploy ${running}`);

    const second = box.start([
      process.execPath,
      join(import.meta.dir, "../../bin/dp"),
      "deploy",
      "shop",
      live.split("-")[1]!,
    ]);
    await waiting(1);
    const third = box.start([process.execPath, join(import.meta.dir, "../../bin/dp"), "deploy", "shop", sha]);
    const told = await second.done;
    expectCode(told, 5);
    expect(told.text).toContain(`waiting for deploy ${running}`);
    expect(told.text).toMatch(/superseded by \d+-/);
    await waiting(1);

    writeFileSync(door(), "");
    expectCode(await first.done, 0);
    expectCode(await third.done, 0);
    const [, middle, last] = box.ids().slice(-3);
    expect(box.run(middle).result?.state).toBe("superseded");
    expect(box.link("current")).toBe(last!);
    expect(await box.answer()).toBe(`slow ${last}`);
    expect(Object.keys(box.instances())).toEqual([last!]);
  });

  test("a run that was superseded is nothing to resume, and no release to go back to", async () => {
    const middle = box.ids().at(-2)!;
    const back = await box.dp("rollback", "shop", middle);
    expectCode(back, 2);
    expect(back.text).toContain("is superseded, dp goes back only to good releases");
  });

  test("a rollback goes back to what is live when its turn comes", async () => {
    rmSync(door());
    const live = box.link("current")!;
    await box.commit(slow("slower"));
    const pushed = box.start(["git", "push", "production", "main"]);
    await until("its check", () => box.run().journal["check"]?.state === "running");
    const argv = [process.execPath, join(import.meta.dir, "../../bin/dp"), "rollback", "shop"];
    const back = Bun.spawn(argv, { cwd: box.code, env: box.env, stdio: ["ignore", "ignore", "pipe"] });
    const said = back.stderr.getReader();
    expect(Buffer.from((await said.read()).value ?? []).toString()).toContain("waiting for deploy");
    writeFileSync(door(), "");
    expectCode(await pushed.done, 0);
    while (!(await said.read()).done);
    expect(await back.exited).toBe(0);
    expect(box.link("current")).toBe(live);
  });
});

describe("gate: false", () => {
  test("accepts the push, then deploys, and a failure is told without refusing", async () => {
    setting("gate: false");
    const sha = await box.commit({ mode: null, wait: null, say: "nine" });
    const good = await box.push();
    expectCode(good, 0);
    expect(good.text).toContain("live: shop");
    expect(await box.answer()).toStartWith("nine");

    const broken = await box.commit({ mode: "crash" });
    const bad = await box.push();
    expectCode(bad, 0);
    expect(bad.text).toContain("FAILED at check");
    expect(await branch()).toBe(broken);
    expect(broken).not.toBe(sha);
    expect(await box.answer()).toStartWith("nine");
  });

  test("deploys once for several refs, and refuses the deletion of the branch all the same", async () => {
    const before = box.ids().length;
    await box.commit({ mode: null, say: "ten" });
    expectCode(await box.push("production", "main", "HEAD:refs/heads/three"), 0);
    expect(box.ids().length).toBe(before + 1);
    expect(await box.answer()).toStartWith("ten");
    expectCode(await box.push("production", ":main"), 1);
  });
});

test("nothing but whole files is left in the app's folder", () => {
  const names = [...new Bun.Glob("**/*tmp*").scanSync({ cwd: box.base, dot: true, onlyFiles: false })];
  expect(names.filter((name) => !name.startsWith("home/"))).toEqual([]);
  expect(readFileSync(join(box.base, "counter"), "utf8")).toBe(`${box.ids().length}\n`);
});
