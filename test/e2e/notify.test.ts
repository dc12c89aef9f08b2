// Notifications over real deploys: what arrives, that it arrives once, and that no deploy waits or fails for it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hanging, receiver, type Receiver } from "../notify/support/receivers.ts";
import { pidsWith, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

const LIMIT = 120_000;
const SECRET = "s3cr3t-T0ken";

const canMount = Bun.spawnSync(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).exitCode === 0;
if (!canMount) console.warn("a queue on a full disk is left out: this user may not mount a small one");

let box: Sandbox;
let team: Receiver;
beforeAll(async () => {
  team = receiver();
  box = await sandbox();
}, LIMIT);
afterAll(async () => {
  team?.stop();
  await box?.stop();
});

/** `dp notify add` with lines on stdin. */
async function add(name: string, kind: string, lines: string, ...more: string[]): Promise<Outcome> {
  const argv = [box.program, "notify", "add", name, kind, ...more];
  const child = Bun.spawn(argv, { env: box.env, stdin: Buffer.from(lines), stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr, text: stdout + stderr };
}

const textsOf = ({ got }: Receiver) => got.map(({ body }) => (JSON.parse(body) as { text: string }).text);
const about = (word: string) => textsOf(team).filter((text) => text.includes(word));
const queue = () => join(box.root, "var/lib/dp/notify");
const notifyYml = () => join(box.root, "opt/deployments/notify.yml");

/** Waits until the sender has nothing left. */
const quiet = () =>
  until("the end of the sender", () => {
    const left = [...readdirSync(join(queue(), "new")), ...readdirSync(join(queue(), "own/rows"))];
    return left.length === 0;
  });

const look = () =>
  until("a look", async () => {
    const { code, text } = await box.dp("watch");
    if (code !== 0 && code !== 5) throw new Error(text);
    return code === 0;
  });

describe("dp notify", () => {
  test(
    "without a target nobody is told, and nothing is made",
    async () => {
      expect((await box.dp("notify")).stdout).toBe("nobody is told anything: dp notify add NAME KIND\n");
      const muted = await box.dp("notify", "mute", "1h");
      expect([muted.code, muted.text]).toEqual([2, expect.stringContaining("nobody is told anything")]);
      const removed = await box.dp("notify", "remove", "team");
      expect([removed.code, removed.stderr]).toEqual([
        2,
        'dp: there is no target "team"\n  → dp notify add NAME KIND\n',
      ]);
      expect(existsSync(queue())).toBe(false);
    },
    LIMIT,
  );

  test(
    "a target whose test does not arrive is not kept, and its address is not told",
    async () => {
      const gone = receiver(() => new Response("no_service", { status: 404 }));
      const refused = await add("team", "slack", `URL=${gone.url}/${SECRET}\n`);
      gone.stop();
      expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining('slack "team" answered 404')]);
      expect(refused.text).not.toContain(SECRET);
      expect(existsSync(notifyYml())).toBe(false);
      for (const [lines, why] of [
        ["URL=http://example.com/x", "must begin with https://"],
        ["url=https://u:pw@example.com/x", "no user and password"],
        ["address=x", "slack has no address"],
        [SECRET, "stdin must be lines of NAME=VALUE"],
        ["", "stdin is empty, so it is not known where slack leads"],
      ] as const) {
        const wrong = await add("team", "slack", lines);
        expect(wrong.text).toContain(why);
        expect([2, 3]).toContain(wrong.code);
        expect(wrong.text).not.toContain(SECRET);
      }
      expect((await add("Team", "slack", "")).code).toBe(2);
      expect((await add("team", "slak", "")).text).toContain('did you mean "slack"?');
    },
    LIMIT,
  );

  test(
    "one whose test arrives is kept, for root alone, and shown without its secret",
    async () => {
      const added = await add("team", "slack", `URL=${team.url}/${SECRET}\n`);
      expect([added.code, added.text]).toEqual([0, expect.stringMatching(/^sent to team: 200 in \d+ ms\n/)]);
      expect(added.stdout).toContain("successful deploys: dp notify set deployed=team");
      expect(textsOf(team)).toEqual([expect.stringContaining("this is a test")]);
      expect(statSync(notifyYml()).mode & 0o777).toBe(0o600);
      const shown = await box.dp("notify");
      expect(shown.stdout).toContain("team  slack  127.0.0.1:");
      const json = await box.dp("notify", "--json");
      expect(JSON.parse(json.stdout)).toMatchObject({ targets: [{ name: "team", kind: "slack", waiting: 0 }] });
      for (const { text } of [added, shown, json]) expect(text).not.toContain(SECRET);
      expect((await add("team", "slack", `URL=${team.url}\n`)).text).toContain("there is a target team already");
      const tested = await box.dp("notify", "test");
      expect([tested.code, tested.stdout]).toEqual([0, expect.stringContaining("sent to team: 200")]);
      expect((await box.dp("notify", "test", "taem")).code).toBe(2);
    },
    LIMIT,
  );

  test(
    "comments of notify.yml stay, and mistakes in it are told by line",
    async () => {
      const text = readFileSync(notifyYml(), "utf8");
      writeFileSync(notifyYml(), `# whom we tell\n${text}`);
      expect((await box.dp("notify", "set", "deployed=team")).code).toBe(0);
      expect(readFileSync(notifyYml(), "utf8")).toBe(`# whom we tell\n${text}events: { deployed: [ team ] }\n`);
      expect((await box.dp("notify", "set", "deployed=nobody")).text).toContain('no target "nobody"');
      expect((await box.dp("notify", "set", "deploid=team")).text).toContain('did you mean "deployed"?');
      writeFileSync(notifyYml(), `${text}  other: {slack: "https://x/${SECRET}", tokn: 1, chat: "1"}\nevnts: {}\n`);
      const { code, text: said } = await box.dp("notify");
      expect(code).toBe(3);
      expect(said).toContain("other.tokn: unknown key");
      expect(said).toContain("other.chat: is not a key of slack, remove it");
      expect(said).toContain('evnts: unknown key, did you mean "events"?');
      expect(said).not.toContain(SECRET);
      expect((await box.dp("doctor")).text).toContain("what was there before holds");
      writeFileSync(notifyYml(), text);
    },
    LIMIT,
  );
});

