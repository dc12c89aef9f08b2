// dp launch, typed on a laptop: from a server with nothing but sshd to live apps, again, and as an upgrade under load.
// The tests build on each other, on one server.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { missing, startAcme } from "../support/acme.ts";
import { load } from "../fronts/relay/support/load.ts";
import { startBareBox, type } from "../support/bare-box.ts";
import { type Box, boxUnavailable, freePort, until } from "../support/box.ts";
import { tested } from "../support/installed.ts";
import { plainApp } from "../support/server-apps.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";
import { flaskApp, gentle } from "../support/server-web.ts";

const why = boxUnavailable();
const { version } = (await Bun.file(`${import.meta.dir}/../../package.json`).json()) as { version: string };

describe.skipIf(why !== null)(`dp launch${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Box;
  let shop: Laptop;
  let blog: Laptop;
  let [port, blogPort] = [0, 0];

  beforeAll(async () => {
    box = await startBareBox("launch");
    [port, blogPort] = [await freePort(), await freePort()];
    [shop, blog] = [await openLaptop(box, "shop"), await openLaptop(box, "blog")];
    for (const laptop of [shop, blog]) await laptop.git("remote", "remove", "production");
  }, 240_000);
  afterAll(async () => {
    shop?.remove();
    blog?.remove();
    await box?.stop();
  });

  const at = (user: string) => `${user}@127.0.0.1:${box.port}`;
  const launch = (laptop: Laptop, ...words: string[]) => type(laptop, ["launch", ...words]);
  /** Everything that a launch could change on the server, in one line; a lock that was only taken is no change. */
  const state = () =>
    box.must(
      "{ find /opt /etc/systemd/system /var/repos /usr/local /var/lib/dpkg/status /etc/passwd ! -name '*.lock' -printf '%p %T@ %s %l\\n' 2>/dev/null | sort; } | sha256sum",
    );
  const unchanged = async (what: () => Promise<void>) => {
    const before = await state();
    await what();
    expect(await state()).toBe(before);
  };

  test("a folder that cannot be launched, and a server that is none, are named before anything is done", async () => {
    await unchanged(async () => {
      const refusals: [number, RegExp][] = [];
      const refused = async (code: number, text: RegExp, ...words: string[]) => {
        const answer = await launch(shop, ...words);
        expect([answer.code, answer.text]).toEqual([code, expect.stringMatching(text)]);
        refusals.push([code, text]);
      };
      await refused(2, /no commit yet\n.*dp init/, at("root"));
      await shop.commit({ "app.py": "" });
      await refused(2, /the last commit has no deploy\.yml\n.*dp init/, at("root"));
      await shop.commit({ "deploy.yml": "name: shop\ntype: pyhton\nhealthCheck: /\n" });
      await refused(3, /pyhton/, at("root"));
      await shop.commit(flaskApp("shop"), "first");
      await Bun.write(`${shop.dir}/deploy.yml`, "name: shop\n");
      await refused(2, /deploy\.yml is not in the last commit as it is here/, at("root"));
      await shop.git("checkout", "-q", "deploy.yml");
      await refused(2, /"shop" is not a domain such as shop\.example\.com/, at("root"), "--domain", "shop");
      for (const name of ["root@-oProxyCommand=x", "a b", "root@host:0", "root@", "ro\not@host", "host:99999"])
        await refused(2, /is not the name of a server/, name);
      await refused(2, /-oProxyCommand/, "-oProxyCommand=touch x");
      expect(refusals).toHaveLength(12);
    });
  });

  test("a server that does not answer, a login without root, a full disk: exit code 8, and nothing half made", async () => {
    await box.must("useradd -m -s /bin/sh ann");
    await box.must("mount -t tmpfs -o size=60m tmpfs /opt");
    await unchanged(async () => {
      const env = {
        ...shop.env,
        GIT_SSH_COMMAND: `${box.gitSsh} -p ${await freePort()}`.replace(`-p ${box.port} `, ""),
      };
      const away = await type({ dir: shop.dir, env }, ["launch", "root@127.0.0.1"]);
      expect(away).toMatchObject({ code: 8, text: expect.stringMatching(/was not reached[^]*Connection refused/) });
      expect(await launch(shop, at("ann"))).toMatchObject({
        code: 8,
        text: expect.stringMatching(/ann is not root on 127\.0\.0\.1[^]*dp launch root@127\.0\.0\.1.*NOPASSWD/),
      });
      expect(await launch(shop, at("root"))).toMatchObject({
        code: 8,
        text: expect.stringMatching(/has \d+ MB free, and dp needs 500 MB/),
      });
    });
    await box.must("umount /opt");
    expect(await box.must("ls -A /opt")).toBe("");
  });

  test("--dry-run prints every command, and changes nothing here or there", async () => {
    await unchanged(async () => {
      const { code, stdout } = await launch(
        shop,
        at("root"),
        "--dry-run",
        "--port",
        `${port}`,
        "--domain",
        "shop.test",
      );
      expect(code).toBe(0);
      expect(stdout).toContain("dp 'domains' 'shop' 'add' 'shop.test'");
      for (const words of ["apt-get install", "'git' 'python3-venv'", "tar -c -z", "install.sh", "dp 'setup' 'shop'"])
        expect(stdout).toContain(words);
      expect(stdout).toContain(`$ git remote add -- production ${box.gitUrl("/var/repos/shop.git")}`);
      expect(stdout).toContain("$ git push production HEAD:main");
    });
    expect(await shop.git("remote")).toBe("");
  });

  // apt's lock is one of fcntl, and a fresh Debian has perl to hold it.
  const HOLD = `use Fcntl; $| = 1; open(F, ">", "/var/lib/dpkg/lock-frontend"); my $l = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die; print "held\\n"; sleep 1 while -e "/run/hold";`;

  test("a fresh server: it waits for apt's lock, sends itself, and the Flask app is live", async () => {
    await Bun.write(`${shop.dir}/../settings`, 'GREETING=it\'s "a $HOME *"\n');
    await box.must("touch /run/hold");
    await box.must(["sh", "-c", 'setsid perl -e "$1" >/run/held 2>&1 </dev/null &', "sh", HOLD]);
    await until("the lock is held", async () => (await box.ssh("grep held /run/held")).code === 0);
    const words = [at("root"), "--port", `${port}`, "--env-file", `${shop.dir}/../settings`];
    const launched = launch(shop, ...words);
    await until("apt waits", async () => (await box.ssh("pgrep -f 'apt-get install'")).code === 0);
    await box.must("rm /run/hold");
    const { code, text, ms } = await launched;
    expect([code, text]).toEqual([0, expect.stringContaining(`live: shop 1-`)]);
    expect(text).toMatch(/^reach {5}Debian .* root; .* memory, .* disk free$/m);
    expect(text).toMatch(/^packages {2}installed git, python3-venv/m);
    expect(text).toMatch(new RegExp(`^dp {8}sent ${version} and its Bun, installed in /opt/dp`, "m"));
    expect(text).toContain(`setup     shop, at http://127.0.0.1:${port}`);
    expect(text).toMatch(/^settings {2}set GREETING/m);
    expect(text).toContain(`next: dp logs -f`);
    expect(text).toContain("without a name, open its port to all: dp setup --host 0.0.0.0\n");
    expect(text).not.toContain("deploys from this branch");
    expect(await shop.git("remote", "get-url", "production")).toBe(box.gitUrl("/var/repos/shop.git"));
    expect(await box.must("dp env shop get GREETING")).toBe(`it's "a $HOME *"`);
    expect(await box.must("ls -A /opt/dp.d | grep sent")).toBe(".sent.lock");
    expect((await type(shop, ["status"])).text).toContain("shop");
    const seconds = /^packages .* (\d+\.\d) s$/m.exec(text)?.[1];
    console.log(`dp launch: ${(ms / 1000).toFixed(1)} s from nothing to live, ${seconds} s of them apt's`);
  }, 400_000);

  test("a second time changes nothing", async () => {
    await unchanged(async () => {
      const { code, text } = await launch(shop, at("root"));
      expect([code, text]).toEqual([0, expect.stringContaining("is this commit already")]);
      expect(text).toMatch(/^packages {2}all there$/m);
      expect(text).toContain(`dp        ${version} is there`);
      expect(text).toContain(`setup     shop is set up, at http://127.0.0.1:${port}`);
      expect(text).toContain("as before");
      expect(text).toContain("live: shop 1-");
    });
  });

  test("a second app reuses the server; a remote that leads elsewhere stays as it is", async () => {
    await blog.commit(plainApp("blog"), "first");
    await blog.git("remote", "add", "production", "git@127.0.0.1:me/blog.git");
    const words = [at("root"), "--port", `${blogPort}`];
    await unchanged(async () => {
      expect(await launch(blog, ...words)).toMatchObject({
        code: 2,
        text: expect.stringMatching(/the remote production of this folder leads to git@127[^]*--remote NAME/),
      });
    });
    expect(await blog.git("remote", "get-url", "production")).toBe("git@127.0.0.1:me/blog.git");
    const { code, text } = await launch(blog, ...words, "--remote", "live");
    expect([code, text]).toEqual([0, expect.stringMatching(/live: blog 1-\w{7} at /)]);
    expect(text).toMatch(/^packages {2}all there$/m);
    expect(text).toContain(`${version} is there`);
  }, 120_000);

  test.skipIf(missing.length > 0)(
    "with --domain its name has a certificate; one that does not lead to the server waits there",
    async () => {
      const acme = await startAcme();
      try {
        await box.copyIn(acme.ca, "/etc/ssl/acme.pem");
        const settings = acme.settings.replace(acme.ca, "/etc/ssl/acme.pem");
        await box.must(["sh", "-c", 'mkdir -p /etc/dp && printf %s "$1" > /etc/dp/tls.yml', "sh", settings]);
        await acme.dns("add-a", { host: "away.test", addresses: ["127.0.0.9"] });
        const words = [at("root"), "--remote", "live", "--domain"];
        const { code, text } = await launch(blog, ...words, "blog.test");
        expect([code, text]).toEqual([0, expect.stringMatching(/^packages {2}installed lego/m)]);
        expect(await box.must("dpkg -S /usr/bin/lego")).toBe("lego: /usr/bin/lego");
        expect(text).toMatch(/^domain {4}blog\.test, certificate of Pebble.*, until \d{4}-/m);
        expect(text).toMatch(/^live: blog 1-\w{7} at https:\/\/blog\.test /m);
        const init = { tls: { ca: await Bun.file(acme.root).text(), serverName: "blog.test" } } as RequestInit;
        const answer = await fetch(`https://127.0.0.1:${acme.https}/`, { ...init, headers: { Host: "blog.test" } });
        expect(answer.status).toBe(200);
        expect((await launch(blog, ...words, "blog.test")).text).toMatch(/^domain {4}blog\.test is there, /m);
        const away = await launch(blog, ...words, "away.test");
        expect([away.code, away.text]).toEqual([0, expect.stringContaining("away.test is kept, and has no new cert")]);
        expect(away.text).toContain("away.test leads to 127.0.0.9 (its A record)");
        expect(await box.must("dp domains blog")).toContain("away.test");
        const taken = await launch(shop, at("root"), "--domain", "blog.test");
        expect([taken.code, taken.text]).toEqual([2, expect.stringContaining('blog.test belongs to the app "blog"')]);
      } finally {
        await box.must("dp domains blog clear");
        await box.must("rm /etc/dp/tls.yml");
        await acme.end();
      }
    },
    120_000,
  );

  test("a push that fails is git's exit code, and the next launch goes on there", async () => {
    await blog.commit({ "app.py": "raise SystemExit(3)\n" }, "broken");
    const failed = await launch(blog, at("root"), "--remote", "live");
    expect(failed).toMatchObject({ code: 1, text: expect.stringContaining("FAILED at check") });
    await blog.commit(plainApp("blog"), "mended");
    expect(await launch(blog, at("root"), "--remote", "live")).toMatchObject({
      code: 0,
      text: expect.stringMatching(/live: blog 3-/),
    });
  }, 120_000);

  test("a login with sudo in place of root gets a key, and a remote that leads to the gate", async () => {
    await box.must("useradd -m -s /bin/sh admin && echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin");
    await blog.commit({ "more.txt": "more" }, "by sudo");
    const words = [at("admin"), "--remote", "mine"];
    const { code, text } = await launch(blog, ...words);
    expect([code, text]).toEqual([0, expect.stringMatching(/live: blog 4-/)]);
    expect(text).toMatch(/^key {7}let admin in: operate on blog/m);
    expect(await blog.git("remote", "get-url", "mine")).toBe(`ssh://dp@127.0.0.1:${box.port}/blog`);
    expect(text).toContain("by admin@127.0.0.1 → production");
    expect(text).toContain("next: dp -r mine logs -f, dp -r mine env set NAME=VALUE;");
    expect((await type(blog, ["-r", "mine", "logs", "-n", "1"])).code).toBe(0);
    await unchanged(async () => {
      const again = await launch(blog, ...words);
      expect([again.code, again.text]).toEqual([0, expect.stringContaining("admin has it: operate on blog")]);
      expect(again.text).toContain("is this commit already");
    });
    expect(await launch(blog, ...words, "--key", box.keyPath)).toMatchObject({
      code: 2,
      text: expect.stringContaining("is a private key"),
    });
  }, 120_000);

  describe("a second person", () => {
    let colleague: Laptop;
    let ssh: string[];
    const typed = async (...words: string[]) => {
      const child = Bun.spawn([...ssh, "dp@127.0.0.1", ...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
      return { code, text: out + err };
    };

    beforeAll(async () => {
      colleague = await openLaptop(box, "shop");
      const key = `${colleague.dir}/../colleague`;
      expect(Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]).exitCode).toBe(0);
      ssh = ["ssh", ...box.sshArgs.map((word) => (word === box.keyPath ? key : word))];
      colleague.env["GIT_SSH_COMMAND"] = ssh.join(" ");
      await colleague.git("remote", "set-url", "production", `ssh://dp@127.0.0.1:${box.port}/shop`);
      await box.must(["dp", "keys", "add", "colleague", "--app", "shop", "--role", "push"], {
        stdin: await Bun.file(`${key}.pub`).text(),
      });
    });
    afterAll(() => colleague?.remove());

    test("fetches, pushes and reads logs, and may do nothing else", async () => {
      await colleague.git("pull", "-q", "production", "main");
      await colleague.commit({ "version.txt": "by a colleague" }, "by a colleague");
      expect((await colleague.push()).text).toMatch(
        /shop 2-\w+ "by a colleague" by colleague@127\.0\.0\.1 → production/,
      );
      expect(await typed("logs", "shop")).toMatchObject({ code: 0, text: expect.stringContaining("gunicorn") });
      const refused: [string[], number, string][] = [
        [["env", "shop"], 8, "colleague may not env shop"],
        [["env", "set", "shop", "A=1"], 8, "colleague may not env"],
        [["destroy", "shop", "--yes"], 8, "colleague may not destroy"],
        [["logs", "blog"], 2, 'there is no app "blog" for this key'],
        [["bash"], 2, "there is no shell here"],
        [["logs", "shop;", "id"], 2, "dp:"],
      ];
      for (const [words, code, text] of refused)
        expect([words, await typed(...words)]).toEqual([words, { code, text: expect.stringContaining(text) }]);
      expect((await typed()).text).toContain("hello colleague: no shell here; shop (push)");
      await colleague.git("remote", "set-url", "production", `ssh://dp@127.0.0.1:${box.port}/blog`);
      await expect(colleague.push()).rejects.toThrow(/there is no app "\/blog" for this key/);
    }, 60_000);

    test("is out at once when the key is removed, in the middle of a session", async () => {
      const following = Bun.spawn([...ssh, "dp@127.0.0.1", "logs", "shop", "-f"], {
        ...{ stdin: "ignore", stdout: "pipe", stderr: "ignore" },
      });
      await following.stdout.getReader().read();
      expect(await box.must("dp keys remove colleague")).toMatch(
        /removed SHA256:.* of colleague; 1 of its sessions ended/,
      );
      await following.exited;
      expect(await typed("status", "shop")).toMatchObject({
        code: 255,
        text: expect.stringContaining("Permission denied"),
      });
    });
  });

  test("the script of the workflow pushes from a shallow checkout, again and again, and to this server alone", async () => {
    await shop.git("pull", "-q", "--rebase", "production", "main");
    await shop.dp("init", "--github");
    await shop.commit({}, "Deploy from GitHub");
    const workflow = Bun.YAML.parse(await Bun.file(`${shop.dir}/.github/workflows/deploy.yml`).text()) as {
      jobs: { deploy: { steps: { run?: string }[] } };
    };
    const script = workflow.jobs.deploy.steps.find(({ run }) => run !== undefined)!.run!;
    const made = JSON.parse(await box.must("dp keys new ci --app shop --role push --json")) as {
      privateKey: string;
      knownHosts: string[];
    };
    const [KEY, HOSTS] = [made.privateKey.trim(), made.knownHosts.join("\n")];
    const job = async (number: number, hosts = HOSTS) => {
      const checkout = `${shop.dir}/../checkout-${number}`;
      await shop.git("clone", "-q", "--depth=1", `file://${shop.dir}`, checkout);
      const env = { PATH: process.env["PATH"]!, HOME: `${shop.dir}/..`, KEY, HOSTS: hosts };
      const child = Bun.spawn(["sh", "-c", script], {
        cwd: checkout,
        env,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
      return { code, text: out + err };
    };
    const other = HOSTS.replaceAll(/AAAA\S+/g, (await Bun.file(`${box.keyPath}.pub`).text()).split(" ")[1]!);
    expect(await job(1, other)).toMatchObject({
      code: 128,
      text: expect.stringContaining("Host key verification failed"),
    });
    expect(await job(2)).toMatchObject({
      code: 0,
      text: expect.stringMatching(/shop 3-.* by ci@127.*\n[^]*live: shop 3-/),
    });
    await shop.commit({ "version.txt": "by the second job" });
    expect(await job(3)).toMatchObject({ code: 0, text: expect.stringContaining("live: shop 4-") });
  }, 120_000);

  test("a node app gets the node that its commit asks for, and finds it there the next time", async () => {
    const api = await openLaptop(box, "api");
    try {
      await api.git("remote", "remove", "production");
      const server = `require("node:http").createServer((_, a) => a.end(process.version)).listen(process.env.PORT, process.env.DP_HOST);`;
      const pkg = JSON.stringify({
        name: "api",
        private: true,
        engines: { node: "22.x" },
        scripts: { start: "node api.js" },
      });
      const deploy = "name: api\ntype: node\nhealthCheck: /\n";
      await api.commit({ "api.js": server, "package.json": pkg, "deploy.yml": deploy }, "first");
      const words = [at("root"), "--port", `${await freePort()}`];
      const { code, text } = await launch(api, ...words);
      expect([code, text]).toEqual([0, expect.stringMatching(/^runtime {3}node 22\.\d+\.\d+ installed for all apps/m)]);
      expect(text).toContain("live: api 1-");
      expect((await launch(api, ...words)).text).toMatch(/^runtime {3}node 22\.\d+\.\d+ is there/m);
    } finally {
      api.remove();
    }
  }, 180_000);

  test("after a rollback it stays, and the line has the command that deploys the commit", async () => {
    const liveIn = (text: string) => /^live: blog (\S+)/m.exec(text)![1]!;
    const words = [at("root"), "--remote", "live"];
    const newest = liveIn((await launch(blog, ...words)).text);
    await box.must("dp rollback blog");
    const { code, text } = await launch(blog, ...words);
    const back = liveIn(text);
    expect(back).not.toBe(newest);
    const line = `push      main is this commit already, but blog ${back} is live: dp -r live deploy blog deploys it\n`;
    expect([code, text]).toEqual([0, expect.stringContaining(line)]);
    expect((await type(blog, ["-r", "live", "deploy", "blog"])).code).toBe(0);
    expect((await launch(blog, ...words)).text).toContain("push      main is this commit already\n");
  }, 120_000);

  test("all of it comes up again with the server", async () => {
    await box.reboot();
    const live = `curl -sSf --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:${port}/health`;
    const answer = Bun.spawn(["sh", "-c", live], { stdout: "pipe", stderr: "ignore" });
    expect(await answer.stdout.text()).toStartWith("4-");
    expect(await launch(shop, at("root"))).toMatchObject({
      code: 0,
      text: expect.stringContaining("is this commit already"),
    });
  }, 120_000);

  describe("an older dp on the server", () => {
    const spoken = async () => /^dp (\S+)/.exec(await box.must("dp --version"))![1];
    const relayPid = () => box.must("systemctl show -P MainPID dp-relay");

    beforeAll(async () => {
      await box.must(
        `cp -r /opt/dp/ /srv/old && rm -rf /srv/old/bundle && sed -i 's/"version": "${version}"/"version": "0.2.9"/' /srv/old/package.json`,
      );
      await box.must("sh /srv/old/install.sh && dp upgrade");
      expect(await spoken()).toBe("0.2.9");
    }, 120_000);

    test("an upgrade whose connection is cut leaves the dp from before, and nothing of what was sent", async () => {
      const pid = await relayPid();
      const child = Bun.spawn(
        [process.execPath, "--no-install", `${import.meta.dir}/../../bin/dp`, "launch", at("root")],
        {
          ...{
            cwd: shop.dir,
            env: { ...shop.env, DP_MUX: "0" },
            detached: true,
            stdio: ["ignore", "ignore", "ignore"],
          },
        },
      );
      await until("dp is on its way", async () => (await box.ssh("ls -d /opt/dp.d/.sent.??????/lib")).code === 0);
      process.kill(-child.pid, "SIGKILL");
      await until("it is tidied up", async () => (await box.ssh("ls -d /opt/dp.d/.sent.??????")).code !== 0);
      expect(await spoken()).toBe("0.2.9");
      expect(await relayPid()).toBe(pid);
    }, 60_000);

    test("is brought up to date under load, for all apps, and no request fails", async () => {
      const pid = await relayPid();
      const running = load({ ...gentle, port });
      try {
        await until("the load runs", () => running.soFar().requests > 40);
        // By the laptop's own installation, if the tests have one: it sends itself as a clone does.
        const { code, text } = await type(shop, ["launch", at("root"), "--yes"], { dp: tested() });
        expect([code, text]).toEqual([0, expect.stringContaining("all apps are brought up to it")]);
        const so = running.soFar().requests;
        await until("the load has gone on", () => running.soFar().requests > so + 40);
      } finally {
        await running.stop();
      }
      const { failed, failures, requests, longestGap } = running.soFar();
      console.log(
        `an upgrade by dp launch: ${failed} of ${requests} requests failed, gap ${Math.round(longestGap)} ms`,
      );
      expect({ failed, failures }).toEqual({ failed: 0, failures: [] });
      expect(await spoken()).toBe(version);
      expect(await relayPid()).not.toBe(pid);
      expect(await box.must(`readlink /proc/${await relayPid()}/exe`)).toStartWith(
        await box.must("readlink -f /opt/dp"),
      );
      for (const app of ["shop", "blog"])
        expect(await box.must(`cat /opt/deployments/${app}/setup.json`)).toContain(version);
    }, 180_000);

    test("a newer dp is left as it is, and that is said", async () => {
      await box.must(
        `sed -i 's/"version": "0.2.9"/"version": "9.0.0"/' /srv/old/package.json && sh /srv/old/install.sh`,
      );
      const { code, text } = await launch(shop, at("root"));
      expect([code, text]).toEqual([0, expect.stringContaining(`9.0.0 is there, newer than this ${version}`)]);
      expect(await spoken()).toBe("9.0.0");
    }, 60_000);
  });
});
