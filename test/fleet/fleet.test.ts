// `dp fleet` on a laptop: servers by real ssh that answer, hang, refuse, send too much or nonsense; and their list.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FleetDocument } from "../../lib/commands/fleet.ts";
import { serverOf } from "../../lib/config/server-address.ts";
import { dp } from "../support/core-server.ts";
import { sshdUnavailable } from "../support/sshd.ts";
import { inTerminal } from "../support/typed.ts";
import { prints, processesWith, startFleet, type Fleet } from "./support/fleet.ts";
import { appWith, deploying, down, failure, reportWith } from "./support/fleets.ts";

const EVIL = "\x1b[31m<script>alert(1)</script>\x07 \"'&\u202e";
/** A report whose texts are all hostile. */
function evil(): unknown {
  const app = deploying("shop", { subject: EVIL, by: EVIL, step: EVIL });
  const more = { type: EVIL, url: EVIL, subject: EVIL, by: EVIL, health: EVIL, detail: EVIL };
  Object.assign(app, more, {
    lock: { by: EVIL, since: 1, reason: EVIL },
    maintenance: { by: EVIL, since: 1 },
    owed: EVIL,
    lastFailure: failure({ error: EVIL, step: EVIL, by: EVIL }),
  });
  const finding = { app: "shop", check: EVIL, severity: "error" as const, what: EVIL };
  return reportWith([app], { host: EVIL, dp: EVIL, os: EVIL, findings: [finding] });
}