const broken = (mode: string) => ({ mode });

describe("a deploy that fails", () => {
  test(
    "is told once, and the next good one, with what it says on the screen",
    async () => {
      await box.release({ say: "good" });
      await box.commit(broken("unhealthy"), "Retry once @everyone <!channel>");
      expect((await box.push()).code).not.toBe(0);
      const id = box.ids().at(-1)!;
      await quiet();
      const [text, ...others] = about(id);
      expect(others).toEqual([]);
      const [head, error, hint] = text!.split("\n");
      expect(head).toBe(`✗ shop: deploy ${id} failed at check, ${box.link("current")} serves as before`);
      expect(error).toStartWith('"Retry once @\u200beveryone &lt;!channel&gt;" by ');
      expect(error).toContain("500");
      expect(hint).toStartWith(`dp logs shop --deploy ${id}`);
      for (let looks = 0; looks < 2; looks++) await look();
      await quiet();
      expect(about(id).length).toBe(1);
      await box.release({ mode: "", say: "mended" });
      await quiet();
      expect(about(box.ids().at(-1)!)).toEqual([
        expect.stringMatching(/^✓ shop deploys again: .* \(1 failed before\)$/),
      ]);
      await box.release({ say: "better" });
      await quiet();
      expect(about(box.ids().at(-1)!)).toEqual([]);
    },
    LIMIT,
  );

  test(
    "killed by SIGKILL and found by the next one; killed and resumed: once each",
    async () => {
      await box.commit({ say: "killed" });
      const killed = await box.dpKilledAt("check:begun", "execute", box.repo, await head());
      expect(killed.code).not.toBe(0);
      const first = box.ids().at(-1)!;
      await box.release({ say: "after it" });
      await quiet();
      expect(about(first)).toEqual([expect.stringContaining("its process was killed, and it was taken back")]);
      await box.commit({ mode: "unhealthy" });
      await box.dpKilledAt("start:begun", "execute", box.repo, await head());
      const second = box.ids().at(-1)!;
      await quiet();
      expect(about(second)).toEqual([]);
      expect((await box.dp("resume", "shop")).code).toBe(7);
      await look();
      await quiet();
      expect(about(second).length).toBe(1);
      await box.release({ mode: "" });
      await quiet();
    },
    LIMIT,
  );

  test(
    "stopped by hand, a mistake in deploy.yml, and a locked app are told to nobody",
    async () => {
      const before = textsOf(team).length;
      await box.commit({ "deploy.yml": "name: shop\n" });
      expect((await box.push()).code).not.toBe(0);
      expect((await box.dp("lock", "shop")).code).toBe(0);
      expect((await box.dp("deploy", "shop")).code).toBe(5);
      expect((await box.dp("unlock", "shop")).code).toBe(0);
      await look();
      await quiet();
      expect(textsOf(team).length).toBe(before);
      await box.git("reset", "--hard", "HEAD~1");
    },
    LIMIT,
  );

  test(
    "that is stuck, because the way back fails, too: once",
    async () => {
      const live = box.link("current")!;
      const file = join(box.base, "runs", `${live}.json`);
      renameSync(file, `${file}.away`);
      // Nobody starts it again, and nobody knows how.
      const supervisors = pidsWith(join(box.base, "instances", `${live}.json`));
      for (const pid of [...supervisors, ...box.instances()[live]!]) process.kill(pid, "SIGKILL");
      try {
        await box.commit({ mode: "crash" });
        // In another order git says so with a code of its own.
        await box.push();
      } finally {
        renameSync(`${file}.away`, file);
      }
      const id = box.ids().at(-1)!;
      expect(box.run().result?.code).toBe(9);
      expect((await box.dp("reconcile", "shop")).code).toBe(0);
      for (let looks = 0; looks < 2; looks++) await look();
      await quiet();
      expect(about(`deploy ${id} failed`)).toEqual([
        expect.stringMatching(/^✗ shop: deploy \S+ failed at \w+, and could not be taken back$/m),
      ]);
      await box.release({ mode: "" });
      await quiet();
    },
    LIMIT,
  );

  test(
    "that git was told nothing of (gate: false): once",
    async () => {
      const config = join(box.base, "config.yml");
      const text = readFileSync(config, "utf8");
      writeFileSync(config, `${text}gate: false\n`);
      await box.commit({ mode: "unhealthy" });
      await box.push();
      const open = box.ids().at(-1)!;
      await quiet();
      expect(about(open).length).toBe(1);
      writeFileSync(config, text);
      await box.release({ mode: "" });
      await quiet();
    },
    LIMIT,
  );

  test(
    "muted: nothing, and what is still so afterwards",
    async () => {
      expect((await box.dp("notify", "mute", "shop", "1h", "-m", "moving it")).text).toContain("shop is muted until");
      expect((await box.dp("notify")).text).toMatch(/shop is muted until .* by .*: moving it/);
      await box.commit({ mode: "unhealthy" });
      expect((await box.push()).code).not.toBe(0);
      const id = box.ids().at(-1)!;
      await look();
      await quiet();
      expect(about(id)).toEqual([]);
      expect((await box.dp("notify", "unmute", "shop")).text).toContain("shop is no longer muted");
      await look();
      await quiet();
      expect(about(id).length).toBe(1);
      await box.release({ mode: "" });
    },
    LIMIT,
  );
});

