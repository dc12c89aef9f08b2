// `dp doctor` on a server in a folder: each broken state is made for real, is named, and is gone after what it says.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { AuditLine } from "../../lib/host/audit.ts";
import { loginName } from "../../lib/host/users.ts";
import { codeOf } from "../../lib/errors.ts";
import { killAll, killInstance } from "../support/load-damage.ts";
import { pidsWith, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let releases: string[];
const at = (...parts: string[]) => join(box.base, ...parts);

beforeAll(async () => {
  box = await sandbox();
  releases = [await box.release({ say: "one" }), await box.release({ say: "two" })];
  // For a moment after its end a push watches that its branch has moved: a test that moves it would be a refusal by git.
  await until("the end of the push", () => pidsWith(box.repo).length === 0);
});
afterAll(() => box?.stop());

const ok = async (command: Promise<Outcome>) => {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === 0 ? "" : ` ${outcome.text}`}`).toBe("0");
  return outcome;
};

interface Found {
  app: string | null;
  check: string;
  severity: string;
  what: string;
  command: string;
  isSafe: boolean;
}

async function diagnose(...words: string[]): Promise<{ code: number; found: Found[]; fixed: string[] }> {
  const { code, stdout, stderr } = await box.dp("doctor", ...words, "--json");
  expect(stderr).toBe("");
  return { code, ...(JSON.parse(stdout) as { found: Found[]; fixed: string[] }) };
}

const live = () => box.link("current")!;
const running = () =>
  Object.entries(box.instances())
    .filter(([, pids]) => pids.length > 0)
    .map(([id]) => id);

test("a healthy server has nothing to say", async () => {
  expect((await ok(box.dp("doctor"))).stdout).toBe("nothing wrong: the server, shop\n");
  expect((await ok(box.dp("doctor", "shop"))).stdout).toBe("nothing wrong: shop\n");
  expect(await diagnose("shop")).toEqual({ code: 0, apps: ["shop"], found: [], fixed: [] } as never);
});

test("an app that there is not is a usage error", async () => {
  const { code, stderr } = await box.dp("doctor", "shpo");
  expect([code, stderr]).toEqual([2, expect.stringContaining('no app "shpo"')]);
});

test("a branch that is not what is live is named, with the deploy that makes it so", async () => {
  const { sha } = box.run(releases[0]).facts as { sha: string };
  const tip = (await ok(box.git("--git-dir", box.repo, "rev-parse", "main"))).stdout.trim();
  await ok(box.git("--git-dir", box.repo, "update-ref", "refs/heads/main", sha));
  const { code, found } = await diagnose("shop");
  expect([code, found]).toEqual([
    0,
    [expect.objectContaining({ check: "branch", severity: "warning", command: "dp deploy shop", isSafe: false })],
  ]);
  expect(found[0]!.what).toBe(`main is at ${sha.slice(0, 7)}, and ${live()} is live`);
  await ok(box.git("--git-dir", box.repo, "update-ref", "refs/heads/main", tip));
});

interface Case {
  name: string;
  damage(): void | Promise<void>;
  /** The check that finds it, and what it says. */
  finds: [check: string, severity: "error" | "warning", what: RegExp];
  command: RegExp;
  /** What mends it when that is not `--fix`: the command that is named, or what it asks a human for. */
  mend?(command: string): unknown;
}

/** Runs a command as it is printed, `dp` being this one. */
const typed = (command: string) => ok(box.start(["sh", "-c", command.replaceAll(/\bdp /g, `'${box.program}' `)]).done);

const supervisorsOf = (id: string) => pidsWith(at("instances", `${id}.json`));

const fixedByDp: Case[] = [
  {
    name: "the live process is gone",
    damage: () => killInstance(box, live()),
    finds: ["instances", "error", /shop@\S+ is not running, it is failed/],
    command: /^dp reconcile shop$/,
  },
  {
    name: "nobody looks after the live process",
    damage: () => killAll("the supervisor", supervisorsOf(live())),
    finds: ["instances", "warning", /shop@\S+ runs, but its supervisor was killed/],
    command: /^dp reconcile shop$/,
  },
  {
    name: "another release runs beside it",
    damage: async () => {
      // As if the end of a deploy had been lost: current and the branch name the other one.
      unlinkSync(at("current"));
      symlinkSync(`releases/${releases[0]}`, at("current"));
      const { sha } = box.run(releases[0]).facts as { sha: string };
      await ok(box.git("--git-dir", box.repo, "update-ref", "refs/heads/main", sha));
    },
    finds: ["instances", "warning", /shop@\S+ runs, but should not/],
    command: /^dp reconcile shop$/,
  },
  {
    name: "nothing comes up at boot",
    damage: () => rmSync(at("instances/enabled")),
    finds: ["instances", "error", /^nothing starts at boot, but it should be shop@/],
    command: /^dp reconcile shop$/,
  },
  {
    name: "the front is gone",
    damage: () => killRelay(),
    finds: ["port", "error", /the relay does not run, or does not know shop/],
    command: /^dp reconcile shop$/,
  },
  {
    name: "a hook was changed",
    damage: () => writeFileSync(join(box.repo, "hooks/update"), "#!/bin/sh\n# written by dp: long ago\nexit 0\n"),
    finds: ["hooks", "error", /hooks\/update is from another version of dp/],
    command: /^dp setup shop$/,
  },
  {
    name: "a hook cannot be run",
    damage: () => chmodSync(join(box.repo, "hooks/pre-receive"), 0o644),
    finds: ["hooks", "error", /hooks\/pre-receive cannot be run/],
    command: /^dp setup shop$/,
  },
  {
    name: "a folder is open to others",
    damage: () => chmodSync(at("runs"), 0o755),
    finds: ["rights", "error", /runs has mode 755, not 700/],
    command: /^dp setup shop$/,
  },
  {
    name: "a folder is missing",
    damage: () => rmSync(at("venvs"), { recursive: true }),
    finds: ["rights", "error", /venvs is missing/],
    command: /^dp setup shop$/,
  },
  {
    name: "the env file is open to others",
    damage: () => chmodSync(at(".env.production"), 0o644),
    finds: ["rights", "error", /\.env\.production has mode 644/],
    command: /^dp doctor shop --fix$/,
  },
  {
    name: "a record is damaged",
    damage: () => writeFileSync(at("runs", `${releases.find((id) => id !== live())}.json`), "{ half"),
    finds: ["runs", "warning", /\.json: not JSON/],
    command: /^dp doctor shop --fix$/,
  },
  {
    name: "a record is open to others",
    damage: () => chmodSync(at("runs", `${live()}.json`), 0o666),
    finds: ["runs", "error", /must belong to you/],
    command: /^dp doctor shop --fix$/,
  },
  {
    name: "previous names what is gone",
    damage: () => {
      rmSync(at("previous"), { force: true });
      symlinkSync("releases/99-abcdef0", at("previous"));
    },
    finds: ["current", "warning", /previous leads to releases\/99-abcdef0, which is not a good release/],
    command: /^dp doctor shop --fix$/,
  },
  {
    name: "previous is a chain",
    damage: () => {
      rmSync(at("previous"), { force: true });
      symlinkSync("current", at("previous"));
    },
    finds: ["current", "warning", /previous leads to current/],
    command: /^dp doctor shop --fix$/,
  },
  {
    name: "a temp file of a process that is gone",
    damage: () => writeFileSync(at("runs/5-abcdef0.json.tmp.4194305"), ""),
    finds: ["leftovers", "warning", /temp files of processes that are gone: 5-abcdef0\.json\.tmp\.4194305/],
    command: /^dp doctor shop --fix$/,
  },
  {
    name: "a place in the queue",
    damage: () => writeFileSync(at("queue/7-abcdef0"), ""),
    finds: ["leftovers", "warning", /7-abcdef0 waited in the queue/],
    command: /^dp doctor shop --fix$/,
  },
];

test.each(fixedByDp)(
  "$name: named, and mended by --fix",
  async ({ damage, finds: [check, severity, what], command }) => {
    await damage();
    const before = await diagnose("shop");
    const found = before.found.find((each) => each.check === check && what.test(each.what));
    expect(found ?? before).toMatchObject({ app: "shop", severity, isSafe: true });
    expect(found!.command).toMatch(command);
    if (severity === "error") expect(before.code).toBe(7);
    const fixed = await ok(box.dp("doctor", "shop", "--fix"));
    expect(fixed.stdout).toStartWith("fixed: ");
    expect(fixed.stdout).toEndWith("nothing wrong: shop\n");
    expect(running()).toEqual([live()]);
  },
);

let stranger: Server | undefined;

const killRelay = () => killAll("the relay", pidsWith(join(box.root, "var/lib/dp/relay")));

/** A server on that port of this machine; null: it is taken. */
async function listening(port: number): Promise<Server | null> {
  const server = createServer();
  try {
    const ready = once(server, "listening");
    server.listen(port, "127.0.0.1");
    await ready;
    return server;
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") throw error;
    return null;
  }
}

/** Writes how often the live process has crashed into the record of its supervisor. */
function noteRestarts(restarts: number): void {
  const path = at("instances", `${live()}.state.json`);
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, "utf8")) as object), restarts }));
}

const logFile = () => join(box.root, "var/log/deployments/shop", `${live()}.app.log`);

const byHand: Case[] = [
  {
    name: "a stranger has the port",
    damage: async () => {
      await killRelay();
      // A killed process may hold its sockets for a moment longer.
      stranger = await until("the port is free", () => listening(box.port));
    },
    finds: ["port", "error", /^port \d+ is held by pid \d+ \(.*\), not by the relay$/],
    command: /^end that process and: dp reconcile shop;/,
    mend: async () => {
      stranger!.close();
      await once(stranger!, "close");
      await typed("dp reconcile shop");
    },
  },
  {
    name: "the live process crashes often",
    damage: () => noteRestarts(5),
    finds: ["instances", "warning", /^shop@\S+ has crashed 5 times since its start$/],
    command: /^dp logs shop web -n 100(?:; or go back to \S+: dp rollback shop)?$/,
    mend: async (command) => {
      await typed(command.split(";")[0]!);
      noteRestarts(0);
    },
  },
  {
    name: "a database is in the live release",
    damage: () => writeFileSync(at("releases", live(), "orders.sqlite3"), ""),
    finds: ["read-only", "warning", /: orders\.sqlite3 is in the release, which is new .*shared: \{dirs: \[data\]\}$/],
    command: /^dp help shared-files$/,
    mend: () => rmSync(at("releases", live(), "orders.sqlite3")),
  },
  {
    name: "the app wanted to write into its release",
    damage: () => appendFileSync(logFile(), "sqlite3.OperationalError: attempt to write a readonly database\n"),
    finds: [
      "read-only",
      "warning",
      /: the release is read-only, and new with each deploy: keep what the app writes in /,
    ],
    command: /^dp help shared-files$/,
    mend: () => writeFileSync(logFile(), ""),
  },
  {
    name: "a newer dp has set the app up",
    damage: () => writeFileSync(at("setup.json"), '{"version":"99.10.0"}\n'),
    finds: ["version", "warning", /^dp \d+\.\d+\.\d+ is older than dp 99\.10\.0, which set shop up$/],
    command: /^\.\/install\.sh, in a clone of dp 99\.10\.0 or newer$/,
    // Set up once more by this dp, by somebody who goes back on purpose.
    mend: () => typed("dp setup shop"),
  },
  {
    name: "current is missing",
    damage: () => unlinkSync(at("current")),
    finds: ["current", "error", /current is missing$/],
    command: /^dp rollback shop \S+$/,
  },
  {
    name: "current names a release whose files are gone",
    damage: () => {
      unlinkSync(at("current"));
      symlinkSync("releases/99-abcdef0", at("current"));
    },
    finds: ["current", "error", /current names 99-abcdef0, whose files are gone$/],
    command: /^dp rollback shop \S+$/,
  },
  {
    name: "current is a folder",
    damage: () => {
      unlinkSync(at("current"));
      mkdirSync(at("current"));
    },
    finds: ["current", "error", /current is not a link$/],
    command: /^mv \S+current \S+current\.old && dp rollback shop \S+$/,
    mend: async (command) => {
      await typed(command);
      rmSync(at("current.old"), { recursive: true });
    },
  },
  {
    name: "current is a loop",
    damage: () => {
      unlinkSync(at("current"));
      symlinkSync("current", at("current"));
    },
    finds: ["current", "error", /current leads to current, which is not a release$/],
    command: /^dp rollback shop \S+$/,
  },
  {
    name: "a foreign name among the releases",
    damage: () => mkdirSync(at("releases/backup")),
    finds: ["leftovers", "warning", /releases\/backup is not dp's/],
    command: /^mv \S+releases\/backup /,
    mend: async (command) => {
      await typed(command);
      rmSync(at("backup"), { recursive: true });
    },
  },
  {
    name: "config.yml has a mistake",
    damage: () => void writeFileSync(at("config.yml"), `prot: 1\n${readFileSync(at("config.yml"), "utf8")}`),
    finds: ["config", "error", /config\.yml.*prot/],
    command: /^editor \S+config\.yml$/,
    mend: () => writeFileSync(at("config.yml"), readFileSync(at("config.yml"), "utf8").replace("prot: 1\n", "")),
  },
  {
    name: "the env file has a mistake",
    damage: () => void writeFileSync(at(".env.production"), "1=2\n"),
    finds: ["settings", "error", /\.env\.production:1/],
    command: /^editor \S+\.env\.production$/,
    mend: () => writeFileSync(at(".env.production"), ""),
  },
  {
    name: "the disk has less than was asked for",
    damage: () =>
      void writeFileSync(at("config.yml"), `${readFileSync(at("config.yml"), "utf8")}minFree: 999999999g\n`),
    finds: ["disk", "warning", /the disk has .* free, but a deploy needs up to .* TB: the next one will be refused/],
    command: /^du /,
    mend: () => writeFileSync(at("config.yml"), readFileSync(at("config.yml"), "utf8").replace(/^minFree.*\n/m, "")),
  },
  {
    name: "the clock was ahead",
    damage: () => editRun({ startedAt: "2199-01-01T00:00:00.000Z" }),
    finds: ["clock", "warning", /was begun at 2199/],
    command: /^timedatectl set-ntp true$/,
    mend: () => editRun({ startedAt: new Date().toISOString() }),
  },
  {
    name: "a hook of somebody else's",
    damage: () => writeFileSync(join(box.repo, "hooks/post-receive"), "#!/bin/sh\n", { mode: 0o755 }),
    finds: ["hooks", "error", /post-receive is a hook that dp did not write/],
    command: /^mv \S+post-receive \S+post-receive\.old && dp setup shop$/,
  },
  {
    name: "the record of the live release is damaged",
    damage: () => writeFileSync(at("runs", `${live()}.json`), "{"),
    finds: ["current", "error", /the record of \S+, which is live, cannot be read/],
    command: /^dp deploy shop$/,
    mend: async (command) => {
      const id = live();
      await typed(command);
      expect(live()).not.toBe(id);
      // By now it is one of the past.
      expect((await diagnose("shop", "--fix")).fixed.join()).toContain(`${id}.json.damaged`);
    },
  },
];

function editRun(facts: Record<string, string>): void {
  const run = box.run(live());
  Object.assign(run.facts, facts);
  writeFileSync(at("runs", `${live()}.json`), JSON.stringify(run));
}

test.each(byHand)("$name: named, and mended by what it says", async ({ damage, finds, command, mend = typed }) => {
  const [check, severity, what] = finds;
  await damage();
  const before = await diagnose("shop");
  const found = before.found.find((each) => each.check === check && what.test(each.what));
  expect(found ?? before).toMatchObject({ app: "shop", severity, isSafe: false });
  expect(found!.command).toMatch(command);
  expect(before.code).toBe(severity === "error" ? 7 : 0);
  await mend(found!.command);
  expect((await diagnose("shop")).found).toEqual([]);
});

test("with one app down, its command names it, also in dp status and for the whole server", async () => {
  await killInstance(box, live());
  const { found } = await diagnose();
  expect(found.filter(({ app }) => app !== null)).toMatchObject([{ check: "instances", command: "dp reconcile shop" }]);
  const told = (await ok(box.dp("status", "shop"))).stdout;
  expect(told).toContain("  process    failed: its supervisor was killed; dp reconcile shop\n");
  await ok(box.dp("reconcile", "shop"));
  await killAll("the supervisor", supervisorsOf(live()));
  const orphan = (await ok(box.dp("status", "shop"))).stdout;
  expect(orphan).toMatch(/ {2}process    running as pid .*: its supervisor was killed: .*; dp reconcile shop\n/);
  await ok(box.dp("reconcile", "shop"));
  expect((await ok(box.dp("status", "shop"))).stdout).not.toContain("dp reconcile");
});

test("a live release that runs, and does not answer as it should, is an error", async () => {
  const sick = join(box.root, "sick");
  await box.release({ mode: "marked", wait: sick });
  expect((await diagnose("shop")).found).toEqual([]);
  writeFileSync(sick, "");
  const { code, found } = await diagnose("shop");
  const [first, ...others] = found;
  expect([code, others]).toEqual([7, []]);
  expect(first).toMatchObject({ check: "health", severity: "error", command: "dp restart shop", isSafe: false });
  expect(first!.what).toBe(`GET http://127.0.0.1:${box.port}/health: 500; shop@${live()} runs, and is not healthy`);
  rmSync(sick);
  await typed(first!.command);
  expect((await diagnose("shop")).found).toEqual([]);
  await box.release({ mode: null, wait: null });
});