describe.skipIf(sshdUnavailable() !== null)("dp fleet", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet("ams-1", "fra-2", "odd");
    prints(fleet, "ams-1", reportWith([appWith("shop"), down("search")]));
    prints(fleet, "fra-2", reportWith([deploying("invoices"), appWith("export", { lastFailure: failure() })]));
    prints(fleet, "odd", evil());
  }, 120_000);
  afterAll(() => fleet?.stop());

  const document = async (...names: string[]): Promise<FleetDocument> => {
    fleet.list(...names);
    const { code, out, err } = await fleet.dp("fleet", "--json");
    expect(`${code} ${err}`).toBe("0 ");
    return JSON.parse(out) as FleetDocument;
  };

  test("shows what is wrong first, then each server and app", async () => {
    fleet.list("fra-2", "ams-1");
    const { code, out, err } = await fleet.dp("fleet");
    expect([code, err]).toEqual([0, ""]);
    const lines = out.split("\n");
    expect(lines[0]).toBe("1 down, 3 well · 2 servers · 1 deploying");
    expect(lines[1]).toMatch(/^● search is down .*dp -s ams-1 logs search --since 10m$/);
    expect(lines[2]).toMatch(/^↑ invoices deploys .*dp -s fra-2 logs invoices --deploy -f$/);
    expect(lines[3]).toMatch(/^▲ export failed to deploy .*dp -s fra-2 logs export --deploy --failed$/);
    expect(lines.findIndex((line) => line.startsWith("ams-1  load 0.9/2  memory 2.4/4 GB"))).toBe(5);
    expect(lines[6]).toMatch(/^ {2}shop +42-3f9c2ab .* 15\.4 ms +27 MB +0\.3 \/s$/);
    expect(lines[7]).toMatch(/^● search /);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
  });

  test("--check exits with code 7 only when something is amiss", async () => {
    fleet.list("ams-1");
    expect((await fleet.dp("fleet", "--check")).code).toBe(7);
    prints(fleet, "ams-1", reportWith([appWith("shop"), appWith("search", { state: "stopped" })]));
    expect((await fleet.dp("fleet", "--check")).code).toBe(0);
    expect((await fleet.dp("fleet", "--check", "--json")).code).toBe(0);
    fleet.list("ams-1", "gone");
    expect((await fleet.dp("fleet", "--check")).code).toBe(7);
    expect((await fleet.dp("fleet")).code).toBe(0);
  });

  test("a server's texts are shown as texts", async () => {
    const found = await document("odd");
    expect(found.servers[0]!.error).toBeNull();
    const text = JSON.stringify(found);
    expect(text).not.toMatch(/\\u001b|\\u0007|\u202e/);
    expect(text).toContain("<script>alert(1)</script>");
    const { out } = await fleet.dp("fleet");
    expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\u202e]/);
    expect(out).toContain("<script>");
  });

  test("one that hangs, one that refuses, one that sends 10 MiB: each is its own error, and delays nobody beyond 10 s", async () => {
    fleet.script("odd", "exec sleep 1000");
    fleet.script("fra-2", "head -c 10485760 /dev/zero");
    const { servers, sentence } = await document("odd", "fra-2", "ams-1", "gone");
    const errors = Object.fromEntries(servers.map(({ name, error }) => [name, error]));
    expect(errors["ams-1"]).toBeNull();
    expect(errors["fra-2"]).toBe("its answer is larger than 4 MiB");
    expect(errors["odd"]).toBe("no answer within 10 s");
    expect(errors["gone"]).toMatch(/refused/);
    expect(servers.map(({ report }) => report !== null)).toEqual([true, false, false, false]);
    expect(sentence).toMatchObject({ bad: ["3 servers silent"], rest: "1 well", count: 3 });
  }, 60_000);

  test.each([
    ["nothing", "true", "its answer is not a report: no JSON"],
    ["no JSON", "echo hello", "its answer is not a report: no JSON"],
    ["an older dp", "echo 'dp: unknown command' >&2; exit 2", "its dp has no report: it is older than 0.3.0"],
    ["no dp", "exit 127", "dp is not installed there"],
    ["a newer one", "echo '{\"v\":2}'", "its dp is newer than this one: its report is of another form"],
    ["a refusal", "echo 'dp: permission denied' >&2; exit 8", "permission denied"],
    ["a death", "kill -9 $$", /^(ssh failed|.*\S.*)$/],
  ])("%s in place of a report is told", async (_, script, words) => {
    fleet.script("odd", script);
    const { servers } = await document("odd");
    expect(servers[0]!.error).toMatch(words);
    expect(servers[0]!.report).toBeNull();
  });

  test.each([
    ["a text for a number", { apps: [appWith("shop", { mem: "1" as unknown as number })] }, "apps.0.mem"],
    ["no number", { load: null as unknown as number }, "load"],
    ["a name for a shell", { apps: [appWith("x; rm -rf ~")] }, "apps.0.app"],
    ["a release that is none", { apps: [appWith("shop", { live: "$(id)" })] }, "apps.0.live"],
    [
      "a process that is none",
      { apps: [appWith("shop", { failing: [{ process: "a b", detail: "" }] })] },
      "apps.0.failing.0.process",
    ],
    ["too few minutes", { apps: [appWith("shop", { minutes: [[1, 0]] })] }, "apps.0.minutes"],
  ])("a report with %s is that server's error", async (_, more, path) => {
    prints(fleet, "odd", Object.assign(reportWith([]), more));
    const { servers } = await document("odd");
    expect(servers[0]!.error).toBe(`its answer is not a report: ${path} is wrong`);
  });

  test("-s NAME runs any command there, with its words, its output and its exit code", async () => {
    fleet.script("odd", 'for word; do printf "[%s]" "$word"; done; cat; echo oops >&2; exit 41');
    fleet.list("odd");
    const child = Bun.spawn([...dp, "-s", "odd", "env", "shop", "set", 'A=it\'s "$HOME" *', "-n", ""], {
      ...{ cwd: "/", env: fleet.env, stdin: new Blob(["typed"]), stdout: "pipe", stderr: "pipe" },
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect([await child.exited, out, err]).toEqual([41, `[env][shop][set][A=it's "$HOME" *][-n][]typed`, "oops\n"]);
  });

  test("-s NAME --version is the version there, and another option needs a command", async () => {
    fleet.script("odd", 'echo "there: $*"');
    fleet.list("odd");
    for (const option of ["--version", "-v"])
      expect(await fleet.dp("-s", "odd", option)).toMatchObject({ code: 0, out: `there: ${option}\n` });
    expect((await fleet.dp("-s", "odd", "--json")).err).toContain("-s NAME needs a command behind it");
  });

  test.each([
    [["-s"], "-s needs the name of a server"],
    [["-s", "odd"], "-s NAME needs a command behind it"],
    [["-s", "od", "status"], 'the fleet has no server "od"'],
    [["restart", "shop", "-s", "odd"], "-s comes before the command"],
  ])("%j is a mistake, and nothing is run", async (words, message) => {
    fleet.script("odd", `touch '${fleet.folder}/ran'`);
    fleet.list("odd");
    const { code, err } = await fleet.dp(...words);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(existsSync(`${fleet.folder}/ran`)).toBe(false);
  });

  test("--watch draws, q leaves the screen as it was, and no ssh is left, in a temp folder as deep as a Mac's", async () => {
    prints(fleet, "ams-1", reportWith([appWith("shop")]));
    fleet.list("ams-1");
    const TMPDIR = `${fleet.folder}/`.padEnd(60, "t");
    mkdirSync(TMPDIR, { recursive: true });
    const typed = inTerminal([...dp, "fleet", "--watch"], { ...fleet.env, TMPDIR });
    await typed.sees("The one app is well");
    expect(processesWith(`ssh: ${TMPDIR}/dp-fleet-`).length).toBeGreaterThan(0);
    typed.type("q");
    expect(await typed.done).toBe(0);
    expect(typed.shown()).toEndWith("\x1b[?25h\x1b[?1049l");
    expect(processesWith(`${TMPDIR}/dp-fleet-`)).toEqual([]);
    expect([...new Bun.Glob("dp-fleet-*").scanSync({ cwd: TMPDIR, onlyFiles: false })]).toEqual([]);
  });

  test("--watch without a terminal is a mistake", async () => {
    const { code, err } = await fleet.dp("fleet", "--watch");
    expect(code).toBe(2);
    expect(err).toContain("needs a terminal");
  });

  describe("the list", () => {
    test("gets a server that was asked once, and one that cannot be reached", async () => {
      rmSync(fleet.file, { force: true });
      expect((await fleet.dp("fleet", "add", "ams-1", "ams-1")).out).toBe("added ams-1: dp 0.3.0, 1 app\n");
      expect((await fleet.dp("fleet", "add", "far", "root@gone:22")).out).toMatch(
        /^added far, but it does not answer: /,
      );
      expect(readFileSync(fleet.file, "utf8")).toContain("ams-1: ");
      expect(statSync(fleet.file).mode & 0o777).toBe(0o600);
      expect((await fleet.dp("fleet", "add", "far", "ams-1")).code).toBe(0);
      expect((await fleet.dp("fleet", "--json")).out).toContain('"name":"far"');
      expect((await fleet.dp("fleet", "remove", "far")).out).toBe("removed far; nothing was changed on it\n");
      expect(readFileSync(fleet.file, "utf8")).not.toContain("far");
      expect((await fleet.dp("fleet", "remove", "ams-1")).code).toBe(0);
      const none = await fleet.dp("fleet");
      expect(none.code).toBe(2);
      expect(none.err).toContain("lists none\n  → dp fleet add NAME root@SERVER");
      expect((await fleet.dp("fleet", "remove", "ams-1")).err).toContain('the fleet has no server "ams-1"');
      expect((await fleet.dp("fleet", "add", "ams-1", "ams-1")).code).toBe(0);
      expect((await fleet.dp("fleet")).code).toBe(0);
    });

    test("keeps what somebody wrote around a line", async () => {
      const text = "# mine\nservers:\n  # the shop\n  ams-1: ams-1 # Amsterdam\n  odd: odd\n";
      writeFileSync(fleet.file, text);
      expect((await fleet.dp("fleet", "remove", "odd")).code).toBe(0);
      expect(readFileSync(fleet.file, "utf8")).toBe(text.replace("  odd: odd\n", ""));
      expect((await fleet.dp("fleet", "add", "fra-2", "root@gone")).code).toBe(0);
      expect(readFileSync(fleet.file, "utf8")).toContain("ams-1: ams-1 # Amsterdam\n");
    });

    test("with a mistake is named by line, and not changed", async () => {
      const text = "servers:\n  ams-1: root@host;reboot\n  '-x': a\n";
      writeFileSync(fleet.file, text);
      for (const words of [["fleet"], ["fleet", "add", "b", "b"], ["fleet", "remove", "ams-1"]]) {
        const { code, err } = await fleet.dp(...words);
        expect(code).toBe(3);
        expect(err).toContain("fleet.yml:2:10 servers.ams-1: must be [USER@]HOST[:PORT]");
      }
      expect(readFileSync(fleet.file, "utf8")).toBe(text);
    });

    test.each([
      [["add", "a b", "host"], '"a b" is not a name'],
      [["add", "-x", "host"], "unknown option"],
      [["add", "ams-1", "-oProxyCommand=x"], "unknown option"],
      [["add", "ams-1", "ssh://host/x"], "is not [USER@]HOST[:PORT]"],
      [["add", "ams-1"], "needs a name and an address"],
      [["remove", "nobody"], 'the fleet has no server "nobody"'],
      [["remove"], "needs a name"],
      [["list"], 'unknown action "list"; the actions are add, remove, sync, key'],
      [["remov", "ams-1"], 'did you mean "remove"?'],
    ])("refuses %j", async (words, message) => {
      rmSync(fleet.file, { force: true });
      const { code, err } = await fleet.dp("fleet", ...words);
      expect(code).toBe(2);
      expect(err).toContain(message);
      expect(existsSync(fleet.file)).toBe(false);
    });

    test("without a file: the dp remotes of the folder, each server once", async () => {
      rmSync(fleet.file, { force: true });
      const repo = join(fleet.folder, "repo");
      mkdirSync(repo);
      const git = (...words: string[]) => Bun.spawnSync(["git", "-C", repo, ...words], { env: fleet.env });
      git("init", "-q");
      git("remote", "add", "production", "ssh://root@ams-1/var/repos/shop.git");
      git("remote", "add", "staging", "ssh://root@ams-1/var/repos/shop-staging.git");
      git("remote", "add", "origin", "git@github.com:me/shop.git");
      const child = Bun.spawn([...dp, "fleet", "--json"], { cwd: repo, env: fleet.env, stdout: "pipe" });
      const found = JSON.parse(await child.stdout.text()) as FleetDocument;
      expect(found.servers.map(({ name, address, error }) => [name, address, error])).toEqual([
        ["production", "root@ams-1", null],
      ]);
      const elsewhere = await fleet.dp("fleet");
      expect(elsewhere.code).toBe(2);
      expect(elsewhere.err).toContain("dp fleet add NAME root@SERVER");
    });
  });
});

test.each([
  ["host", { host: "host" }],
  ["root@203.0.113.5", { user: "root", host: "203.0.113.5" }],
  ["dp@host:2222", { user: "dp", host: "host", port: 2222 }],
  ["[2001:db8::5]:2222", { host: "2001:db8::5", port: 2222 }],
  ["root@[fe80::1%eth0]", { user: "root", host: "fe80::1%eth0" }],
  ["2001:db8::5", null],
  ["host:0", null],
  ["host:70000", null],
  ["-oProxyCommand=x", null],
  ["-l@host", null],
  ["a b", null],
  ["root@host;id", null],
  ["$(id)", null],
  ["", null],
])("the address %j", (text, server) => expect(serverOf(text)).toEqual(server));