async function head(): Promise<string> {
  const sha = (await box.git("rev-parse", "HEAD")).stdout.trim();
  await box.git("push", "production", "HEAD:refs/heads/other");
  return sha;
}

/** Keeps the looks of the clock away, so that those of a test are all there are. */
async function withoutClock(action: () => Promise<void>): Promise<void> {
  const clocks = pidsWith("lib/watch/clock.ts").filter((pid) => procFile(pid, "environ").includes(box.root));
  expect(clocks.length).toBeGreaterThan(0);
  for (const pid of clocks) process.kill(pid, "SIGSTOP");
  try {
    // The one that is under way ends by itself.
    await look();
    await action();
  } finally {
    for (const pid of clocks) process.kill(pid, "SIGCONT");
  }
}

/** Looks as if so much time had passed, in ms. */
const lookAfter = async (ms: number) => expect((await box.dpWith({ DP_TEST_CLOCK: String(ms) }, "watch")).code).toBe(0);

/** Lets the app run and answer nothing meanwhile. */
async function whileSilent(action: (serving: readonly number[]) => Promise<void>): Promise<void> {
  const serving = box.instances()[box.link("current")!]!;
  for (const pid of serving) process.kill(pid, "SIGSTOP");
  try {
    await action(serving);
  } finally {
    for (const pid of serving) process.kill(pid, "SIGCONT");
  }
}

