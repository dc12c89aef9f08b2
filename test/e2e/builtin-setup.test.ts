// `dp setup` of an app that is live, or whose code is elsewhere: what acts at once, what waits, and what cannot be.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/core-server.ts";
import { deployYml, sandbox, SERVER, until, type Sandbox } from "../support/sandbox.ts";

const FILES = { "deploy.yml": deployYml("shop"), "server.py": SERVER, say: "one" };

const config = (box: Sandbox) => readFileSync(join(box.base, "config.yml"), "utf8");
// By a connection of its own: one that was kept stays with the front that moves.
const ALONE = { headers: { Connection: "close" }, keepalive: false };
const get = async (port: number) => (await fetch(`http://127.0.0.1:${port}/`, ALONE)).text();
const isRefused = (port: number) =>
  get(port).then(
    () => false,
    () => true,
  );

/** Asks the port again and again, each time by a connection of its own, until it is stopped; answers what failed. */
function asking(port: number) {
  let isOver = false;
  let count = 0;
  const failed: string[] = [];
  const done = (async () => {
    while (!isOver) {
      await get(port).catch((error: Error) => failed.push(error.message));
      count++;
    }
  })();
  const stop = async () => {
    isOver = true;
    await done;
    return { count, failed };
  };
  return { count: () => count, stop };
}

describe("an app that is live", () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = await sandbox();
    await box.release(FILES);
  });
  afterAll(() => box?.stop());

  test("moves to another port at once, and the next deploy stays there", async () => {
    const port = await freePort();
    const before = await get(box.port);
    const { code, stdout } = await box.dp("setup", "shop", "--port", String(port));
    expect([code, stdout]).toEqual([0, expect.stringContaining(`port is now ${port}, it was ${box.port}\n`)]);
    expect(stdout).toContain(`the relay holds 127.0.0.1:${port} for shop\n`);
    expect(stdout).toMatch(
      new RegExp(
        `^live at http://127\\.0\\.0\\.1:${port} \\(this server only; to open it: .*dp setup shop --host 0\\.0\\.0\\.0,`,
        "m",
      ),
    );
    expect([await get(port), await isRefused(box.port)]).toEqual([before, true]);
    await box.release({ say: "two" });
    expect(await get(port)).toStartWith("two ");
    expect((await box.dp("status", "shop")).stdout).toContain(`http://127.0.0.1:${port}`);
    expect((await box.dp("setup", "shop", "--port", String(port))).stdout).toContain("nothing to change for shop");
    const back = await box.dp("setup", "shop", "--port", String(box.port));
    expect([back.code, await isRefused(port)]).toEqual([0, true]);
  });

  test("is opened at the port that it has without a failed request, and closed again", async () => {
    const dp = `DP_ROOT=${box.root} dp`;
    const load = asking(box.port);
    await until("it is asked", () => load.count() > 20);
    for (const host of ["0.0.0.0", "127.0.0.1"]) {
      const { code, stdout } = await box.dp("setup", "shop", "--host", host);
      expect([code, stdout]).toEqual([0, expect.stringContaining(`host is now ${host}, it was `)]);
      expect(stdout).not.toContain("dp restart");
      expect(stdout.includes("this server only")).toBe(host === "127.0.0.1");
      expect(stdout).toEndWith(`next:\n  ${dp} status shop\n  ${dp} logs shop\n`);
      const now = load.count();
      await until("it is asked again", () => load.count() > now + 20);
    }
    expect((await load.stop()).failed.slice(0, 3)).toEqual([]);
  });

  test("stays where it is when another program has the port, and config.yml with it", async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const before = config(box);
    try {
      const { code, stdout, stderr } = await box.dp("setup", "shop", "--port", String(taken.port));
      expect([code, stdout]).toEqual([8, ""]);
      expect(stderr).toContain(`cannot listen on port ${taken.port}`);
      expect(stderr).toContain(`port ${taken.port} is taken by another program`);
      expect(stderr).not.toContain("verbose");
    } finally {
      taken.stop(true);
    }
    expect(config(box)).toBe(before);
    expect(await get(box.port)).toContain(box.link("current")!);
    expect((await box.dp("setup", "shop")).stdout).toContain("nothing to change for shop");
  });

  test("is told to restart when a deploy is running, which would move it back", async () => {
    const port = await freePort();
    const door = join(box.root, "door");
    const patient = deployYml("shop").replace("startTimeout: 5s", "startTimeout: 5m");
    await box.commit({ "deploy.yml": patient, mode: "slow", wait: door });
    const before = box.ids().length;
    const pushed = box.push();
    const log = () => join(box.root, "var/log/deployments/shop", `${box.ids().at(-1)}.log`);
    const begun = () => box.ids().length > before && existsSync(log()) && /^start /m.test(readFileSync(log(), "utf8"));
    await until("it starts", begun);
    const { code, stdout } = await box.dp("setup", "shop", "--port", String(port));
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(
        new RegExp(
          `port is now ${port}, it was ${box.port}; deploy \\S+ by .* is running; when it has ended: dp restart shop`,
        ),
      ),
    ]);
    expect(stdout).toContain(`\nwill be live at http://127.0.0.1:${port} `);
    writeFileSync(door, "");
    expect((await pushed).code).toBe(0);
    expect(await isRefused(port)).toBe(true);
    expect((await box.dp("restart", "shop")).code).toBe(0);
    expect([await isRefused(port), await isRefused(box.port)]).toEqual([false, true]);
  });

  test("other changes say what uses them", async () => {
    const { code, stdout } = await box.dp("setup", "shop", "--env", "staging", "--branch", "live");
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining(
        "env is now staging, it was production; the next deploy uses it, or now: dp restart shop\n",
      ),
    ]);
    expect(stdout).toContain("branch is now live, it was main\n");
  });
});