test("what was stopped by hand is no fault: doctor says how it is started", async () => {
  await ok(box.dp("stop", "shop"));
  const { code, found } = await diagnose("shop");
  const note = { severity: "note", what: `all of ${live()} was stopped by dp stop`, command: "dp start shop" };
  expect([code, found]).toEqual([0, [expect.objectContaining(note)]]);
  expect((await ok(box.dp("doctor", "shop"))).stdout).toEndWith("→ dp start shop\nnothing wrong: shop\n");
  expect(await diagnose("shop", "--fix")).toMatchObject({ code: 0, fixed: [] });
  expect(running()).toEqual([]);
  await typed("dp start shop");
  expect((await diagnose("shop")).found).toEqual([]);
});

describe("while config.yml has a mistake", () => {
  const place = () => `${at("config.yml")}:1:1 prot: unknown key, did you mean "port"?`;
  let before: string;
  beforeAll(() => {
    before = readFileSync(at("config.yml"), "utf8");
    writeFileSync(at("config.yml"), `prot: 1\n${before}`);
  });
  afterAll(() => writeFileSync(at("config.yml"), before));

  test("status and apps go on, and name it", async () => {
    const text = (await ok(box.dp("status", "shop"))).stdout;
    expect(text).toContain(`  MISTAKE    ${place()}; the rest is from the config.yml of the last deploy\n`);
    expect(text).toContain("health     healthy: 200");
    const now = JSON.parse((await ok(box.dp("status", "shop", "--json"))).stdout) as object;
    expect(now).toMatchObject({ mistake: place(), live: live(), isHealthy: true });
    expect((await ok(box.dp("apps"))).stdout).toMatch(
      new RegExp(`${box.port} +${live()} +running, healthy .*; .*prot:`),
    );
    const [row] = JSON.parse((await ok(box.dp("apps", "--json"))).stdout) as object[];
    expect(row).toMatchObject({ error: place(), live: live(), process: { state: "running" } });
  });

  test.each([
    [["ps", "shop"], /^web\.1 +running/m],
    [["logs", "shop"], /listening on/],
    [["logs", "shop", "--deploy"], /^live: shop/m],
    [["releases", "shop"], /good +live/],
  ])("dp %p goes on, and names it on stderr", async (words, says) => {
    const { stdout, stderr } = await ok(box.dp(...words));
    expect(stdout).toMatch(says);
    expect(stderr).toBe(`dp: ${place()}; this is from the config.yml of the last deploy\n`);
  });

  test("doctor has it among what else it finds", async () => {
    chmodSync(at("runs"), 0o755);
    const { code, found } = await diagnose("shop");
    expect(code).toBe(7);
    expect(found.map(({ check }) => check)).toEqual(["config", "rights"]);
    expect(found[0]).toMatchObject({ what: place(), command: `editor ${at("config.yml")}` });
    chmodSync(at("runs"), 0o700);
  });

  test("what changes anything is refused, as before", async () => {
    for (const words of [["deploy"], ["restart"], ["stop"], ["reconcile"]])
      expect([words, (await box.dp(...words, "shop")).code]).toEqual([words, 3]);
  });
});