const watchJson = () => join(box.root, "var/lib/dp/watch.json");

/** Looks until the app is asked, and well. */
const untilOk = () =>
  until("30 s after the last deploy", async () => {
    await look();
    const { apps } = JSON.parse(readFileSync(watchJson(), "utf8")) as Watch;
    return apps["shop"]?.state === "ok";
  });

const HOUR = 3_600_000;
const MINUTE = 60_000;

describe("an app that is down", () => {
  test(
    "is told once, and once when it is up again",
    async () => {
      await untilOk();
      // SIGSTOP: it runs, and answers nothing.
      const serving = box.instances()[box.link("current")!]!;
      for (const pid of serving) process.kill(pid, "SIGSTOP");
      for (let looks = 0; looks < 3; looks++) await look();
      await quiet();
      expect(about("shop is down")).toEqual([
        expect.stringMatching(/^● shop is down on \S+ since \d\d:\d\d: GET \/health no complete answer/),
      ]);
      for (const pid of serving) process.kill(pid, "SIGCONT");
      for (let looks = 0; looks < 3; looks++) await look();
      await quiet();
      expect(about("shop is up again").length).toBe(1);
      expect(about("shop is down").length).toBe(1);
    },
    LIMIT,
  );
});

describe("the look", () => {
  // A target of its own: nobody gets more than twenty messages an hour.
  let desk: Receiver;
  let heart: Receiver;
  let before = "";
  const told = async (word: string) => {
    await quiet();
    return textsOf(desk).filter((text) => text.includes(word));
  };

  beforeAll(() => {
    [desk, heart] = [receiver(), receiver()];
    before = readFileSync(notifyYml(), "utf8");
    writeFileSync(notifyYml(), `to: {desk: {slack: "${desk.url}"}}\nheartbeat: ${heart.url}\nremind: 6h\n`);
  });
  afterAll(async () => {
    writeFileSync(notifyYml(), before);
    await look();
    for (const each of [desk, heart]) each.stop();
  });

  test(
    "asks the heartbeat once, also when an app is down, and says again that it is",
    () =>
      withoutClock(async () => {
        // Without the past: a third change within ten minutes would be flapping.
        rmSync(watchJson());
        await untilOk();
        const first = heart.got.length;
        await look();
        expect(heart.got.length).toBe(first + 1);
        await whileSilent(async () => {
          for (let looks = 0; looks < 2; looks++) await look();
          expect(heart.got.length).toBe(first + 3);
          await lookAfter(5.9 * HOUR);
          expect([(await told("shop is down")).length, await told("shop is still down")]).toEqual([1, []]);
          for (const hours of [6.1, 6.2]) await lookAfter(hours * HOUR);
          expect(heart.got.length).toBe(first + 6);
        });
        for (let looks = 0; looks < 3; looks++) await look();
        expect(await told("shop is still down")).toEqual([
          expect.stringMatching(/^● shop is still down on \S+ since .*: GET \/health no complete answer/),
        ]);
        expect([(await told("shop is down")).length, (await told("shop is up again")).length]).toEqual([1, 1]);
      }),
    LIMIT,
  );

  test(
    "that could not be made for five minutes is told once",
    () =>
      withoutClock(async () => {
        const begun = `${watchJson()}.begun`;
        /** Ends a look in the middle. */
        const killLook = () =>
          whileSilent(async () => {
            const child = box.start([box.program, "watch"]);
            await until("the look is under way", () => existsSync(begun));
            process.kill(child.pid, "SIGKILL");
            await child.done;
            expect(existsSync(begun)).toBe(true);
          });
        await killLook();
        await lookAfter(4 * MINUTE);
        expect([existsSync(begun), await told("could not be made")]).toEqual([false, []]);
        await killLook();
        for (const minutes of [6, 7]) await lookAfter(minutes * MINUTE);
        expect([existsSync(begun), await told("could not be made")]).toEqual([
          false,
          [expect.stringMatching(/^▲ the look at the apps of \S+ could not be made since \d\d:\d\d: dp watch$/)],
        ]);
      }),
    LIMIT,
  );
});

