// Every public exit code, made to happen for real.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT, type ExitName } from "../../lib/errors.ts";
import { deployYml, project, sandbox, until, type Outcome, type Sandbox, pidsWith } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
});
afterAll(() => box?.stop());

const dp = (...args: string[]) => [process.execPath, join(project, "bin/dp"), ...args];
/** A commit whose app starts only once its own door is open: a file that is made then. */
let doors = 0;
function slowApp(): { files: Record<string, string>; open(): void } {
  const door = join(box.root, `door${++doors}`);
  const files = { mode: "slow", wait: door, "deploy.yml": deployYml("shop").replace("5s", "30s") };
  return { files, open: () => writeFileSync(door, "") };
}

/** A deploy of the commit with these files, which is taken out of the way afterwards. */
async function deployOf(files: Record<string, string | null>): Promise<Outcome> {
  const before = (await box.git("rev-parse", "HEAD")).stdout.trim();
  await box.commit(files);
  await box.push("production", "HEAD:refs/heads/trial", "--force");
  await box.git("reset", "--quiet", "--hard", before);
  return box.dp("deploy", "shop", "trial");
}

/** A file with another text for as long as `work` takes. */
async function withText(path: string, text: string, work: () => Promise<Outcome>): Promise<Outcome> {
  const before = readFileSync(path, "utf8");
  writeFileSync(path, text);
  try {
    return await work();
  } finally {
    writeFileSync(path, before);
  }
}

/** A deploy that stands still in its check while `work` runs, and ends well then. */
async function duringDeploy(work: (worker: number) => Promise<Outcome>): Promise<Outcome> {
  const slow = slowApp();
  const before = box.ids().length;
  const deploying = deployOf(slow.files);
  await until("the check", () => box.ids().length > before && box.run().journal["check"]?.state === "running");
  const worker = (JSON.parse(readFileSync(join(box.base, "lock"), "utf8")) as { pid: number }).pid;
  try {
    return await work(worker);
  } finally {
    slow.open();
    await deploying;
  }
}

/** A restart whose output nobody reads. */
async function unread(): Promise<Outcome> {
  const line = `{ '${box.program}' restart shop; echo "exit code $?" >&2; } | true`;
  const outcome = await box.start(["sh", "-c", line]).done;
  return { ...outcome, code: Number(/exit code (\d+)/.exec(outcome.stderr)?.[1]) };
}

async function signalled(signal: "SIGINT" | "SIGTERM"): Promise<Outcome> {
  const before = box.ids().length;
  const deploying = deployOf(slowApp().files);
  await until("the check", () => box.ids().length > before && box.run().journal["check"]?.state === "running");
  process.kill((JSON.parse(readFileSync(join(box.base, "lock"), "utf8")) as { pid: number }).pid, signal);
  return deploying;
}

async function lockedDeploy(): Promise<Outcome> {
  await box.dp("lock", "shop", "-m", "exit codes");
  try {
    return await box.dp("deploy", "shop");
  } finally {
    await box.dp("unlock", "shop");
  }
}