test("after a rollback nothing tells to deploy the commit that was gone back from", async () => {
  await ok(box.dp("rollback", "shop"));
  const isNote = async () => {
    const { code, found } = await diagnose("shop");
    expect([code, found]).toEqual([0, [expect.objectContaining({ check: "branch", severity: "note" })]]);
    expect(found[0]!.what).toMatch(/^main is at \S{7}, and \S+ is live: an older commit, after a rollback$/);
    expect(found[0]!.command).toBe("nothing to do: the next push deploys");
  };
  await isNote();
  await ok(box.dp("restart", "shop"));
  await isNote();
  await box.commit({ mode: "crash" });
  expect((await box.push()).code).toBe(1);
  await isNote();
  await box.release({ mode: null });
  expect((await diagnose("shop", "--fix")).found).toEqual([]);
});

test("while a deploy is unfinished that is all that is said of its branch", async () => {
  const before = live();
  await box.commit({ say: "pushed" });
  await box.git("push", "production", "HEAD:refs/heads/trial");
  await box.dpKilledAt("swap:done", "deploy", "shop", "trial");
  expect(live()).not.toBe(before);
  const commands = (await diagnose("shop")).found.map(({ check, command }) => `${check}: ${command}`);
  expect(commands).toContain("leftovers: dp resume shop");
  expect(commands.join()).not.toMatch(/branch|dp deploy/);
  await ok(box.dp("resume", "shop"));
  expect((await diagnose("shop")).found).toMatchObject([{ check: "branch", severity: "note" }]);
  await ok(box.push());
  expect((await diagnose("shop")).found).toEqual([]);
});