test("an app that holds its port itself: a port in use is refused, a free one waits for dp restart", async () => {
  const box = await sandbox("shop", "none");
  try {
    await box.release(FILES);
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const before = config(box);
    const refused = await box.dp("setup", "shop", "--port", String(taken.port));
    taken.stop(true);
    expect([refused.code, refused.stderr]).toEqual([8, expect.stringContaining(`port ${taken.port} is held by `)]);
    expect(config(box)).toBe(before);
    const port = await freePort();
    const { code, stdout } = await box.dp("setup", "shop", "--port", String(port));
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining(
        `port is now ${port}, it was ${box.port}; the next deploy uses it, or now: dp restart shop`,
      ),
    ]);
    expect([await isRefused(port), await isRefused(box.port)]).toEqual([true, false]);
    expect((await box.dp("restart", "shop")).code).toBe(0);
    expect(await isRefused(port)).toBe(false);
  } finally {
    await box.stop();
  }
});

test.skipIf(Bun.which("haproxy") === null && !existsSync("/usr/sbin/haproxy"))(
  "another front waits for dp restart; HAProxy then moves at once as well, and is refused a port in use",
  async () => {
    const box = await sandbox();
    try {
      await box.release(FILES);
      const chosen = (await box.dp("setup", "shop", "--front", "haproxy")).stdout;
      expect(chosen).toContain(
        "front is now haproxy, it was relay; the next deploy uses it, or now: dp restart shop\n",
      );
      expect(chosen).toContain(`\nlive at http://127.0.0.1:${box.port} `);
      expect((await box.dp("restart", "shop")).code).toBe(0);
      const load = asking(box.port);
      for (const host of ["0.0.0.0", "127.0.0.1"]) {
        expect((await box.dp("setup", "shop", "--host", host)).stdout).toContain(`HAProxy holds ${host}:${box.port}`);
        const now = load.count();
        await until("it is asked again", () => load.count() > now + 20);
      }
      expect((await load.stop()).failed.slice(0, 3)).toEqual([]);
      const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
      const { code, stderr } = await box.dp("setup", "shop", "--port", String(taken.port));
      taken.stop(true);
      expect([code, stderr]).toEqual([
        8,
        expect.stringContaining(`cannot listen on port ${taken.port}: it is held by`),
      ]);
      expect(await get(box.port)).toContain(box.link("current")!);
    } finally {
      await box.stop();
    }
  },
);

describe("dp setup APP GIT_URL", () => {
  let box: Sandbox;
  beforeEach(async () => {
    box = await sandbox();
  });
  afterEach(() => box?.stop());

  test("of what cannot be fetched does all else, and says what tries again", async () => {
    const url = join(box.root, "origin.git");
    const { code, stdout, stderr } = await box.dp("setup", "other", url, "--manager", "builtin");
    expect([code, stdout]).toEqual([6, expect.stringContaining("checked: all in place\n")]);
    expect(stdout).toContain("git remote add production ");
    expect(stderr).toStartWith(
      `dp: ${url} could not be fetched; all else of other is in place, and it can be pushed to\n`,
    );
    expect(stderr).toContain("does not appear to be a git repository");
    expect(stderr).toEndWith(`→ dp setup other ${url} tries again\n`);
    // Meanwhile it is pushed to.
    await box.commit({ ...FILES, "deploy.yml": deployYml("other") });
    const pushed = await box.push(box.repo.replace("shop.git", "other.git"), "main");
    expect([pushed.code, pushed.text]).toEqual([0, expect.stringContaining("live: other")]);
    // And then it is there.
    await box.git("clone", "--quiet", "--bare", box.code, `${url}.new`);
    renameSync(`${url}.new`, url);
    const again = await box.dp("setup", "other", url);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining(`fetched main from ${url}`)]);
    expect(again.stdout).toContain("dp deploy other");
  });

  test("shows no password of an address that cannot be fetched", async () => {
    const { code, text } = await box.dp(
      "setup",
      "other",
      "http://robot:hunter22@127.0.0.1:1/x.git",
      "--manager",
      "builtin",
    );
    expect(code).toBe(6);
    expect(text).toContain("dp setup other http://127.0.0.1:1/x.git tries again");
    expect(text).not.toContain("hunter22");
  });
});
