// Pushing and typing commands without root, on a real server with a real sshd and sudo: what a key may, and what it may
// not. The tests build on each other, on one server with a second app.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditLine } from "../../lib/host/audit.ts";
import { watchArguments } from "../support/argv-watch.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { exec } from "../support/box-host.ts";
import { sshArguments } from "../support/box-ssh.ts";
import { PATIENT_BUILD, plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const SECRET = "tr0ub4dor-and-9-horses";
const HOME = "/var/lib/dp/login";
const OF_SSH = /^(?:Warning: Permanently added|Pseudo-terminal will not).*\r?\n?/gm;
const GO = "/opt/deployments/shop/home/go";

describe.skipIf(why !== null)(`keys${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("keys");
    shop = await openLaptop(box, "shop");
    port = await freePort();
    await box.mustDp("setup", "shop", "--port", `${port}`);
    await box.mustDp("setup", "blog", "--port", `${await freePort()}`);
    await box.hurry("shop", "blog");
    for (const name of ["ann", "bob"])
      await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", keyOf(name)]);
    await shop.git("remote", "set-url", "production", box.gitUrl("/shop.git", "dp"));
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });

  const keyOf = (name: string) => join(box.dir, `key-${name}`);
  const pubOf = (name: string) => readFileSync(`${keyOf(name)}.pub`, "utf8");
  const printOf = async (name: string) => (await exec(["ssh-keygen", "-l", "-f", keyOf(name)])).stdout.split(" ")[1]!;
  const argvOf = (name: string, ...options: string[]) => [
    ...["ssh", "-oLogLevel=INFO", ...sshArguments(keyOf(name), box.port), ...options],
    "dp@127.0.0.1",
  ];
  /** Types a line by a key; ssh's own words are in `text`. */
  const as = (name: string, line: string, ...options: string[]) =>
    exec([...argvOf(name, ...options), ...(line === "" ? [] : [line])], { timeout: 60_000 });
  const said = async (name: string, line: string) => {
    const { code, text } = await as(name, line);
    return [code, text.replace(OF_SSH, "").trim()];
  };
  const needs = (what: string, grant: string) => `dp: ${what}\n  → root on the server types: dp keys allow ${grant}`;
  const add = (name: string, ...words: string[]) =>
    box.ssh(["dp", "keys", "add", name, ...words], { stdin: pubOf(name) });
  const audited = async () =>
    (await box.read("/var/log/deployments/audit.log"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as AuditLine);
  /** Lets git on the laptop use somebody's key. */
  const withKeyOf = (name: string) => {
    shop.env["GIT_SSH_COMMAND"] = ["ssh", ...sshArguments(keyOf(name), box.port)].join(" ");
  };
  /** Runs a program in the working copy, with the environment of the laptop. */
  const there = (argv: readonly string[]) => {
    const env = Object.entries(shop.env).map(([name, value]) => `${name}=${value}`);
    return exec(["env", "-C", shop.dir, ...env, ...argv], { timeout: 120_000 });
  };
  const asDp = (line: string) =>
    box.ssh(["setpriv", "--reuid=dp", "--regid=dp", "--init-groups", "--", "/bin/sh", "-c", line]);

  test("the first key makes the login, which root owns", async () => {
    expect(await box.mustDp("keys")).toContain("no key yet: dp keys add NAME");
    const { code, stdout, stderr } = await add("ann", "--app", "shop", "--role", "operate");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("made the system user dp\n");
    expect(stdout).toContain(`added ann: operate on shop (${await printOf("ann")})\n`);
    expect(stdout).toContain(`git remote add production ssh://dp@127.0.0.1:${box.port}/shop.git\n`);
    const files = [`${HOME}`, `${HOME}/.ssh`, `${HOME}/.ssh/authorized_keys`, "/var/lib/dp/keys.json"];
    const programs = ["/usr/local/lib/dp/login", "/usr/local/lib/dp/gate", "/etc/sudoers.d/dp"];
    expect(await box.must(["stat", "-c", "%U %a", ...files, ...programs])).toBe(
      ["root 755", "root 755", "root 644", "root 600", "root 755", "root 755", "root 440"].join("\n"),
    );
    expect(await box.must("visudo -c")).toContain("/etc/sudoers.d/dp: parsed OK");
    expect(await box.must("grep ^dp: /etc/shadow")).toStartWith("dp:*:");
    const again = await add("ann");
    expect([again.code, again.stdout]).toEqual([0, expect.not.stringContaining("made")]);
    expect((await add("bob", "--app", "shop", "--role", "push")).code).toBe(0);
    const rows = JSON.parse(await box.mustDp("keys", "--json")) as {
      name: string;
      apps: object;
      last: string | null;
    }[];
    expect(rows.map(({ name, apps, last }) => [name, apps, last])).toEqual([
      ["ann", { shop: "operate" }, null],
      ["bob", { shop: "push" }, null],
    ]);
    expect(await box.mustDp("keys")).toMatch(/^NAME +ROLE +APPS +KEY +ADDED +LAST\nann +operate +shop +SHA256:/);
  });

  test("what is no key, or somebody else's, is refused", async () => {
    const put = (stdin: string, ...words: string[]) => box.ssh(["dp", "keys", "add", ...words], { stdin });
    const to = ["--app", "shop", "--role", "push"];
    const cases: [stdin: string, words: string[], code: number, text: RegExp][] = [
      [pubOf("ann"), ["eve", ...to], 2, /ann has that key: a key has one name/],
      [readFileSync(keyOf("ann"), "utf8"), ["eve", ...to], 2, /private key/],
      [pubOf("ann"), ["eve", "--app", "nope", "--role", "push"], 2, /there is no app "nope"/],
      [pubOf("ann"), ["eve", "--app", "shop", "--role", "admin"], 2, /unknown role "admin"/],
      [pubOf("ann"), ["Eve!", ...to], 2, /name of a key/],
      [pubOf("ann"), ["eve"], 2, /which app and role|ann has that key/],
    ];
    for (const [stdin, words, code, text] of cases) {
      const answer = await put(stdin, ...words);
      expect([answer.code, answer.text]).toEqual([code, expect.stringMatching(text)]);
      expect(answer.text).not.toContain(readFileSync(keyOf("ann"), "utf8").split("\n")[1]!);
    }
    const root = await box.ssh(
      "mkdir -p /root/.ssh && cat >> /root/.ssh/authorized_keys && dp keys add ann </root/.ssh/authorized_keys",
      {
        stdin: pubOf("ann"),
      },
    );
    expect([root.code, root.stderr]).toEqual([0, expect.stringContaining("whoever has it is root")]);
    await box.must("rm /root/.ssh/authorized_keys");
  });

  test("whoever is dp has no shell, and nothing to write", async () => {
    for (const line of ["su dp -c id", "su - dp", "su dp -c 'ann; id'", "su dp -c 'ann SHA256:x y'"])
      expect([line, (await box.ssh(`${line} </dev/null`)).text]).toEqual([line, "dp: no shell here"]);
    const write = `touch ${HOME}/.ssh/rc ${HOME}/.bashrc; echo x >> ${HOME}/.ssh/authorized_keys; mkdir ${HOME}/x`;
    expect((await asDp(write)).text.match(/denied|Read-only/g)).toHaveLength(4);
    expect((await asDp("sudo -n sh -c id")).text).toContain("a password is required");
    // Why nothing else may run as dp.
    const gate = `sudo -n /usr/local/lib/dp/gate ann ${await printOf("ann")}`;
    expect((await asDp(gate)).text).toBe("dp: hello ann: no shell here; shop (operate)");
    expect((await asDp("cat /var/lib/dp/keys.json /var/repos/shop.git/HEAD")).text.match(/denied/g)).toHaveLength(2);
  });

  test("a key has no shell with any other line of authorized_keys", async () => {
    await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", keyOf("eve")]);
    const file = `${HOME}/.ssh/authorized_keys`;
    for (const options of ["", 'command="id" ', 'command="ann; id" ', 'command="ann SHA256:x" ']) {
      await box.must(`cat >> ${file}`, { stdin: `${options}${pubOf("eve")}` });
      const [code, text] = await said("eve", "id");
      expect([options, code]).toEqual([options, 8]);
      expect(text).toMatch(/^dp: (?:no shell here|this key is not let in any more)$/);
      await box.must(`sed -i '$d' ${file}`);
    }
    expect((await said("eve", "id"))[0]).toBe(255);
  });

  test("a push names who it is, in its log and the audit log", async () => {
    withKeyOf("bob");
    const sha = await shop.commit(plainApp("shop"), "first");
    const { text } = await shop.push("-o", "skip-hooks");
    expect(text).toContain(`dp: shop ${await box.live("shop")} "first" by bob@127.0.0.1 → production`);
    expect(await box.branch("shop")).toBe(sha);
    expect((await audited()).at(-1)).toMatchObject({
      ...{ app: "shop", what: "deploy", by: "bob@127.0.0.1", key: await printOf("bob"), result: "ok" },
    });
    await shop.git("fetch", "production");
    expect(await shop.git("rev-parse", "production/main")).toBe(sha);
    const bad = await there(["git", "push", box.gitUrl("/blog.git", "dp"), "HEAD:main"]);
    expect([bad.code, bad.text]).toEqual([
      128,
      expect.stringContaining('dp: there is no app "/blog.git" for this key'),
    ]);
  });

  test("a key does what its role may, over its app", async () => {
    expect(await said("bob", "")).toEqual([0, "dp: hello bob: no shell here; shop (push)"]);
    expect((await as("bob", "status")).stdout).toContain(`live       ${await box.live("shop")}`);
    expect((await as("ann", "apps --json")).stdout).not.toContain("blog");
    expect((await as("bob", "logs 'shop' -n 5")).stdout).toContain("web[");
    expect((await as("ann", "run shop -- sh -c 'echo $0 $HOME; exit 41'")).text).toContain(
      "sh /opt/deployments/shop/home",
    );
    expect((await as("ann", "run shop -- sh -c 'exit 41'")).code).toBe(41);
    // Somebody who operates an app has a terminal, of its own and sudo's.
    expect((await as("ann", "run shop -- tty", "-tt")).text).toContain("/dev/pts/");
  });

  test("a key promotes from one of its apps to another, and the files there are closed like any release's", async () => {
    await box.mustDp("setup", "next", "--port", `${await freePort()}`);
    await box.hurry("next");
    await box.must("echo 'for: shop' >> /opt/deployments/next/config.yml");
    // The role is needed on both.
    expect(await said("bob", "promote shop next")).toEqual([2, 'dp: there is no app "next" for this key']);
    await box.mustDp("keys", "allow", "bob", "next", "--role", "view");
    expect(await said("bob", "promote shop next")).toEqual([
      8,
      needs("bob may not promote next: that needs the role push, and bob has view", "bob next --role push"),
    ]);
    expect(await said("bob", "promote shop other:next")).toEqual([
      8,
      "dp: bob may not use promote in that way\n  → no key may do that: it is typed by root on the server",
    ]);
    expect((await box.ssh("ls /opt/deployments/next/current")).code).not.toBe(0);
    await box.mustDp("keys", "allow", "bob", "next", "--role", "push");
    const from = await box.live("shop");
    const { code, text } = await as("bob", "promote shop next --skip-hooks");
    expect([code, text]).toEqual([0, expect.stringContaining(`from shop ${from} by bob@127.0.0.1`)]);
    expect(text).toContain(`the files that shop ${from} was proved with`);
    const live = await box.live("next");
    expect((await audited()).at(-1)).toMatchObject({
      ...{ app: "next", what: "promote", by: "bob@127.0.0.1", detail: `shop ${from}`, result: "ok" },
    });
    expect(await box.must(`stat -c %U:%G /opt/deployments/next/releases/${live}/.`)).toBe("root:dp-next");
    expect(await box.must("diff -r /opt/deployments/shop/current/. /opt/deployments/next/current/. || true")).toBe("");
    expect(await box.must("find /var/repos/next.git ! -user dp-git | head -n 1")).toBe("");
    expect(await box.branch("next")).toBe(await box.branch("shop"));
    expect(await box.mustDp("destroy", "next", "--yes")).toContain("took next from the keys of bob");
  });

  test("dp on the laptop types them in the same way", async () => {
    withKeyOf("bob");
    shop.env["DP_MUX"] = "0";
    expect(await shop.dp("status")).toContain(`live       ${await box.live("shop")}`);
    await expect(shop.dp("destroy", "--yes")).rejects.toThrow("dp: bob may not destroy shop");
    await expect(shop.dp("env", "set", "A=it's")).rejects.toThrow("dp: bob may not env shop");
  });

  test.each([
    ["bob", "env shop list --reveal", 8, "dp: bob may not env shop"],
    ["bob", "run shop -- id", 8, "dp: bob may not run shop"],
    ["ann", "destroy shop --yes", 8, "dp: ann may not destroy shop"],
    ["ann", "keys allow ann blog --role operate", 8, "dp: ann may not keys"],
    ["ann", "env shop import /etc/shadow", 8, "dp: ann may not use env in that way"],
    ["ann", "logs blog", 2, 'dp: there is no app "blog" for this key'],
    ["ann", "logs nope", 2, 'dp: there is no app "nope" for this key'],
    ["ann", "git-upload-pack /var/repos/../../etc", 2, 'there is no app "/var/repos/../../etc" for this key'],
    ["ann", "git-receive-pack --help", 2, 'there is no app "--help" for this key'],
    ["ann", "git upload-archive shop", 2, "is no command of dp"],
    ["ann", "bash", 2, '"bash" is no command of dp, and there is no shell here'],
    ["ann", "scp -t /tmp", 2, "is no command of dp"],
    ["ann", "/bin/sh -c id", 2, "is no command of dp"],
    ["ann", "status shop; id", 2, "the line is refused"],
    ["ann", "status shop && id", 2, "the line is refused"],
    ["ann", "status shop\nid", 2, "the line is refused"],
    ["ann", "status $(id)", 2, "the line is refused"],
  ])("%s: %s is refused", async (name, line, code, words) => {
    const before = (await audited()).length;
    const answer = await as(name, line);
    expect([answer.code, answer.text]).toEqual([code, expect.stringContaining(words)]);
    expect(answer.text).not.toMatch(/uid=|root:/);
    expect((await audited()).slice(before)).toEqual([
      expect.objectContaining({ by: `${name}@127.0.0.1`, key: await printOf(name), result: "refused", code }),
    ]);
  });

  test("there are no files, tunnels, terminals and variables", async () => {
    const sftp = await as("ann", "sftp", "-s");
    expect([sftp.code, sftp.stdout]).toEqual([2, ""]);
    const tunnel = await exec([...argvOf("ann", "-W", `127.0.0.1:${port}`)], { stdin: "GET / HTTP/1.0\r\n\r\n" });
    expect([tunnel.code === 0, tunnel.stdout]).toEqual([false, ""]);
    const back = await exec(argvOf("ann", "-N", "-oExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"), {
      timeout: 20_000,
    });
    expect([back.code, back.text]).toEqual([255, expect.stringContaining("forwarding failed")]);
    const terminal = await as("bob", "status shop", "-tt");
    expect(terminal.text).toContain("PTY allocation request failed");
    shop.env["DP_ROOT"] = "/tmp/elsewhere";
    expect((await there([...argvOf("bob", "-oSendEnv=DP_ROOT"), "status shop"])).text).toContain("live  ");
    delete shop.env["DP_ROOT"];
  });

  test("values of settings are in no log and no list of processes", async () => {
    const watching = watchArguments(SECRET);
    const set = await as("ann", `env shop set 'TOKEN=${SECRET} '\\''x'\\'' $HOME' --no-restart`);
    expect([set.code, set.stdout]).toEqual([0, expect.stringContaining("set TOKEN in")]);
    expect((await as("ann", "env get shop TOKEN")).stdout).toBe(`${SECRET} 'x' $HOME\n`);
    const piped = await exec([...argvOf("ann"), "env shop import --no-restart"], {
      stdin: `OTHER=${SECRET}\n`,
      timeout: 60_000,
    });
    expect(piped.code).toBe(0);
    await as("bob", `env shop set TOKEN=${SECRET}`);
    await as("bob", SECRET);
    // The client's own, on the laptop.
    expect((await watching.stop()).filter((program) => program !== "ssh")).toEqual([]);
    expect(await box.must("journalctl --no-pager -o cat _COMM=sudo | grep COMMAND= | tail -n 1")).toMatch(
      /COMMAND=\/usr\/local\/lib\/dp\/gate bob SHA256:\S+$/,
    );
    expect(await box.must(`journalctl --no-pager -o export | grep -cF ${SECRET} || :`)).toBe("0");
    expect(
      await box.must(`grep -rlF --exclude-dir=journal -- ${SECRET} /var/log /tmp /run /etc /var/lib/dp || :`),
    ).toBe("");
    expect((await audited()).find(({ what }) => what === "env set")).toMatchObject({
      by: "ann@127.0.0.1",
      detail: "TOKEN",
    });
  });

  test("two keys push at once: one waits for the other", async () => {
    const hold = { ...plainApp("shop", `build: '${PATIENT_BUILD}'\n`) };
    withKeyOf("ann");
    const first = await shop.commit(hold, "by ann");
    const anns = shop.push();
    await box.untilRun(
      "shop",
      "it builds",
      ({ facts, journal }) => facts.sha === first && journal["build"] !== undefined,
    );
    const second = await shop.commit({}, "by bob");
    withKeyOf("bob");
    const bobs = shop.push();
    await until("bob waits", async () =>
      (await box.mustDp("lock", "status", "shop").catch((error) => String(error))).includes("waits"),
    );
    await box.must(`touch ${GO}`);
    expect((await anns).text).toContain("by ann@127.0.0.1 → production");
    expect((await bobs).text).toContain("by bob@127.0.0.1 → production");
    expect(await box.branch("shop")).toBe(second);
    const runs = (await audited()).filter(({ what }) => what === "deploy").slice(-2);
    expect(runs.map(({ by, result }) => [by, result])).toEqual([
      ["ann@127.0.0.1", "ok"],
      ["bob@127.0.0.1", "ok"],
    ]);
  }, 120_000);

  test("the key of another server deploys together with this one, and does nothing else", async () => {
    await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", keyOf("server-a")]);
    expect((await add("server-a", "--app", "shop", "--role", "server")).code).toBe(0);
    for (const line of ["status shop", "env shop", "deploy shop", "run shop -- id"])
      expect(await said("server-a", line)).toEqual([
        8,
        expect.stringMatching(
          new RegExp(
            `^dp: server-a may not ${line.split(" ")[0]} shop: that needs the role \\w+, and server-a has server$`,
          ),
        ),
      ]);
    const hello = JSON.parse((await as("server-a", "peer hello shop")).stdout) as { next: number; live: string };
    expect(hello.live).toBe(await box.live("shop"));
    const sha = await shop.commit({ greeting: "from another server" }, "from another server");
    const pack = Bun.spawn(["git", "pack-objects", "--revs", "--stdout", "--quiet"], {
      cwd: shop.dir,
      stdin: new Blob([`${sha}\n`]),
    });
    const sent = { stdin: await pack.stdout.blob(), timeout: 60_000 };
    expect((await exec([...argvOf("server-a"), `peer commit shop ${sha}`], sent)).text).not.toContain("dp:");
    const id = `${hello.next}-${sha.slice(0, 7)}`;
    const run = { v: 1, id, kind: "deploy", sha, subject: "from another server", by: "ann", roles: {} };
    const order = { ...run, name: "b", lead: "a", to: null, reason: "", changes: null, withEnv: false };
    const line = Bun.spawn([...argvOf("server-a"), "peer run shop"], { stdin: "pipe", stdout: "pipe" });
    const say = (word: string) => {
      line.stdin.write(`${word}\n`);
      void line.stdin.flush();
    };
    say(JSON.stringify(order));
    let told = "";
    for await (const chunk of line.stdout) {
      const before = told;
      told += Buffer.from(chunk).toString();
      for (const [stage, word] of [
        ["ready", "swap"],
        ["proven", "keep"],
      ] as const)
        if (told.includes(`"is":"${stage}"`) && !before.includes(`"is":"${stage}"`)) say(word);
    }
    expect([await line.exited, told.split("\n").at(-2)]).toEqual([0, expect.stringContaining('"is":"ended","code":0')]);
    expect(await box.live("shop")).toBe(id);
    expect(await box.branch("shop")).toBe(sha);
    await box.mustDp("keys", "remove", "server-a");
  }, 120_000);

  test("when many log in at once, sshd may cut some off, and all others are answered", async () => {
    const answers = await Promise.all(Array.from({ length: 24 }, () => as("ann", "status --json")));
    const served = answers.filter(({ code }) => code !== 255);
    expect(served.length).toBeGreaterThan(0);
    for (const { code, stdout } of served) expect([code, typeof JSON.parse(stdout)]).toEqual([0, "object"]);
    expect((await as("ann", "status")).code).toBe(0);
  });

  test("a reader that goes away without a word leaves nothing on the server", async () => {
    const follow = Bun.spawn([...argvOf("bob"), "logs shop -f -n 1"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    await follow.stdout.getReader().read();
    const left = () => box.must("pgrep -fc 'dp gate bo[b]' || :");
    expect(await left()).not.toBe("0");
    follow.kill("SIGKILL");
    await follow.exited;
    await until("what it followed with has ended", async () => (await left()) === "0");
  });

  test("a key that is removed ends its sessions, and no deploy", async () => {
    await box.must(`rm ${GO}`);
    const sha = await shop.commit({}, "the last one of bob");
    const push = there(shop.pushArgv());
    await box.untilRun(
      "shop",
      "it builds",
      ({ facts, journal }) => facts.sha === sha && journal["build"] !== undefined,
    );
    const follow = as("bob", "logs shop -f");
    await until("it follows", async () => (await box.must("pgrep -fc 'dp gate bo[b]' || :")) >= "2");
    const stubborn = as("ann", `run shop -- sh -c 'trap "" TERM HUP; while :; do sleep 1; done'`);
    await until("it runs", async () => (await box.must("pgrep -fc 'trap.*TERM HU[P]' || :")) !== "0");
    const gone = await box.mustDp("keys", "remove", "bob");
    expect(gone).toMatch(/^removed SHA256:\S+ of bob; 2 of its sessions ended$/);
    expect((await follow).stdout).toContain("web[");
    expect((await push).code).not.toBe(0);
    expect((await box.newestRun("shop"))?.result).toBeUndefined();
    await box.must(`touch ${GO}`);
    await box.untilRun("shop", "the deploy ends", ({ facts, result }) => facts.sha === sha && result?.state === "good");
    await until("the branch follows", async () => (await box.branch("shop")) === sha);
    expect((await as("bob", "status")).code).toBe(255);
    expect((await box.ssh(["su", "dp", "-c", `bob ${await printOf("bob")}`])).text).toContain(
      "this key is not let in any more",
    );
    // Less than before ends what is under way, too, however much it resists.
    expect(await box.mustDp("keys", "allow", "ann", "shop", "--role", "view")).toBe("ann: view on shop");
    expect((await stubborn).code).not.toBe(0);
    expect(await box.must("pgrep -fc 'trap.*TERM HU[P]' || :")).toBe("0");
    expect(await said("ann", "run shop -- id")).toEqual([
      8,
      needs("ann may not run shop: that needs the role operate, and ann has view", "ann shop --role operate"),
    ]);
    await box.mustDp("keys", "allow", "ann", "shop", "--role", "operate");
  }, 120_000);

  test("with keys.json damaged nobody is let in, and root goes on", async () => {
    const text = await box.read("/var/lib/dp/keys.json");
    await box.write("/var/lib/dp/keys.json", text.slice(0, -20), 0o600);
    const answer = await as("ann", "status");
    expect([answer.code, answer.text]).toEqual([8, expect.stringContaining("is damaged, so no key is let in")]);
    expect((await box.dp("keys")).code).toBe(8);
    expect((await box.dp("status", "shop")).code).toBe(0);
    const doctor = await box.dp("doctor");
    expect([doctor.code, doctor.text]).toEqual([7, expect.stringContaining("keys.json is damaged")]);
    await shop.git("remote", "set-url", "production", box.gitUrl("/var/repos/shop.git"));
    shop.env["GIT_SSH_COMMAND"] = box.gitSsh;
    await shop.commit({}, "by root");
    expect((await shop.push()).text).toContain("by root@127.0.0.1 → production");
    await box.write("/var/lib/dp/keys.json", text, 0o600);
    expect((await as("ann", "status")).code).toBe(0);
  }, 60_000);

  interface Drift {
    what: string;
    damage: string;
    words: RegExp;
    /** Null: dp doctor --fix mends it. */
    mend: string | null;
  }
  const drifts: Drift[] = [
    {
      what: "authorized_keys edited",
      damage: `echo '# x' >> ${HOME}/.ssh/authorized_keys`,
      words: /edited it by hand/,
      mend: null,
    },
    { what: "a mode", damage: `chmod 777 ${HOME}/.ssh`, words: /has mode 777, not 755/, mend: null },
    {
      what: "an owner",
      damage: "chown dp /usr/local/lib/dp/gate",
      words: /gate belongs to uid \d+, not to root/,
      mend: null,
    },
    {
      what: "another gate",
      damage: "echo id >> /usr/local/lib/dp/login",
      words: /login is not as dp writes it/,
      mend: null,
    },
    { what: "a password", damage: "usermod -p '$6$x$y' dp", words: /another password field/, mend: null },
    { what: "sudoers missing", damage: "rm /etc/sudoers.d/dp", words: /sudoers.d\/dp is missing/, mend: null },
    {
      what: "a shell",
      damage: "usermod -s /bin/bash dp",
      words: /the shell \/bin\/bash/,
      mend: "usermod -s /usr/local/lib/dp/login dp",
    },
    {
      what: "a home that dp owns",
      damage: `chown dp ${HOME}`,
      words: /who could let in any key/,
      mend: `chown root ${HOME}`,
    },
    {
      what: "another process",
      damage: "systemd-run -q --unit=foreign -p User=dp /bin/sleep 600",
      words: /sleep, runs as dp/,
      mend: "systemctl stop foreign",
    },
    {
      what: "a name that is no host's",
      damage: "cp /etc/hosts /run/hosts && echo '127.0.0.1 localhost' > /etc/hosts",
      words: /unable to resolve host/,
      mend: "cp /run/hosts /etc/hosts",
    },
    {
      what: "AllowUsers",
      damage: "echo 'AllowUsers root' > /etc/ssh/sshd_config.d/0.conf",
      words: /AllowUsers root leaves dp out\n.*AllowUsers root dp/,
      mend: "rm /etc/ssh/sshd_config.d/0.conf",
    },
  ];
  test("dp doctor says what has been changed, and mends what is dp's", async () => {
    const findings = async (fix: boolean) => (await box.dp("doctor", ...(fix ? ["--fix"] : []))).text;
    expect(await findings(false)).not.toContain("keys:");
    await box.must(drifts.map(({ damage }) => damage).join("\n"));
    const found = await findings(false);
    for (const { words } of drifts) expect(found).toMatch(words);
    const refused = await box.ssh("dp keys add ann", { stdin: pubOf("ann") });
    expect([refused.code, refused.text]).toEqual([8, expect.stringContaining("it is not the one that dp makes")]);
    await box.must(drifts.flatMap(({ mend }) => mend ?? []).join("\n"));
    expect(await findings(true)).not.toMatch(/(?:error|warning) +keys:/);
    expect(await findings(false)).not.toContain("keys:");
    expect((await as("ann", "status")).code).toBe(0);
  }, 60_000);

  test("settings of sshd: AllowUsers is said, and without PAM keys work as well", async () => {
    const conf = "/etc/ssh/sshd_config.d/0.conf";
    await box.must(`echo 'AllowUsers root' > ${conf} && systemctl reload ssh`);
    const said = await add("ann");
    expect([said.code, said.stderr]).toEqual([0, expect.stringContaining("AllowUsers root leaves dp out")]);
    expect(said.stderr).toContain("AllowUsers root dp");
    await until("sshd has read it", async () => (await as("ann", "status")).code === 255);
    const fresh = await box.dp("keys", "new", "ci", "--app", "shop", "--role", "push");
    expect([fresh.code, fresh.text]).toEqual([8, expect.stringContaining("sshd does not let the new key in")]);
    expect(fresh.text).not.toContain("PRIVATE KEY");
    expect(await box.mustDp("keys")).not.toContain("ci");
    await box.must(`echo 'UsePAM no' > ${conf} && systemctl reload ssh`);
    await until("sshd has read it", async () => (await as("ann", "status")).code === 0);
    expect(await box.must("sshd -T | grep usepam")).toBe("usepam no");
    await box.must(`rm ${conf} && systemctl reload ssh`);
  }, 60_000);

  test("a new key for a CI is proved, shown once, and not on the disk", async () => {
    await box.must("touch /run/before");
    await until("it is let in", async () => (await as("ann", "status")).code === 0);
    const made = await box.dp("keys", "new", "ci", "--app", "shop", "--role", "push");
    expect([made.code, made.stderr]).toEqual([0, expect.stringContaining("proved: ci logs in and may push to shop")]);
    const [, key = "", known = ""] =
      /^(-----BEGIN[^]*-----END OPENSSH PRIVATE KEY-----\n)([^]*)$/.exec(made.stdout) ?? [];
    const line = key.split("\n")[3]!;
    expect(line).toHaveLength(70);
    expect(await box.must(`find / -xdev -newer /run/before -type f -exec grep -lF -- ${line} {} + || :`)).toBe("");
    expect(await box.must(`ls /run /tmp /dev/shm | grep -i key || :`)).toBe("");
    writeFileSync(keyOf("ci"), key, { mode: 0o600 });
    writeFileSync(join(box.dir, "known"), known);
    const strict = ["ssh", "-F", "/dev/null", "-i", keyOf("ci"), "-p", `${box.port}`, "-oIdentitiesOnly=yes"];
    shop.env["GIT_SSH_COMMAND"] = [
      ...strict,
      "-oStrictHostKeyChecking=yes",
      `-oUserKnownHostsFile=${box.dir}/known`,
    ].join(" ");
    await shop.git("remote", "set-url", "production", box.gitUrl("/shop.git", "dp"));
    await shop.commit({}, "by a CI");
    expect((await shop.push()).text).toContain("by ci@127.0.0.1 → production");
  }, 60_000);

  test("without sudo there are no keys", async () => {
    await box.must("mv /usr/bin/sudo /usr/bin/sudo.away");
    const { code, text } = await add("bob", "--app", "shop", "--role", "push");
    await box.must("mv /usr/bin/sudo.away /usr/bin/sudo");
    expect([code, text]).toEqual([8, expect.stringContaining("→ apt-get install sudo")]);
  });

  test("an app that is destroyed is nobody's any more", async () => {
    await box.mustDp("keys", "allow", "ann", "blog", "--role", "push");
    expect(await box.mustDp("destroy", "blog", "--yes")).toContain("took blog from the keys of ann");
    await box.mustDp("setup", "blog", "--port", `${await freePort()}`);
    expect(await said("ann", "status blog")).toEqual([2, 'dp: there is no app "blog" for this key']);
    expect(await box.mustDp("keys", "deny", "ann", "shop")).toContain("ann has no app left: dp keys remove ann");
    expect(await said("ann", "")).toEqual([0, "dp: hello ann: no shell here; no app yet"]);
  });
});