test("a run that was interrupted is named, and gone on with", async () => {
  await box.commit({ say: "interrupted" });
  await box.dpKilledAt("check:begun", "deploy", "shop");
  await box.push("production", "HEAD:refs/heads/trial");
  await box.dpKilledAt("check:begun", "deploy", "shop", "trial");
  const { found } = await diagnose("shop");
  const interrupted = found.find(({ check }) => check === "leftovers");
  expect(interrupted).toMatchObject({ severity: "warning", command: "dp resume shop" });
  await ok(box.dp("resume", "shop"));
  await ok(box.dp("doctor", "shop", "--fix"));
  // Live is the commit of another branch, as somebody wanted it.
  expect((await diagnose("shop")).found).toMatchObject([{ check: "branch", severity: "note" }]);
  await ok(box.push());
  expect((await diagnose("shop")).found).toEqual([]);
});

test("the reserve on the disk is a matter of the whole server", async () => {
  rmSync(at("../.ballast"));
  const { code, found } = await diagnose();
  const ofServer = found.filter(({ app }) => app === null);
  expect([code, ofServer]).toEqual([0, [expect.objectContaining({ check: "ballast", severity: "warning" })]]);
  expect((await diagnose("--fix")).fixed).toEqual(["did: dp reconcile"]);
  expect(existsSync(at("../.ballast"))).toBe(true);
});

