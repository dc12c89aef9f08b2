// Node apps on a real server: pushed over ssh, run by systemd in its sandbox, failing in every way, and through a reboot.
// The tests of a describe build on each other, in this order, on one server.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "../fronts/relay/support/load.ts";
import { boxUnavailable, freePort } from "../support/box.ts";
import { nodeFolder } from "../support/node-folder.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

setDefaultTimeout(240_000);
const why = boxUnavailable();

describe.skipIf(why !== null)(`node apps on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  const laptops: Laptop[] = [];

  beforeAll(async () => {
    box = await startServer("node");
    await box.copyIn(await nodeFolder(), "/usr/local");
  });
  afterAll(async () => {
    for (const laptop of laptops) laptop.remove();
    await box?.stop();
  });

  async function open(app: string): Promise<{ laptop: Laptop; port: number }> {
    const port = await freePort();
    await box.mustDp("setup", app, "--port", String(port));
    await box.hurry(app);
    // Where registries need a certificate, the server's own programs know it, and the app's must be told.
    const authority = "/etc/ssl/certs/ca-certificates.crt";
    await box.must(`echo NODE_EXTRA_CA_CERTS=${authority} >> /opt/deployments/${app}/.env.production`);
    const laptop = await openLaptop(box, app);
    laptops.push(laptop);
    await laptop.dp("init", "--example", app, "--name", app);
    return { laptop, port };
  }
  const change = (laptop: Laptop, file: string, from: string, to: string) => {
    const text = readFileSync(join(laptop.dir, file), "utf8");
    expect(text).toContain(from);
    return laptop.commit({ [file]: text.replaceAll(from, to) });
  };

  describe("express", () => {
    let laptop: Laptop;
    let port = 0;
    let first = "";
    let second = "";
    const expectLive = async (id: string) => {
      expect([await box.live("express"), await box.instances("express")]).toEqual([id, [id]]);
      expect(await box.get(port)).toContain(id);
    };

    test("is deployed, and runs as its own user, without npm between systemd and it", async () => {
      ({ laptop, port } = await open("express"));
      await laptop.commit({});
      const { text } = await laptop.push();
      expect(text).toContain("installing package-lock.json with npm");
      first = await box.live("express");
      expect(await box.get(port)).toBe(`Hello from ${first}`);
      const pid = await box.must(["systemctl", "show", "-P", "MainPID", `express@${first}`]);
      expect(await box.must(["ps", "-o", "user:16=,args=", "-p", pid])).toMatch(/^dp-express +node server\.js$/);
      expect(
        await box.must(`tr '\\0' '\\n' </proc/${pid}/environ | grep -E '^(NODE_ENV|npm_package_name)=' | sort`),
      ).toBe("NODE_ENV=production\nnpm_package_name=app");
    });

    test("what was installed, and what is kept of it, is root's", async () => {
      const base = "/opt/deployments/express";
      expect(await box.must(`stat -c '%U %a' ${base}/node ${base}/node/*.tar`)).toBe("root 750\nroot 600");
      expect(await box.must(`stat -c '%U %G' ${base}/current/node_modules/express`)).toBe("root dp-express");
    });

    test("the next push installs nothing, and loses no request", async () => {
      await change(laptop, "server.js", "Hello from", "Welcome to");
      const running = load({ port, rate: 80, keepAlive: 4, fresh: 2 });
      try {
        expect((await laptop.push()).text).toContain("dependencies unchanged");
      } finally {
        const { failures, requests } = await running.stop();
        expect(failures).toEqual([]);
        expect(requests).toBeGreaterThan(20);
      }
      second = await box.live("express");
      expect(await box.get(port)).toBe(`Welcome to ${second}`);
      await expectLive(second);
    });

    const refuse = async (files: Record<string, string>, words: RegExp) => {
      await laptop.commit(files);
      const { text } = await laptop.failingPush();
      expect(text).toMatch(words);
      await laptop.git("reset", "--quiet", "--hard", "HEAD~1");
      await expectLive(second);
    };
    const json = (more: Record<string, unknown>) => {
      const old = JSON.parse(readFileSync(join(laptop.dir, "package.json"), "utf8")) as Record<string, unknown>;
      return { "package.json": JSON.stringify({ ...old, ...more }) };
    };

    test("a lock behind package.json, a failing build, a crash and an unhealthy release: the old one serves", async () => {
      await refuse(json({ dependencies: { express: "4.0.0" } }), /npm install, commit package-lock\.json, push/);
      await refuse(
        json({ scripts: { build: "echo no; exit 4", start: "node server.js" } }),
        /FAILED at build: .*exited with code 4/,
      );
      await refuse({ "server.js": 'throw new Error("boom at boot");\n' }, /boom at boot/);
      const sick = readFileSync(join(laptop.dir, "server.js"), "utf8").replace('"ok\\n"', "undefined.x");
      const hasty = readFileSync(join(laptop.dir, "deploy.yml"), "utf8").replace(
        "/health",
        "{path: /health, startTimeout: 2s}",
      );
      await refuse({ "server.js": sick, "deploy.yml": hasty }, /FAILED at check: .*500/);
      await refuse(json({ engines: { node: ">=99" } }), /wants node >=99 .* this server has .*22\.23\.3/);
    });

    test("goes back and comes up after a reboot without any registry", async () => {
      await box.must("echo 'npm_config_registry=http://127.0.0.1:9/' >> /opt/deployments/express/.env.production");
      await box.mustDp("rollback", "express");
      await expectLive(first);
      await box.reboot();
      await expectLive(first);
    });
  });

  test("an app of Bun is installed and run by the Bun that dp has, as its own user", async () => {
    const { laptop, port } = await open("bun");
    await laptop.commit({});
    expect((await laptop.push()).text).toContain("installing bun.lock with bun");
    const id = await box.live("bun");
    expect(await box.get(port)).toBe(`Hello from ${id}`);
    const pid = await box.must(["systemctl", "show", "-P", "MainPID", `bun@${id}`]);
    expect(await box.must(["ps", "-o", "user:16=,args=", "-p", pid])).toMatch(/^dp-bun +bun server\.ts$/);
    await change(laptop, "server.ts", "Hello from", "Welcome to");
    expect((await laptop.push()).text).toContain("dependencies unchanged");
    expect(await box.get(port)).toBe(`Welcome to ${await box.live("bun")}`);
  });

  test("a worker's jobs outlive its releases", async () => {
    const { laptop, port } = await open("worker");
    await laptop.commit({});
    await laptop.push();
    const post = (name: string) => {
      const data = JSON.stringify({ name: "greet", data: { name } });
      return box.must(["curl", "-sSf", "--data", data, `http://127.0.0.1:${port}/jobs`]);
    };
    const untilWorked = (name: string) =>
      box.must(
        `timeout 30 sh -c 'until journalctl -o cat -u "worker@*.worker.1.service" 2>/dev/null | grep -qx "hello ${name}"; do sleep 0.1; done'`,
      );
    await post("One");
    await untilWorked("One");
    // One that waits when its release goes, put there as by a worker that died; it is worked by the next release.
    const queue = "/opt/deployments/worker/shared/queue";
    const job = '{"name":"greet","data":{"name":"Two"}}';
    await box.must(`cd ${queue}/working && echo '${job}' >2.json && chown dp-worker: 2.json && touch -d -1hour 2.json`);
    await change(laptop, "web.js", "POST /jobs, GET", "POST /jobs or GET");
    await laptop.push();
    await box.must(`cd ${queue} && timeout 30 sh -c 'while find . -name "*.json" | grep -q .; do sleep 0.1; done'`);
    await post("Three");
    await untilWorked("Three");
  });

  test("a node that the server lacks comes by one command, and the app runs on it in its sandbox", async () => {
    const port = await freePort();
    await box.mustDp("setup", "old", "--port", String(port));
    await box.hurry("old");
    const laptop = await openLaptop(box, "old");
    laptops.push(laptop);
    const listen = 'listen(process.env.PORT, "127.0.0.1")';
    await laptop.commit({
      "deploy.yml": "name: old\ntype: node\nhealthCheck: /\n",
      "server.js": `require("http").createServer((_, answer) => answer.end(process.version)).${listen};\n`,
      ".nvmrc": "20\n",
    });
    expect((await laptop.failingPush()).text).toContain("dp runtimes install node 20, or change .nvmrc");
    await box.mustDp("runtimes", "install", "node", "20");
    await laptop.push();
    expect(await box.get(port)).toStartWith("v20.");
    const pid = await box.must(["systemctl", "show", "-P", "MainPID", `old@${await box.live("old")}`]);
    const program = await box.must(["readlink", `/proc/${pid}/exe`]);
    expect(program).toMatch(/^\/opt\/dp-runtimes\/node\/20\.[\d.]+\/bin\/node$/);
    expect(await box.must(["stat", "-c", "%U %a", program])).toBe("root 755");
    // npm of /usr/local has no settings of its own, and the server has some: also for the npm that came.
    expect(await box.must(["readlink", program.replace(/bin\/node$/, "etc/npmrc")])).toBe("/etc/npmrc");
    expect(await box.mustDp("runtimes")).toMatch(new RegExp(`^node +20\\.\\S+ +${program} +old$`, "m"));
  });
});
