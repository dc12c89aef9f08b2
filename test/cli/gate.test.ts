// What each role may: every command that dp has, over an app of one's own, somebody else's, and none. Commands are
// recorded in place of being run; all before that is the gate itself.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { changeHolders } from "../../lib/access/change.ts";
import { newKeyPair } from "../../lib/access/new-key.ts";
import { fingerprintOf } from "../../lib/access/public-key.ts";
import { GRANTED, ROLES, type Granted, type Role } from "../../lib/access/role.ts";
import { lastUse } from "../../lib/access/uses.ts";
import { declared } from "../../lib/cli.ts";
import { accessOf } from "../../lib/cli/arguments.ts";
import { gate } from "../../lib/cli/gate.ts";
import { SELF } from "../../lib/host/self.ts";

const pair = newKeyPair("ann").public;
const KEY = fingerprintOf(pair);
const before = process.env;
let folder = "";

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-gate-")));
  process.env["DP_ROOT"] = folder;
  for (const app of ["shop", "blog"]) {
    mkdirSync(join(folder, "opt/deployments", app), { recursive: true });
    writeFileSync(join(folder, "opt/deployments", app, "config.yml"), "port: 8000\nmanager: builtin\nfront: none\n");
  }
});
afterAll(() => {
  process.env = before;
  delete process.env["DP_ROOT"];
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  process.env = { ...before, DP_ROOT: folder };
});
afterEach(() => rmSync(join(folder, "var/log"), { recursive: true, force: true }));

/** Lets ann in, in a role on shop, or two. */
const letIn = (role: Granted) =>
  changeHolders((all) => {
    all.splice(0);
    const key = { ...pair, added: "2026-03-01T12:00:00.000Z", by: "root" };
    all.push({
      name: "ann",
      apps: [
        { app: "shop", role },
        { app: "gone", role },
      ],
      keys: [key],
    });
  });

interface Answer {
  /** The command that would have run, with its words and options; null: none. */
  ran: string | null;
  error: string;
}

async function typed(line: string, name = "ann", key = KEY): Promise<Answer> {
  const cli = declared();
  let ran: string | null = null;
  for (const command of cli.commands)
    command.commandAction = (...all: unknown[]) => void (ran = [command.name, JSON.stringify(all)].join(" "));
  process.env["SSH_ORIGINAL_COMMAND"] = line;
  try {
    await gate(cli, name, key);
    return { ran, error: "" };
  } catch (error) {
    return { ran, error: (error as Error).message };
  }
}