// What the kernel says of its memory is another file for the processes of one command.
const namespace = ["unshare", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "--mount", "sh", "-c"];
const bind = 'file=$1; shift; mount --bind "$file" /proc/meminfo || exit 99; exec "$@"';
const canMount = Bun.spawnSync([...namespace, bind, "sh", "/proc/meminfo", "true"]).exitCode === 0;
if (!canMount) console.warn("a server without memory is left out: this user may not mount");

test.skipIf(!canMount)("a server without memory: doctor names it, a deploy warns and takes its chance", async () => {
  const meminfo = join(box.root, "meminfo");
  const having = async (kilobytes: number, ...words: string[]) => {
    writeFileSync(meminfo, `MemTotal: 2048000 kB\nMemFree: 512 kB\nMemAvailable: ${kilobytes} kB\n`);
    return ok(box.start([...namespace, bind, "sh", meminfo, box.program, ...words]).done);
  };
  expect((await having(65_535, "doctor")).stdout).toMatch(
    /warning +memory: 63 MB of memory is free: .*\n +→ ps -eo rss/,
  );
  expect((await having(65_536, "doctor")).stdout).not.toContain("memory");
  const before = live();
  const short = /the live release uses \d[\d.]* MB of memory and 1\.0 MB is free: .*strategy: restart/;
  expect((await having(1_024, "deploy", "shop")).text).toMatch(short);
  expect(live()).not.toBe(before);
  expect((await having(1_048_576, "deploy", "shop")).text).not.toContain("of memory and");
  appendFileSync(at("config.yml"), "strategy: restart\n");
  expect((await having(1_024, "deploy", "shop")).text).not.toContain("of memory and");
  writeFileSync(at("config.yml"), readFileSync(at("config.yml"), "utf8").replace("strategy: restart\n", ""));
});