const cases: [ExitName, string, () => Promise<Outcome>, RegExp][] = [
  [
    "run",
    "resume before the first run",
    () => box.dp("resume", "shop"),
    /shop has no run yet[\s\S]*→ push to deploy: git push production main/,
  ],
  [
    "usage",
    "a deploy of what was never pushed",
    () => box.dp("deploy", "shop"),
    /no commit on main, which it deploys[\s\S]*→ push to deploy: git push production main/,
  ],
  ["ok", "a push", () => box.push(), /live: shop 1-/],
  ["ok", "status", () => box.dp("status", "shop"), /healthy: 200/],
  ["bug", "init over a deploy.yml", () => box.dp("init"), /deploy\.yml/],
  ["usage", "an unknown command", () => box.dp("depoly"), /unknown command "depoly"[\s\S]*deploy/],
  ["usage", "an unknown option", () => box.dp("deploy", "shop", "--skip-hook"), /--skip-hooks/],
  ["usage", "an unknown app", () => box.dp("deploy", "shpo"), /no app "shpo"[\s\S]*shop/],
  ["usage", "an unknown commit", () => box.dp("deploy", "shop", "nothing"), /has no commit "nothing"/],
  [
    "usage",
    "a rollback to nothing",
    () => box.dp("rollback", "shop"),
    /has no good release before \d+-\w+, which is live\n/,
  ],
  [
    "usage",
    "a port of another app's kind",
    () => box.dp("setup", "shop", "--port", "99999"),
    /--port must be a whole number/,
  ],
  [
    "config",
    "a deploy.yml with a mistake",
    () => deployOf({ "deploy.yml": "name: shop\n" }),
    /deploy\.yml[\s\S]*serving: 1-/,
  ],
  [
    "config",
    "a config.yml with a mistake",
    () => withText(join(box.base, "config.yml"), "prot: 1\n", () => box.dp("deploy", "shop")),
    /config\.yml:1:1 prot/,
  ],
  [
    "config",
    "an env file with a mistake",
    () => withText(join(box.base, ".env.production"), "1=2\n", () => box.dp("deploy", "shop")),
    /\.env\.production:1/,
  ],
  ["run", "a fact of no context", () => box.dp("fact", join(box.root, "none.json"), "sha"), /no such run file/],
  [
    "locked",
    "a step while a deploy runs",
    () => duringDeploy(() => box.dp("step", "prune", "--app", "shop")),
    /is running[\s\S]*dp logs shop/,
  ],
  ["locked", "resume while a deploy runs", () => duringDeploy(() => box.dp("resume", "shop")), /is running/],
  [
    "superseded",
    "a deploy behind which another one waits",
    () =>
      duringDeploy(async () => {
        const late = box.start(dp("deploy", "shop"));
        await until("that it waits", async () => (await box.dp("lock", "status", "shop")).stdout.includes(", waits"));
        const later = box.start(dp("deploy", "shop"));
        const told = await late.done;
        await box.dp("cancel", "shop", box.ids().at(-1)!);
        await later.done;
        return told;
      }),
    /superseded by \d+-/,
  ],
  ["locked", "a deploy to an app that is locked by hand", lockedDeploy, /shop is locked by .*: exit codes/],
  [
    "command",
    "a build that fails with 42",
    () => deployOf({ "deploy.yml": deployYml("shop", "build: exit 42\n") }),
    /exited with code 42/,
  ],
  ["unhealthy", "a crash at boot", () => deployOf({ mode: "crash" }), /FAILED at check: .*exited with code 1/],
  ["host", "a python that this server has not", () => deployOf({ ".python-version": "3.1\n" }), /wants python 3\.1/],
  ["ok", "reconcile", () => box.dp("reconcile", "shop"), /shop: /],
  ["terminated", "SIGTERM to the deploy", () => signalled("SIGTERM"), /stopped by SIGTERM/],
  ["hungUp", "nobody reads any more what a restart that waits says", () => duringDeploy(unread), /exit code 129/],
  ["interrupted", "SIGINT to the deploy", () => signalled("SIGINT"), /stopped by SIGINT/],
  [
    "stuck",
    "the way back fails, too",
    async () => {
      const id = box.link("current")!;
      const live = join(box.base, "runs", `${id}.json`);
      renameSync(live, `${live}.away`);
      // Nobody starts it again, and nobody knows how.
      const supervisors = pidsWith(join(box.base, "instances", `${id}.json`));
      for (const pid of [...supervisors, ...box.instances()[id]!]) process.kill(pid, "SIGKILL");
      try {
        return await deployOf({ mode: "crash" });
      } finally {
        renameSync(`${live}.away`, live);
      }
    },
    /the undo failed at start[\s\S]*→ mend the cause, then: dp step start --undo [\s\S]*serving: unknown; see dp status shop/,
  ],
];

test.each(cases)("%s: %s", async (name, _what, command, says) => {
  const outcome = await command();
  expect(outcome.text).toMatch(says);
  expect(outcome.code).toBe(EXIT[name]);
});

test("after exit 9 status says that nothing serves, and once the cause is gone one command mends it", async () => {
  const live = box.link("current")!;
  expect((await box.dp("status", "shop")).stdout).toContain("NOT healthy");
  expect((await box.dp("reconcile", "shop")).code).toBe(0);
  expect(await box.answer()).toEndWith(live);
  expect(Object.keys(box.instances())).toEqual([live]);
});

test("a script may rely on it: every exit code is in the table", () => {
  const made = new Set(cases.map(([name]) => name));
  expect(Object.keys(EXIT).filter((name) => !made.has(name as ExitName))).toEqual([]);
});

test("a reader that leaves says that the deploy goes on, and it does", async () => {
  const before = box.ids().length;
  const slow = slowApp();
  await box.commit({ ...slow.files, say: "late" });
  await box.push("production", "HEAD:refs/heads/trial", "--force");
  const reader = box.start(dp("deploy", "shop", "trial"));
  await until("the check", () => box.ids().length > before && box.run().journal["check"]?.state === "running");
  process.kill(reader.pid, "SIGINT");
  const { code, text } = await reader.done;
  expect(text).toContain("the deploy continues: dp logs shop --deploy -f");
  expect(code).toBe(EXIT.interrupted);
  slow.open();
  await until("the end of the deploy", () => box.run().result);
  expect(await box.answer()).toStartWith("late");
  expect(existsSync(join(box.base, "releases", box.link("current")!))).toBe(true);
});