const audited = () => {
  const file = join(folder, "var/log/deployments/audit.log");
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

/** What is typed -> the least role that may; APP stands for the app. What is not here no key may. */
const MAY: Readonly<Record<string, Role>> = {
  "status APP": "view",
  "releases APP": "view",
  "ps APP": "view",
  "logs APP": "view",
  "logs APP worker -f -n 5 --json": "view",
  "logs APP --deploy": "view",
  "cron APP": "view",
  "lock status APP": "view",
  "audit APP": "view",
  "domains APP": "view",
  "deploy APP": "push",
  "deploy APP main --skip-hooks --wait 5m": "push",
  "rollback APP": "push",
  "rollback APP 42-3f9c2ab": "push",
  "restart APP": "push",
  "restart APP worker.2": "push",
  "resume APP": "push",
  "cancel APP": "push",
  "promote APP shop": "push",
  "promote APP shop --force --build": "push",
  "handover APP offer": "push",
  "handover APP begin": "push",
  "rollback APP --force": "operate",
  "rollback APP --with-env": "operate",
  "run APP": "operate",
  "run APP -- ls -l": "operate",
  "env APP": "operate",
  "env APP list --reveal": "operate",
  "env APP get A": "operate",
  "env set APP A=1": "operate",
  "env APP set A=1": "operate",
  "env APP unset A": "operate",
  "env APP import": "operate",
  "env APP import -": "operate",
  "config:set APP A=1": "operate",
  "scale APP": "operate",
  "scale APP worker=2": "operate",
  "start APP": "operate",
  "stop APP": "operate",
  "stop APP worker": "operate",
  "lock APP": "operate",
  "lock APP -m why": "operate",
  "unlock APP": "operate",
  "maintenance APP": "view",
  "auth APP": "view",
  "auth APP add anna": "operate",
  "auth APP clear": "operate",
  "maintenance APP on": "operate",
  "maintenance APP off": "operate",
  "cron run APP cleanup": "operate",
  "peer hello APP": "server",
  "peer commit APP 3f9c2ab": "server",
  "peer fits APP": "server",
  "peer take APP 42-3f9c2ab.release": "server",
  "peer run APP": "server",
};

/** More lines of commands that no key may use at all, or not like this. */
const NEVER = [
  ...["env APP import /etc/shadow", "env import APP /etc/shadow", "env APP import - /etc/shadow", "destroy APP --yes"],
  ...[
    "keys",
    "keys allow ann APP --role operate",
    "doctor APP --fix",
    "step --app APP",
    "gate ann x",
    "domains APP add a.test",
    "domains APP cert a.test --cert /etc/shadow --key /etc/shadow",
    "apps:destroy APP",
    "promote APP blog",
    "promote APP nope",
    "promote APP prod:shop",
    "promote prod:APP shop",
  ],
  ...["hook update /var/repos/APP.git refs/heads/main 0 0", "execute /var/repos/APP.git HEAD", "work APP", "setup APP"],
];

const commands = declared().commands;

describe("every command says who may use it by a key", () => {
  test.each(commands.map(({ name }) => name))("%s", (name) => {
    const access = accessOf(commands.find((command) => command.name === name)!);
    expect(access.role).not.toBeUndefined();
    const isListed = Object.keys(MAY).some((line) => line.split(" ")[0] === name) || ["apps", "report"].includes(name);
    // Who gives a command a role writes it into the table above.
    expect([name, access.role !== null]).toEqual([name, isListed]);
  });

  test("and one that does not is refused", async () => {
    await letIn("operate");
    const cli = declared();
    let ran = false;
    cli.command("new <app>", "A command that somebody adds").action(() => void (ran = true));
    process.env["SSH_ORIGINAL_COMMAND"] = "new shop";
    await expect(gate(cli, "ann", KEY)).rejects.toThrow("ann may not new shop");
    expect(ran).toBe(false);
  });
});

describe.each(GRANTED)("the role %s", (role) => {
  const isServer = role.endsWith("server");
  /** Where the other role stands among ROLES; -1: there is none. */
  const rank = role === "server" ? -1 : ROLES.indexOf(role.split(",")[0] as Role);
  beforeAll(() => {
    process.env["DP_ROOT"] = folder;
    return letIn(role);
  });

  test.each(Object.entries(MAY))("%s needs %s", async (line, needed) => {
    const own = await typed(line.replace("APP", "shop"));
    const name = line.split(" ")[0]!;
    // Nobody takes part in deploys of several servers but those that have that role by name.
    const isAllowed = needed === "server" ? isServer : rank >= ROLES.indexOf(needed);
    if (isAllowed) expect([own.error, own.ran]).toEqual(["", expect.stringContaining('"shop"')]);
    else {
      const why = `that needs the role ${needed}, and ann has ${role}`;
      expect([own.error.replace(/^ann may not \w+ shop: /, ""), own.ran]).toEqual([why, null]);
    }
    const lines = audited().filter(({ result }) => result === "refused");
    const word = name === "config:set" ? "env" : name;
    expect(lines.map(({ what, app, code }) => [what, app, code])).toEqual(isAllowed ? [] : [[word, "shop", 8]]);
    // Their own app that is gone, somebody else's, and one that never was: the same answer.
    for (const app of ["gone", "blog", "nope"])
      expect(await typed(line.replace("APP", app))).toEqual({
        ran: null,
        error: `there is no app "${app}" for this key`,
      });
  });

  test.each([...NEVER, ...commands.map(({ name }) => `${name} APP`).filter((line) => !Object.hasOwn(MAY, line))])(
    "never %s",
    async (line) => {
      if (["apps APP", "report APP", "help APP"].includes(line)) return;
      for (const app of ["shop", "blog", "nope"]) {
        const { ran, error } = await typed(line.replace("APP", app));
        expect(ran).toBeNull();
        expect(error).toMatch(/^ann may not |^there is no app "(?:blog|nope)" for this key$/);
        if (app !== "shop") expect(error.replace(`"${app}"`, "").includes(app)).toBe(false);
      }
      expect(audited()).toHaveLength(3);
      expect(JSON.stringify(audited())).not.toContain("/etc/shadow");
    },
  );

  test("needs the same role for other servers of the app, and may search them for no more", async () => {
    const isOver = (line: string) => typed(line).then(({ error }) => /no other servers/.test(error));
    const may = [await isOver("ps shop --on all"), await isOver("scale shop worker=2 --on b,c")];
    expect(may).toEqual([role !== "server", role.startsWith("operate")]);
    const { error } = await typed("logs shop --on all --grep '(a+)+$'");
    expect(error).toMatch(role === "server" ? "may not logs" : "--grep by a key takes");
    expect(await typed("ps blog --on all")).toEqual({ ran: null, error: 'there is no app "blog" for this key' });
  });

  test("sees its own apps in the lists of all of them", async () => {
    // Another server looks at nothing.
    const own = role === "server" ? "" : "shop";
    for (const line of ["apps", "apps --only blog", "dp apps", "apps:list"])
      expect((await typed(line)).ran).toBe(`apps [{"only":"${own}"}]`);
    expect((await typed("report --json")).ran).toBe(`report [{"json":true,"only":"${own}"}]`);
    expect(await typed("report --look")).toEqual({ ran: null, error: "ann may not use report in that way" });
    expect((await typed("status --all")).ran).toBe(`status [null,{"all":true,"only":"${own}"}]`);
    expect(await typed("audit --all")).toEqual({ ran: null, error: "which app? dp audit APP" });
    expect((await typed("status --json --only=blog")).ran).toBe(`status [null,{"json":true,"only":"${own}"}]`);
  });
});

describe("what is no command", () => {
  beforeAll(() => {
    process.env["DP_ROOT"] = folder;
    return letIn("operate");
  });

  test.each([
    ["bash", "bash"],
    ["/usr/lib/openssh/sftp-server", "?"],
    ["scp -t /tmp", "scp"],
    ["git-upload-archive shop", "git-upload-archive"],
    ["git config --list", "git"],
    ["logs shop; id", "?"],
    ["logs shop\nid", "?"],
    ["secret-of-somebody=hunter2", "?"],
    ["constructor", "constructor"],
    ["audit", "audit"],
  ])("%j is refused, and noted as %s", async (line, what) => {
    const { ran, error } = await typed(line);
    expect([ran, error === ""]).toEqual([null, false]);
    expect(audited().map((each) => each["what"])).toEqual([what]);
    expect(JSON.stringify(audited())).not.toContain("hunter2");
  });

  test.each(["", "  ", "dp", "help", "--help"])("%j says who one is", async (line) => {
    expect(await typed(line)).toEqual({ ran: null, error: "" });
    expect(audited()).toEqual([]);
  });

  test("a key that is gone, one of another name, and a damaged keys.json let nobody in", async () => {
    const other = fingerprintOf(newKeyPair("x").public);
    for (const [name, key] of [
      ["bob", KEY],
      ["ann", other],
    ] as const)
      expect((await typed("status shop", name, key)).error).toBe("this key is not let in any more");
    expect((await typed("status shop")).ran).toContain("status");
    expect(lastUse(KEY)).not.toBeNull();
    expect(lastUse(other)).toBeNull();
    const file = join(folder, "var/lib/dp/keys.json");
    const text = readFileSync(file, "utf8");
    for (const damaged of [
      "",
      "{",
      "[]",
      text.replace("operate", "root"),
      text.replace('"version": 1', '"version": 2'),
    ]) {
      writeFileSync(file, damaged);
      expect((await typed("status shop")).error).toContain("is damaged, so no key is let in");
    }
    writeFileSync(file, text);
  });
});

describe("the gate as a program", () => {
  const PUSH = "git-receive-pack '/var/repos/shop.git'";
  const run = (line: string, env: Record<string, string> = {}) => {
    const all = { PATH: "/usr/bin:/bin", DP_ROOT: folder, SSH_ORIGINAL_COMMAND: line, ...env };
    const { exitCode, stdout, stderr } = Bun.spawnSync([...SELF, "gate", "ann", KEY], { env: all, cwd: "/" });
    return [exitCode, stdout.toString(), stderr.toString()] as const;
  };

  const refused = (what: string, needed: string, has: string, role = needed) =>
    `dp: ann may not ${what} shop: that needs the role ${needed}, and ann has ${has}\n` +
    `  → root on the server types: dp keys allow ann shop --role ${role}\n`;

  test("says of a command that no key may use that none may", async () => {
    await letIn("operate");
    const none = "  → no key may do that: it is typed by root on the server\n";
    expect(run("destroy shop")).toEqual([8, "", `dp: ann may not destroy shop\n${none}`]);
  });

  test("names the holder and the key in the audit log, with where from, whatever else the login says", async () => {
    await letIn("view");
    const env = { SSH_CONNECTION: "203.0.113.5 50000 192.0.2.1 22", SUDO_USER: "dp", DP_BY: "system", DP_KEY: "bob" };
    expect(run("lock shop", env)).toEqual([8, "", refused("lock", "operate", "view")]);
    expect(audited()).toEqual([
      {
        ...{ time: expect.any(String), app: "shop", what: "lock", by: "ann@203.0.113.5", key: KEY },
        ...{ result: "refused", code: 8 },
      },
    ]);
    expect(run("audit shop --json")[1]).toContain('"ann@203.0.113.5"');
  });

  test("serves git to those who may push, and to nobody else", async () => {
    const repo = join(folder, "var/repos/shop.git");
    if (!existsSync(repo)) Bun.spawnSync(["git", "init", "-q", "--bare", repo]);
    expect(run(PUSH)).toEqual([8, "", refused("push to", "push", "view")]);
    expect(run("git-upload-pack shop")).toEqual([8, "", refused("fetch from", "push", "view")]);
    await letIn("view,server");
    expect(run(PUSH)[2]).toBe("dp: ann may not push to shop: that needs the role push, and ann has view,server\n");
    await letIn("push");
    expect(run("git-receive-pack blog.git")).toEqual([2, "", 'dp: there is no app "blog.git" for this key\n']);
    expect(run("git-receive-pack nope.git")).toEqual([2, "", 'dp: there is no app "nope.git" for this key\n']);
    const [code, out] = run("git receive-pack shop");
    expect([code === 8 || code === 2, out]).toEqual([false, expect.stringContaining("capabilities^{}")]);
  });

  test("takes part in a deploy of several servers for a key of the role server, and for no other", async () => {
    for (const line of ["peer run shop", "peer take shop 42-3f9c2ab.release", "peer commit shop 3f9c2ab"]) {
      await letIn("operate");
      expect(run(line)).toEqual([8, "", refused("peer", "server", "operate", "operate,server")]);
    }
    await letIn("operate,server");
    expect(run("peer run shop").join()).not.toContain("may not");
    expect(run("lock status shop")[0]).toBe(0);
  });

  test("takes no word of a key for what another app of this server has", async () => {
    await letIn("push");
    const offer = { app: "blog", id: "1-3f9c2ab", sha: "1".repeat(40), type: "docker", interpreter: null };
    const more = { files: null, why: null, isForced: false, skipHooks: false, json: false };
    const order = { offer: { ...offer, machine: "linux x64 glibc", bound: null }, server: null, ...more };
    const env = { PATH: "/usr/bin:/bin", DP_ROOT: folder, SSH_ORIGINAL_COMMAND: "handover shop begin" };
    const stdin = Buffer.from(JSON.stringify(order));
    const { exitCode, stderr } = Bun.spawnSync([...SELF, "gate", "ann", KEY], { env, cwd: "/", stdin });
    expect([exitCode, stderr.toString()]).toEqual([8, expect.stringContaining("dp promote blog shop")]);
  });

  test("greets who types nothing", () => {
    expect(run("")).toEqual([0, "dp: hello ann: no shell here; shop (push), gone (push)\n", ""]);
  });
});