describe("the audit log", () => {
  const lines = async () =>
    JSON.parse((await ok(box.dp("audit", "shop", "-n", "1000", "--json"))).stdout) as AuditLine[];
  const login = { SSH_CONNECTION: "203.0.113.5 50000 192.0.2.1 22" };
  /** The lines that a command adds, whatever it ends with. */
  const added = async (env: Record<string, string>, ...words: string[]) => {
    const before = (await lines()).length;
    const { code } = await box.start([box.program, ...words], env).done;
    return { code, lines: (await lines()).slice(before) };
  };

  test("has what dp reconcile and dp doctor changed, by whom, and nothing when that was nothing", async () => {
    await killInstance(box, live());
    const mine = { by: `${loginName()}@203.0.113.5`, app: "shop", result: "ok", code: 0 };
    const started = { what: "reconcile", detail: `started shop@${live()}` };
    expect((await added(login, "reconcile")).lines).toMatchObject([{ ...mine, ...started }]);
    await killInstance(box, live());
    chmodSync(at(".env.production"), 0o644);
    expect((await added(login, "doctor", "--fix")).lines).toMatchObject([
      { ...mine, ...started },
      { ...mine, what: "doctor", detail: `closed ${at(".env.production")} to others; did: dp reconcile shop` },
    ]);
    for (const words of [["reconcile"], ["doctor", "--fix"], ["doctor"]])
      expect(await added(login, ...words)).toEqual({ code: 0, lines: [] });
    await killInstance(box, live());
    expect((await added({ ...login, DP_BY: "system" }, "reconcile")).lines).toMatchObject([
      { ...mine, ...started, by: "system" },
    ]);
  });

  test("has what was changed before the rest failed", async () => {
    const [previous, mode] = [box.link("previous")!, at("releases", live(), "mode")];
    rmSync(at("previous"));
    symlinkSync(`releases/${live()}`, at("previous"));
    await Bun.write(mode, "crash");
    await killInstance(box, live());
    const { code, lines: found } = await added({}, "reconcile", "shop");
    expect(code).toBe(7);
    expect(found).toMatchObject([
      { what: "reconcile", detail: expect.stringMatching(/^pointed previous at \S+$/), result: "failed", code: 7 },
    ]);
    rmSync(mode);
    expect((await added({}, "reconcile", "shop")).lines).toMatchObject([{ detail: `started shop@${live()}` }]);
    expect(previous).not.toBe(live());
  });
});