/** A file of a process; empty: it is gone. */
function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

interface Watch {
  apps: Record<string, { state: string }>;
}

describe("what hinders the message does not hinder the deploy", () => {
  /** How long a restart of the app takes, in ms: the median of some. */
  async function restarts(count: number): Promise<{ median: number; text: string }> {
    const took: number[] = [];
    let text = "";
    for (let at = 0; at < count; at++) {
      const begun = performance.now();
      const done = await box.dp("restart", "shop");
      took.push(performance.now() - begun);
      expect(done.code).toBe(0);
      text = done.text;
    }
    return { median: took.sort((a, b) => a - b)[Math.floor(count / 2)]!, text };
  }

  test(
    "a receiver that hangs, no right, and a stopped sender: the same code and log, and no longer",
    async () => {
      const hangs = hanging();
      try {
        expect((await add("slow", "webhook", `URL=${hangs.url}\n`, "--untested")).code).toBe(0);
        const without = await restarts(5);
        expect((await box.dp("notify", "set", "deployed=team,slow")).code).toBe(0);
        const hung = await restarts(5);
        await until("a try at the hanging one", () => hangs.got.length > 0);
        // Another one that has just come leaves again at once.
        const sender = await until("one sender", () => {
          const own = senders();
          return own.length === 1 && own;
        });
        process.kill(sender[0]!, "SIGSTOP");
        const stopped = await restarts(3);
        process.kill(sender[0]!, "SIGKILL");
        // Not asserted as times: as a share of what it took a moment ago.
        expect(hung.median / without.median).toBeLessThan(1.5);
        expect(stopped.median / without.median).toBeLessThan(1.5);
        // What is pruned depends on how many there were before, how often it is asked on how soon it listens.
        const plain = (text: string) =>
          text
            .replaceAll(/\d+(\.\d+)*/g, "N")
            .replace(/, removed .*/, "")
            .replace("at once", "after N tries");
        expect(plain(hung.text)).toBe(plain(without.text));
      } finally {
        hangs.stop();
      }
    },
    LIMIT,
  );

  const senders = () => pidsWith("lib/notify/sender.ts").filter((pid) => procFile(pid, "cmdline").includes(box.root));

  /** The lines about notifications in the log of the newest run. */
  const linesInLog = () =>
    box
      .log(box.ids().at(-1)!)
      .split("\n")
      .filter((line) => line.includes("no notification"));

  test.skipIf(!canMount)(
    "a queue on a full disk is one line in the log",
    async () => {
      // A file system of one page, which only this deploy sees.
      const full =
        'mount -t tmpfs -o size=4k tmpfs "$1" && head -c 4096 /dev/zero > "$1/.full" || exit 99; shift; "$@"';
      const folder = join(queue(), "new");
      const argv = ["unshare", "--mount", "sh", "-c", full, "sh", folder, box.program, "deploy", "shop"];
      const { code, text } = await box.start(argv).done;
      expect([code, text]).toEqual([0, expect.stringMatching(/^! no notification: ENOSPC$/m)]);
      expect(linesInLog()).toEqual(["! no notification: ENOSPC"]);
    },
    LIMIT,
  );

  test(
    "a queue without the right to write is one line in the log",
    async () => {
      const folder = join(queue(), "new");
      // What lets root write anyway is taken from it.
      const isRoot = process.getuid?.() === 0;
      const less = isRoot ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] : [];
      chmodSync(folder, 0o500);
      try {
        const { code, text } = await box.start([...less, box.program, "deploy", "shop"]).done;
        expect([code, text]).toEqual([0, expect.stringMatching(/^! no notification: EACCES$/m)]);
        expect(linesInLog()).toEqual(["! no notification: EACCES"]);
      } finally {
        chmodSync(folder, 0o700);
      }
    },
    LIMIT,
  );

  test(
    "a queue that cannot be written is one line in the log",
    async () => {
      const folder = join(queue(), "new");
      rmSync(folder, { recursive: true });
      writeFileSync(folder, "");
      try {
        const { code, text } = await box.dp("restart", "shop");
        expect([code, text]).toEqual([0, expect.stringMatching(/^! no notification: ENOTDIR$/m)]);
      } finally {
        rmSync(folder);
        await box.dp("notify", "remove", "slow");
      }
    },
    LIMIT,
  );

  test(
    "after the sender was killed, the next deploy makes it come again",
    async () => {
      const [hangs, next] = [hanging(), receiver()];
      try {
        for (const [name, { url }] of Object.entries({ slow: hangs, next }))
          expect((await add(name, "webhook", `URL=${url}\n`, "--untested")).code).toBe(0);
        expect((await box.dp("notify", "set", "deployed=slow,next")).code).toBe(0);
        await restarts(1);
        await until("the first message", () => next.got.length === 1);
        await until("the sender stands at the hanging one", () => hangs.got.length > 0);
        for (const pid of senders()) process.kill(pid, "SIGKILL");
        const { text } = await restarts(1);
        expect([text.includes("no notification"), linesInLog()]).toEqual([false, []]);
        await until("the second message", () => next.got.length === 2);
      } finally {
        for (const name of ["slow", "next"]) await box.dp("notify", "remove", name);
        for (const each of [hangs, next]) each.stop();
      }
    },
    LIMIT,
  );
});

test(
  "no secret is in any file that others may read, in a log, a list of processes or a run file",
  () => {
    const found = Bun.spawnSync(["grep", "-rlF", SECRET, box.root, "--exclude=notify.yml", "--exclude=targets.json"]);
    expect(found.stdout.toString()).toBe("");
    expect(statSync(join(queue(), "targets.json")).mode & 0o077).toBe(0);
    expect(pidsWith(SECRET)).toEqual([]);
  },
  LIMIT,
);

test(
  "the last target takes the look and the sender with it",
  async () => {
    expect((await box.dp("notify", "remove", "team")).code).toBe(0);
    expect((await box.dp("notify")).stdout).toContain("nobody is told anything");
    await until("the end of the clock", () => {
      const own = pidsWith("lib/watch/clock.ts").filter((pid) => procFile(pid, "environ").includes(box.root));
      return own.length === 0;
    });
    expect(existsSync(join(queue(), "targets.json"))).toBe(false);
    expect((await box.dp("notify", "log")).stdout).toContain("failed");
    expect((await box.dp("doctor")).text).not.toContain("notify");
  },
  LIMIT,
);
