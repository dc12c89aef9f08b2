// dp typed on the laptop, against a server behind an sshd of the test's own: everything that goes there and comes back,
// and that nothing is left there.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { newKeyPair } from "../../lib/access/new-key.ts";
import { fingerprintOf } from "../../lib/access/public-key.ts";
import { openPair, type Pair } from "../support/remote-laptop.ts";
import { deployYml, pidsWith, until } from "../support/sandbox.ts";
import { sshdUnavailable } from "../support/sshd.ts";
import { version } from "../../package.json";

const why = sshdUnavailable();
describe.skipIf(why !== null)(`dp on the laptop${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let pair: Pair;
  beforeAll(async () => void (pair = await openPair()));
  afterAll(() => pair?.stop());
  const own = (name: string) => join(dirname(pair.box.root), name);
  const followers = () => pidsWith("logs\0shop").filter((pid) => isHere(pid));
  const isHere = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`DP_ROOT=${pair.box.root}`);
    } catch {
      return false;
    }
  };
  const gone = (what: string, found: () => number[]) => until(`the end of ${what}`, () => found().length === 0);

  describe("goes there", () => {
    test("with words byte for byte", async () => {
      const words = ["a b", "it's", '"x" $HOME `id` *', "a\nb", "", "-r", "--help", "\\", "grüße 🌱"];
      const told = await pair.dp("run", "--", "printf", "%s\\0", ...words);
      expect(told).toMatchObject({ code: 0, stdout: words.map((word) => `${word}\0`).join(""), stderr: "" });
      const value = `it's "x" $HOME *`;
      expect((await pair.dp("config:set", "--no-restart", `GREETING=${value}`)).code).toBe(0);
      expect(await pair.dp("env", "get", "GREETING")).toMatchObject({ code: 0, stdout: `${value}\n`, stderr: "" });
    });

    test("without the app, and the everyday commands answer as they do there", async () => {
      for (const command of ["status", "releases", "logs", "env", "ps", "scale", "doctor"]) {
        const [here, there] = await Promise.all([pair.dp(command), pair.box.dp(command, "shop")]);
        const head = ({ code, stdout, stderr }: typeof here) => ({ code, stderr, first: stdout.split("\n", 1)[0] });
        expect({ command, ...head(here) }).toEqual({ command, ...head(there) });
      }
    });

    test("and gives the exit code", async () => {
      for (const code of [0, 7, 41]) expect((await pair.dp("run", "--", "sh", "-c", `exit ${code}`)).code).toBe(code);
      const killed = await pair.dp("run", "--", "sh", "-c", "exit 255");
      expect([killed.code, killed.stderr]).toEqual([
        255,
        "dp: ssh to root@server failed or was cut, or the command itself exited with code 255\n",
      ]);
    });

    test("with 8 MB through a program, both ways, and none of a loop's input", async () => {
      const bytes = crypto.getRandomValues(new Uint8Array(65_536));
      const blob = new Blob(Array.from({ length: 128 }, (_, at) => bytes.map((byte) => byte ^ at)));
      writeFileSync(own("bytes"), new Uint8Array(await blob.arrayBuffer()));
      const line = `'${pair.box.program}' run -- cat < '${own("bytes")}' | cmp - '${own("bytes")}'`;
      expect(await pair.start(["sh", "-c", line]).done).toMatchObject({ code: 0, text: "" });
      const loop = `printf 'a\\nb\\n' | while read -r x; do '${pair.box.program}' apps >/dev/null; echo "$x"; done`;
      expect((await pair.start(["sh", "-c", loop]).done).stdout).toBe("a\nb\n");
    });

    test("with a command that only the server knows, and tells that the server is another version", async () => {
      // A server whose dp knows one command more, and is of another version.
      const newer = own("newer");
      const old = readFileSync(join(own("sshd"), "sshd_config"), "utf8");
      mkdirSync(newer);
      const script = `#!/bin/sh\n[ "$1" = --version ] && echo 'dp 0.9.1 (abc)' && exit\n[ "$1" = teleport ] && printf '%s|' "$@" && exit\nexit 2\n`;
      writeFileSync(join(newer, "dp"), script, { mode: 0o755 });
      expect(old).toContain("PATH=");
      const env = { GIT_SSH_COMMAND: `ssh -F ${pair.sshd.config} -o SetEnv=PATH=x`, DP_MUX: "0" };
      const there = join(own("laptop"), "there");
      writeFileSync(there, `#!/bin/sh\nfor last; do :; done\nexec env PATH='${newer}':"$PATH" sh -c "$last"\n`, {
        mode: 0o755,
      });
      env.GIT_SSH_COMMAND = there;
      const told = await pair.dpWith({ env }, "teleport", "--far", "away");
      expect(told).toMatchObject({ code: 0, stdout: "teleport|shop|--far|away|", stderr: "" });
      const wrong = await pair.dpWith({ env }, "rollback", "--wrong");
      expect([wrong.code, wrong.stderr]).toEqual([2, `dp: the server has dp 0.9.1, this is ${version}\n`]);
    });

    test("with a file of this machine for env import", async () => {
      writeFileSync(join(pair.clone, "my settings"), "FROM_HERE=one\n");
      expect(await pair.dp("env", "import", "my settings", "--no-restart")).toMatchObject({ code: 0, stderr: "" });
      expect((await pair.dp("env", "get", "FROM_HERE")).stdout).toBe("one\n");
      const none = await pair.dp("env", "import", "none");
      expect([none.code, none.stderr]).toEqual([2, 'dp: "none" cannot be read on this machine\n']);
      expect(await pair.dpWith({ stdin: "typed\n" }, "env", "set", "SECRET", "--no-restart")).toMatchObject({
        code: 0,
      });
      expect((await pair.dp("env", "get", "SECRET")).stdout).toBe("typed\n");
    });

    test("and JSON has no carriage return, though a terminal is there", async () => {
      const typed = pair.program([
        "sh",
        "-c",
        `'${pair.box.program}' status --json | od -c | grep -c '\\\\r'; echo over`,
      ]);
      await typed.sees("over");
      expect(typed.shown()).toContain("0\nover");
      expect(await typed.done).toBe(0);
    });
  });

  describe("says what only this side knows", () => {
    test("when the server is not reached", async () => {
      const env = { DP_REMOTE: "ssh://root@127.0.0.1:1/var/repos/shop.git" };
      const told = await pair.dpWith({ env }, "status");
      expect(told.code).toBe(255);
      expect(told.stderr).toEndWith("dp: ssh to root@127.0.0.1 failed or was cut\n");
    });

    test("when there is no dp, and when it is a program of the app that is not there", async () => {
      const env = { GIT_SSH_COMMAND: `ssh -F ${pair.sshd.config} -o SetEnv=X=1`, DP_MUX: "0" };
      const there = own("bare");
      writeFileSync(there, `#!/bin/sh\nfor last; do :; done\nexec env PATH=/usr/bin:/bin sh -c "$last"\n`, {
        mode: 0o755,
      });
      env.GIT_SSH_COMMAND = there;
      const told = await pair.dpWith({ env }, "status");
      expect(told.code).toBe(127);
      expect(told.stderr).toEndWith("dp: dp is not installed there\n  → dp launch root@server\n");
      const run = await pair.dp("run", "--", "no-such-program");
      expect([run.code, run.stderr]).toEqual([127, expect.not.stringContaining("not installed")]);
    });
  });

  describe("leaves nothing there", () => {
    test("after Ctrl-C in a terminal", async () => {
      const logs = pair.typed("logs", "-f");
      await logs.sees("listening");
      expect(followers()).not.toEqual([]);
      logs.type("\x03");
      expect(await logs.done).toBe(130);
      await gone("dp logs -f", followers);

      const run = pair.typed("run", "--", "sh", "-c", "echo begun; sleep 7200.1; exit 3");
      await run.sees("begun");
      // Between fork and exec a shell's child would take the signal for its own.
      await until("the sleep", () => pidsWith("sleep\x007200.1").length > 0);
      run.type("\x03");
      expect(await run.done).not.toBe(0);
      await gone("the program", () => pidsWith("sleep\x007200.1"));
    });

    test.each([
      ["a connection of its own", "0"],
      ["the shared connection", "1"],
    ])("after a signal without a terminal, over %s", async (_, mux) => {
      const start = (...words: string[]) => {
        const child = Bun.spawn([pair.box.program, ...words], {
          ...{ cwd: pair.clone, env: { ...pair.env, DP_MUX: mux }, stdin: "ignore", stdout: "pipe", stderr: "ignore" },
        });
        return { child, first: child.stdout.getReader().read() };
      };
      const logs = start("logs", "-f");
      await logs.first;
      logs.child.kill("SIGINT");
      expect(await logs.child.exited).toBe(130);
      await gone("dp logs -f", followers);

      // One that obeys nothing but SIGKILL, and what it has started.
      writeFileSync(join(pair.box.base, "config.yml"), `${configOf(pair)}stopTimeout: 1s\n`);
      const line = "trap '' HUP TERM; sleep 7200.2 & echo begun; while :; do sleep 7200.2; done";
      const run = start("run", "--", "sh", "-c", line);
      await run.first;
      await until("both of its processes", () => pidsWith("sleep\x007200.2").length > 1);
      run.child.kill("SIGTERM");
      expect(await run.child.exited).toBe(143);
      await gone("the program", () => pidsWith("sleep\x007200.2"));
    });

    test("after | head -1, here and there", async () => {
      const words = `logs shop -f | head -n 1`;
      const there = await pair.start(["sh", "-c", `'${pair.box.program}' ${words}`]).done;
      expect(there).toMatchObject({ code: 0, stderr: "" });
      expect(there.stdout).toContain("listening");
      await gone("dp logs -f", followers);
      const line = `{ { '${pair.box.program}' logs shop -f; echo $? >&3; } | head -n 1; } 3>&1`;
      const here = await pair.box.start(["sh", "-c", line.replace("('", "{ { '").replace(/\)( 3>&1)$/, "; }$1")]).done;
      expect(here.stdout).toEndWith("129\n");
      expect(here.stderr).toBe("");
      await gone("dp logs -f", followers);
    });
  });

  test("a deploy whose reader is killed goes live", async () => {
    const door = own("door");
    const inside = own("inside");
    const build = `touch ${inside}; while [ ! -e ${door} ]; do sleep 0.02; done`;
    await pair.box.commit({ say: "two", "deploy.yml": deployYml("shop", `build: ${build}\n`) });
    expect((await pair.box.git("push", "production", "main:refs/heads/next")).code).toBe(0);
    const reader = pair.start([pair.box.program, "deploy", "next"]);
    await until("the build", () => existsSync(inside));
    const id = pair.box.ids().at(-1)!;
    process.kill(reader.pid, "SIGINT");
    const left = await reader.done;
    expect([left.code, left.stderr]).toEqual([
      130,
      expect.stringContaining(
        "dp: what has begun there goes on\n  → dp logs shop --deploy -f shows it, dp cancel shop ends it\n",
      ),
    ]);
    writeFileSync(door, "");
    await until("the end of the deploy", () => pair.box.run(id).result);
    expect(pair.box.run(id).result).toMatchObject({ state: "good", code: 0 });
    expect(await pair.box.answer()).toBe(`two ${id}`);
  });

  describe("the connection", () => {
    test("is made once, kept by dp alone, and its end is waited for by nobody", async () => {
      const env = { XDG_RUNTIME_DIR: own("run2") };
      mkdirSync(env.XDG_RUNTIME_DIR, { mode: 0o700 });
      const first = pair.sshd.connections();
      for (let time = 0; time < 2; time++) expect((await pair.dpWith({ env }, "apps")).code).toBe(0);
      expect(pair.sshd.connections()).toBe(first + 1);
      await pair.git("config", "dp.mux", "false");
      expect((await pair.dpWith({ env }, "apps")).code).toBe(0);
      await pair.git("config", "--unset", "dp.mux");
      expect(pair.sshd.connections()).toBe(first + 2);
    });

    test("is that of one key: two people at one keyboard are two, however they name their keys", async () => {
      const names = ["ann", "bob"];
      const pairs = names.map((name) => newKeyPair(name));
      const at = (name: string) => own(`key-${name}`);
      const grants = pairs.map(({ public: key }, place) => ({
        name: names[place]!,
        apps: [{ app: "shop", role: place === 0 ? "operate" : "view" }],
        keys: [{ ...key, added: "2026-03-01T12:00:00.000Z", by: "root" }],
      }));
      mkdirSync(join(pair.box.root, "var/lib/dp"), { recursive: true });
      writeFileSync(join(pair.box.root, "var/lib/dp/keys.json"), JSON.stringify({ version: 1, holders: grants }));
      for (const [place, { private: text, public: key }] of pairs.entries()) {
        const name = names[place]!;
        writeFileSync(at(name), text, { mode: 0o600 });
        const gate = `${pair.box.program} gate ${name} ${fingerprintOf(key)}`;
        appendFileSync(join(own("sshd"), "authorized"), `restrict,command="${gate}" ${key.type} ${key.blob} ${name}\n`);
      }
      const config = own("no-key-config");
      writeFileSync(config, readFileSync(pair.sshd.config, "utf8").replace(/^.*IdentityFile.*\n/m, ""));
      const run = own("run4");
      mkdirSync(run, { mode: 0o700 });
      const told = async (env: Record<string, string>) => {
        const { code, stderr } = await pair.dpWith(
          { env: { XDG_RUNTIME_DIR: run, ...env } },
          "env",
          "set",
          "A=1",
          "--no-restart",
        );
        return code === 0 ? "ann" : /^dp: (\w+) may not /.exec(stderr)?.[1];
      };
      const link = own("key-link");
      const byWords = (name: string) => told({ GIT_SSH_COMMAND: `ssh -F ${config} -i ${at(name)}` });
      const byVariable = (name: string) => told({ GIT_SSH_COMMAND: `ssh -F ${config} -i "$MY_KEY"`, MY_KEY: at(name) });
      const byLink = (name: string) => {
        rmSync(link, { force: true });
        symlinkSync(at(name), link);
        return told({ GIT_SSH_COMMAND: `ssh -F ${config} -i ${link}` });
      };
      const script = own("ssh-of-mine");
      writeFileSync(script, `#!/bin/sh\nexec ssh -F ${config} -i ${own("key-")}"$WHO" "$@"\n`, { mode: 0o755 });
      const byScript = (name: string) => told({ GIT_SSH_COMMAND: "", GIT_SSH: script, WHO: name });
      const byConfig = (name: string) => {
        const file = own(`config-${name}`);
        writeFileSync(file, `IdentityFile ${at(name)}\n${readFileSync(config, "utf8")}`);
        return told({ GIT_SSH_COMMAND: `ssh -F ${file}` });
      };
      for (const by of [byWords, byVariable, byLink, byConfig]) {
        const first = pair.sshd.connections();
        for (const name of [...names, ...names.toReversed()])
          expect([by.name, await by(name)]).toEqual([by.name, name]);
        expect(pair.sshd.connections() - first).toBeLessThanOrEqual(by === byLink ? 4 : 2);
      }
      // git's settings count before GIT_SSH.
      await pair.git("config", "--unset", "core.sshCommand");
      for (const name of [...names, ...names]) expect(await byScript(name)).toBe(name);
      for (const name of [...names, ...names]) {
        await pair.git("config", "core.sshCommand", `ssh -F ${config} -i ${at(name)}`);
        expect(await told({})).toBe(name);
      }
      await pair.git("config", "core.sshCommand", `ssh -F ${pair.sshd.config}`);
    });

    test("is the user's own where there is one", async () => {
      const config = own("own-config");
      writeFileSync(config, `ControlPath ${own("mine")}\n${readFileSync(pair.sshd.config, "utf8")}`);
      const env = { XDG_RUNTIME_DIR: own("run3"), GIT_SSH_COMMAND: `ssh -F ${config}` };
      expect((await pair.dpWith({ env }, "apps")).code).toBe(0);
      expect([existsSync(own("run3")), existsSync(own("mine"))]).toEqual([false, false]);
    });

    test("is not shared in a home whose path is too long", async () => {
      const env = { XDG_RUNTIME_DIR: "", HOME: own("h".repeat(90)) };
      mkdirSync(env.HOME);
      expect(await pair.dpWith({ env }, "apps")).toMatchObject({ code: 0, stderr: "" });
      expect(existsSync(join(env.HOME, ".cache"))).toBe(false);
    });
  });

  describe("which server", () => {
    const elsewhere = () => ({ cwd: own("many") });
    beforeAll(async () => {
      mkdirSync(own("many"));
      const git = (...words: string[]) => pair.start(["git", "-C", own("many"), ...words]).done;
      await git("init", "--quiet");
      await git("config", "core.sshCommand", `ssh -F ${pair.sshd.config}`);
      await git("config", "url.ssh://root@server/var/repos/.insteadOf", "our:");
      await git("remote", "add", "origin", "git@github.com:me/shop.git");
      await git("remote", "add", "production", "our:shop.git");
      await git("remote", "add", "staging", "https://example.com/blog.git");
      await git("remote", "set-url", "--push", "staging", "root@192.0.2.44:/var/repos/blog.git");
    });

    test("several, and none is named: they are listed", async () => {
      const { code, stdout, stderr } = await pair.dpWith(elsewhere(), "rollback", "--force");
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toBe(`dp: this folder has 2 remotes of dp servers
  production  shop on server
  staging     blog on 192.0.2.44
  → dp -r production rollback; git config dp.remote NAME makes one of them the usual one
`);
    });

    test("several, and the app that is typed is that of one", async () => {
      const told = await pair.dpWith(elsewhere(), "status", "shop");
      expect([told.code, told.stderr]).toEqual([0, ""]);
      expect(told.stdout).toStartWith("shop  ");
      const other = await pair.dpWith(elsewhere(), "status", "shpo");
      expect([other.code, other.stderr]).toEqual([2, expect.stringContaining("has 2 remotes of dp servers\n")]);
      const wanted = await pair.dpWith(elsewhere(), "doctor");
      expect([wanted.code, wanted.stderr]).toEqual([2, expect.stringContaining("→ dp -r production doctor;")]);
    });

    test("several of one server: it is asked as a whole, and changed as a whole only by --all", async () => {
      const cwd = own("beside");
      mkdirSync(cwd);
      const git = (...words: string[]) => pair.start(["git", "-C", cwd, ...words]).done;
      await git("init", "--quiet");
      await git("config", "core.sshCommand", `ssh -F ${pair.sshd.config}`);
      for (const app of ["blog", "shop"]) await git("remote", "add", app, `ssh://root@server/var/repos/${app}.git`);
      for (const words of [["apps"], ["report"], ["status"], ["doctor"]]) {
        const [here, there] = await Promise.all([
          pair.dpWith({ cwd }, ...words, "--json"),
          pair.box.dp(...words, "--json"),
        ]);
        const head = ({ code, stdout }: typeof here) => ({ words, code, keys: keysOf(stdout) });
        expect(head(here)).toEqual(head(there));
      }
      for (const words of [["reconcile"], ["doctor", "--fix"], ["logs"]])
        expect((await pair.dpWith({ cwd }, ...words)).stderr).toContain("has 2 remotes of dp servers\n");
      expect((await pair.dpWith({ cwd }, "reconcile", "--all")).code).toBe(0);
      await git("remote", "add", "again", "root@server:shop.git");
      await git("remote", "set-url", "again", "root@192.0.2.44:/var/repos/shop.git");
      const both = await pair.dpWith({ cwd }, "rollback", "shop");
      expect([both.code, both.stderr]).toEqual([
        2,
        `dp: this folder has 2 remotes of dp servers with the app shop
  again  shop on 192.0.2.44
  shop   shop on server
  → dp -r again rollback shop; git config dp.remote NAME makes one of them the usual one
`,
      ]);
    });

    test("none is dp's: those that were looked at, without a login of theirs", async () => {
      const cwd = own("foreign");
      mkdirSync(cwd);
      const git = (...words: string[]) => pair.start(["git", "-C", cwd, ...words]).done;
      await git("init", "--quiet");
      await git("remote", "add", "origin", "https://me:a-secret@example.com/shop.git");
      await git("remote", "add", "production", "ssh://as-mate/shop.git");
      const { code, stderr } = await pair.dpWith({ cwd }, "status");
      expect([code, stderr]).toEqual([
        2,
        `dp: no remote of this folder leads to a dp server
  origin      https://example.com/shop.git
  production  ssh://as-mate/shop.git
  the address of a dp server has its user in it: ssh://dp@SERVER/APP.git, or ssh://root@SERVER/var/repos/APP.git
  and no app is set up on this machine: dp setup APP does that on a server
  → git remote set-url NAME gives one such an address; or git remote add production ssh://root@SERVER/var/repos/APP.git, or: dp launch root@SERVER
`,
      ]);
    });

    test("-r before DP_REMOTE before git config dp.remote", async () => {
      const { cwd } = elsewhere();
      const apps = async (env: Record<string, string>, ...words: string[]) =>
        (await pair.dpWith({ cwd, env }, ...words, "apps", "--json")).code;
      await pair.start(["git", "-C", cwd, "config", "dp.remote", "production"]).done;
      expect(await apps({})).toBe(0);
      expect(await apps({ DP_REMOTE: "nope" })).toBe(2);
      expect(await apps({ DP_REMOTE: "nope" }, "-r", "production")).toBe(0);
      await pair.start(["git", "-C", cwd, "config", "dp.remote", "nope"]).done;
      expect(await apps({ DP_REMOTE: "production" })).toBe(0);
      expect(await apps({}, "--remote=ssh://root@server/var/repos/shop.git")).toBe(0);
      const wrong = await pair.dpWith({ cwd }, "apps");
      expect(wrong.stderr).toContain('this folder has no remote "nope" (git config dp.remote)');
      const origin = await pair.dpWith({ cwd }, "-r", "origin", "apps");
      expect([origin.code, origin.stderr]).toEqual([
        2,
        expect.stringContaining('the remote "origin" does not lead to a dp server'),
      ]);
    });

    test("no setting at all, where stdout stays empty for a script", async () => {
      for (const name of Object.keys(JSON.parse((await pair.dp("env", "--json")).stdout) as object))
        expect((await pair.dp("env", "unset", "--no-restart", name)).code).toBe(0);
      expect(await pair.dp("env")).toMatchObject({
        code: 0,
        stdout: "",
        stderr: "shop has no settings: dp env shop set NAME=value\n",
      });
    });

    test("a setting without set, and its value is not shown", async () => {
      expect(await pair.dp("env", "TOKEN=a-secret")).toMatchObject({
        code: 2,
        stderr: "dp: a setting is changed by set\n  → dp env shop set NAME=value\n",
      });
    });

    test("help by itself is the list of commands, and is printed here", async () => {
      const here = await pair.dp("help");
      expect(here).toMatchObject({ code: 0, stderr: "" });
      expect(here.stdout).toBe((await pair.dp("--help")).stdout);
    });

    test("none: what to type; but commands about this machine, and wrong ones, need none", async () => {
      const cwd = own("laptop");
      const none = await pair.dpWith({ cwd }, "logs");
      expect(none.code).toBe(2);
      expect(none.stderr).toStartWith("dp: no remote of this folder leads to a dp server\n");
      expect(none.stderr).toContain("→ git remote add production ssh://root@SERVER/var/repos/APP.git");
      expect((await pair.dpWith({ cwd }, "lgos")).stderr).toContain('unknown command "lgos"');
      expect((await pair.dpWith({ cwd }, "help", "rollback")).code).toBe(0);
      expect((await pair.dpWith({ cwd }, "rollback", "--help")).stdout).toContain("-r, --remote <name>");
      expect((await pair.dpWith({ cwd }, "--version")).stdout).toStartWith(`dp ${version}`);
      const doctor = await pair.dpWith({ cwd }, "doctor");
      expect(doctor.stdout).toMatch(/nothing wrong: the server; no app is set up on this machine|^the server/);
      const init = await pair.dpWith({ cwd }, "init", "-r", "production");
      expect([init.code, init.stderr]).toEqual([2, "dp: dp init is about this machine, and takes no -r\n"]);
    });

    test("dp watch and dp fleet sync go to the server, and what else dp fleet does is done here", async () => {
      const watched = await pair.dp("watch", "--json");
      expect(watched).toMatchObject({ code: 0, stderr: "" });
      expect(Object.keys(JSON.parse(watched.stdout).apps)).toEqual(["shop"]);
      for (const words of [
        ["fleet", "sync"],
        ["-r", "production", "fleet", "sync", "shop"],
      ])
        expect(await pair.dp(...words)).toMatchObject({
          code: 2,
          stderr: "dp: shop has no other servers: config.yml has no servers\n  → dp help servers\n",
        });
      const cwd = own("laptop");
      for (const words of [["watch"], ["fleet", "sync", "shop"]])
        expect((await pair.dpWith({ cwd }, ...words)).stderr).toStartWith(
          "dp: no remote of this folder leads to a dp server\n",
        );
      for (const words of [
        ["-r", "production", "fleet"],
        ["fleet", "-r", "production"],
      ])
        expect(await pair.dp(...words)).toMatchObject({
          code: 2,
          stderr: "dp: dp fleet is about this machine, and takes no -r\n",
        });
    });

    test("dp watch on a server without an app says so", async () => {
      const env = { DP_ROOT: own("empty") };
      mkdirSync(env.DP_ROOT);
      expect(await pair.dpWith({ env }, "watch")).toMatchObject({
        code: 0,
        stdout: "no app yet: dp setup APP\n",
        stderr: "",
      });
    });

    test("a host that ssh would take for an option is refused", async () => {
      const env = { DP_REMOTE: "ssh://-oProxyCommand=touch%20pwned/var/repos/shop.git" };
      const { code, stderr } = await pair.dpWith({ env }, "status");
      expect([code, stderr]).toEqual([2, 'dp: "-oProxyCommand=touch pwned" is not the name of a server\n']);
      expect(existsSync(join(pair.clone, "pwned"))).toBe(false);
    });

    test("a machine with apps means itself, but for -r", async () => {
      const before = pair.sshd.connections();
      const env = { DP_ROOT: pair.box.root, DP_MUX: "0", DP_REMOTE: "production" };
      expect((await pair.dpWith({ env }, "status", "shop")).code).toBe(0);
      expect((await pair.dpWith({ env }, "status")).code).toBe(0);
      expect(pair.sshd.connections()).toBe(before);
      expect((await pair.dpWith({ env }, "-r", "production", "status")).code).toBe(0);
      expect(pair.sshd.connections()).toBe(before + 1);
      // Without DP_ROOT it is known by its folder.
      const line = `mount -t tmpfs tmpfs /opt && mkdir /opt/deployments && exec '${pair.box.program}' status`;
      const there = await pair.start(["unshare", "--mount", "sh", "-c", line]).done;
      expect(there).toMatchObject({ code: 0, stdout: "no app yet: dp setup APP\n" });
    });
  });
});

/** The keys of an answer in JSON, or the apps of a list. */
function keysOf(text: string): string[] {
  const value = JSON.parse(text) as object | { app: string }[];
  return Array.isArray(value) ? value.map(({ app }) => app) : Object.keys(value);
}

function configOf(pair: Pair): string {
  const text = readFileSync(join(pair.box.base, "config.yml"), "utf8");
  return text.replaceAll(/^stopTimeout: .*\n/gm, "");
}