describe("while current is damaged", () => {
  let id: string;
  beforeAll(() => {
    id = live();
    unlinkSync(at("current"));
  });

  test("a deploy is refused before anything is touched, and the old release answers", async () => {
    await box.commit({ say: "never seen" });
    const before = readdirSync(at("releases"));
    const pushed = await box.push();
    expect(pushed.code).toBe(1);
    expect(pushed.text).toContain("current is missing; dp does not guess which release should serve");
    expect(pushed.text).toContain(`the newest good release is ${id}: dp rollback shop ${id}`);
    expect(pushed.text).toContain("serving: the same as before, nothing was changed; see dp status shop");
    expect(readdirSync(at("releases"))).toEqual(before);
    expect(running()).toEqual([id]);
    expect(await box.answer()).toEndWith(id);
  });

  test("so is what reconcile does, and a restart", async () => {
    for (const command of ["reconcile", "restart", "ps"]) {
      const { code, text } = await box.dp(command, "shop");
      expect([command, code]).toEqual([command, 8]);
      expect(text).toContain(`dp rollback shop ${id}`);
    }
    expect(await box.answer()).toEndWith(id);
  });

  test("status says so, and takes nothing for a stray", async () => {
    const { stdout } = await ok(box.dp("status", "shop"));
    expect(stdout).toContain(`DAMAGED    ${at("current")} is missing; the newest good release is ${id}`);
    expect(stdout).toContain(`front      sends to ${id}`);
    expect(stdout).not.toContain("strays");
  });

  test("the way back is the way out, without a failed request; then the same commit can be pushed", async () => {
    const { text } = await ok(box.dp("rollback", "shop", id));
    expect(text).toContain("still warm");
    expect(live()).toBe(id);
    await ok(box.push());
    expect(await box.answer()).toStartWith("never seen");
  });
});

describe("one damaged record", () => {
  test.each(["releases", "status", "deploy", "reconcile", "doctor"])("does not stop dp %s", async (command) => {
    const path = at("runs", `${releases[1]}.json`);
    const [aside, newest] = [`${path}.kept`, at("runs", "9999-abcdef0.json")];
    if (existsSync(path)) renameSync(path, aside);
    writeFileSync(path, "\0\0\0");
    writeFileSync(newest, "[]");
    await ok(box.dp(command, "shop"));
    rmSync(path);
    rmSync(newest);
    if (existsSync(aside)) renameSync(aside, path);
  });
});
