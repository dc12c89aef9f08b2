import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import docker from "../../lib/apps/docker.ts";
import { containerName, imageName } from "../../lib/docker/names.ts";
import type { DpError } from "../../lib/errors.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import type { Instance } from "../../lib/contracts/manager.ts";
import { places } from "../../lib/paths.ts";
import { asUser } from "../../lib/host/process/privilege.ts";
import { wrongPort } from "../../lib/health/wrong-port.ts";
import { baseFolder, engineUnavailable, enter, startEngine, type Engine } from "../support/engine.ts";
import { openCopy } from "../support/open-copy.ts";
import { BASE, build, containersOf, SHARED } from "./containers.ts";
import { managerContract, outputOf, until, workshop } from "./contract.ts";
import type { InstanceStatus } from "../../lib/host/instance.ts";

const io = makeIo(silentLog);
const manager = docker.manager!;
const why = engineUnavailable();
if (why !== null) console.warn(`docker manager: skipped, ${why}`);

let folder: string;
let engine: Engine;
let leave: () => void;

beforeAll(async () => {
  if (why !== null) return;
  folder = mkdtempSync(join(tmpdir(), "dp-docker-"));
  chmodSync(folder, 0o755);
  engine = await startEngine();
  leave = enter(engine, folder);
  await engine.import(BASE, baseFolder(join(folder, "base")));
});

afterAll(async () => {
  if (why !== null) return;
  await engine.stop();
  leave();
  rmSync(folder, { recursive: true });
});

describe.skipIf(why !== null)("the contract", () => managerContract(() => containersOf(engine, folder)));

describe.skipIf(why !== null)("containers", () => {
  const shop = workshop(() => containersOf(engine, folder));
  afterEach(() => shop.clean(), 60_000);

  const inspect = async (instance: Instance, format: string) =>
    JSON.parse(await engine.must("container", "inspect", "--format", `{{json ${format}}}`, containerName(instance)));
  const errorOf = (promise: Promise<unknown>) =>
    promise.then(
      () => null,
      (error: unknown) => error as DpError,
    );
  /** A prepared instance whose image is made by more than the base. */
  const withImage = async (lines: string, command = "", more: Partial<Instance> = {}) => {
    const instance = await shop.instance(command, more);
    await build(engine, folder, instance, `FROM ${BASE}\n${lines}\n`);
    return instance;
  };
  const started = async (instance: Instance) => (await manager.start(instance, io), instance);

  test("are held to few rights and to limits, and reached by loopback alone", async () => {
    const limits = { memory: "64m", cpus: "0.5", pids: 64 };
    const instance = await started(await shop.instance("exec sleep 1000", { operator: { docker: limits } }));
    const host = await inspect(instance, ".HostConfig");
    expect(host).toMatchObject({
      ...{ Privileged: false, CapDrop: ["ALL"], SecurityOpt: ["no-new-privileges"], Init: true },
      ...{ Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20, NanoCpus: 5e8, PidsLimit: 64 },
      LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } },
    });
    const bindings = Object.values(host.PortBindings as Record<string, { HostIp: string; HostPort: string }[]>).flat();
    expect(bindings).toEqual([{ HostIp: "127.0.0.1", HostPort: instance.env["PORT"]! }]);
    const [, main] = (await until("both processes", async () => {
      const pids = await manager.pids(instance);
      return pids.length === 2 && pids;
    })) as number[];
    const status = readFileSync(`/proc/${main}/status`, "utf8");
    expect(status).toContain("NoNewPrivs:\t1\n");
    // chown, dac_override, fowner, kill, setgid, setuid, net_bind_service: not net_raw, mknod, sys_chroot ...
    const capabilities = [0, 1, 3, 5, 6, 7, 10].reduce((sum, bit) => sum + 2 ** bit, 0);
    expect(Number.parseInt(/^CapEff:\t(\w+)$/m.exec(status)![1]!, 16)).toBe(capabilities);
    expect(await manager.published!(instance)).toMatchObject({ ports: [Number(instance.env["PORT"])] });
  });

  test.each(["1-aaaaaaa", "1-aaaaaaa.cron.tick-0a1b2c3d"])(
    "%s, removed while its logs are asked for, has told what was kept of it",
    async (id) => {
      const instance = await started(await shop.instance("echo said; exec sleep 1000", { id }));
      await until("its line", async () => (await outputOf(manager, instance)).includes("said"));
      let isThere = true;
      const late: typeof io = {
        ...io,
        async run(argv, options) {
          if (isThere && argv.includes("logs")) {
            isThere = false;
            await manager.stop(instance, io);
            await manager.forget(instance, io);
          }
          return io.run(argv, options);
        },
      };
      const lines: string[] = [];
      await manager.logs(instance, { lines: 10, follow: false, onLine: (line) => lines.push(line) }, late);
      expect([isThere, lines]).toEqual([false, ["said"]]);
    },
    60_000,
  );

  test("get every variable, also those that docker itself would heed, and none shows in a list of processes", async () => {
    const env = {
      DOCKER_HOST: "tcp://nowhere.invalid:1",
      HTTPS_PROXY: "http://proxy.invalid",
      TZ: "Asia/Tokyo",
      SECRET: "se cret\n2",
    };
    const instance = await shop.instance('env -0 > "$SHARED/env"; exec sleep 1000', { env });
    const seen: string[] = [];
    const watching = {
      ...io,
      run: (argv: readonly string[], options = {}) => (seen.push(argv.join(" ")), io.run(argv, options)),
    };
    await manager.start(instance, watching);
    const file = join(places(instance.app).shared, SHARED, "env");
    const entries = await until("the environment", () => existsSync(file) && readFileSync(file, "utf8").split("\0"));
    for (const [name, value] of Object.entries(env)) expect(entries).toContain(`${name}=${value}`);
    expect(seen.join("\n")).toContain("docker create");
    for (const value of Object.values(env)) expect(seen.join("\n")).not.toContain(value);
    const { instances } = places(instance.app);
    expect(readdirSync(instances).filter((name) => name.endsWith(".env"))).toEqual([]);
  });

  test("a value of two lines under a name that docker heeds is refused, by its name alone", async () => {
    const instance = await shop.instance("exec sleep 1000", { env: { DOCKER_CERT: "secret\nsecret" } });
    const error = await errorOf(manager.start(instance, io));
    expect(error!.message).toContain("DOCKER_CERT");
    expect(error!.message).not.toContain("secret");
    expect(error!.exit).toBe("config");
  });

  test("of somebody else are never touched, whatever their names and labels", async () => {
    const instance = await shop.instance("exec sleep 1000");
    const { app, id } = instance;
    // The name of an instance without its labels, and the labels of one without its name.
    const names = [containerName(instance), `${containerName(instance)}-x`];
    await engine.must("run", "--detach", `--name=${names[0]}`, BASE, "sleep", "1000");
    const labels = [`dp.app=${app}`, `dp.release=${id}`, `dp.root=${folder}`].map((label) => `--label=${label}`);
    await engine.must("run", "--detach", `--name=${names[1]}`, ...labels, BASE, "sleep", "1000");
    try {
      expect(await manager.instances(app)).toEqual([]);
      expect((await manager.status(instance)).state).toBe("stopped");
      expect(await errorOf(manager.start(instance, io))).toMatchObject({ exit: "command" });
      await manager.stop(instance, io);
      await manager.enable(app, [], io);
      await manager.forget(instance, io);
      const running = await engine.must("container", "ls", "--format", "{{.Names}}");
      expect(running.split("\n").sort()).toEqual(names.sort());
    } finally {
      await engine.must("container", "rm", "--force", ...names);
    }
  });

  test("whose image says it is of another app are still this app's", async () => {
    const instance = await started(await withImage("LABEL dp.app=other dp.release=9-9999999", "exec sleep 1000"));
    expect(await manager.instances("other")).toEqual([]);
    expect(await manager.instances(instance.app)).toEqual([instance.id]);
  });

  test("that crash again and again are stopped and enabled at any moment", async () => {
    for (let count = 1; count <= 4; count++) {
      const instance = await started(await shop.instance("sleep 0.05; exit 3", { id: `${count}-aaaaaaa` }));
      if (count % 2 === 0) await manager.enable(instance.app, [instance.id], io);
      await until("a crash", async () => (await manager.status(instance)).state !== "running");
      await manager.stop(instance, io);
      expect((await manager.status(instance)).state).toBe("stopped");
      await manager.forget(instance, io);
      expect(await manager.instances(instance.app)).toEqual([]);
    }
  }, 120_000);

  test("end by the image's own signal", async () => {
    const line = `trap 'echo quit; exit 0' QUIT; trap 'echo term' TERM; echo ready; while :; do sleep 0.05; done`;
    const instance = await started(await withImage("STOPSIGNAL SIGQUIT", line));
    await until("the trap is set", async () => (await outputOf(manager, instance)).includes("ready"));
    await manager.stop(instance, io);
    expect(await outputOf(manager, instance)).toEqual(["ready", "quit"]);
  });

  test("say when they were killed for want of memory", async () => {
    const instance = await started(await shop.instance("tail /dev/zero", { operator: { docker: { memory: "16m" } } }));
    const status = await until("failed", async () => {
      const now = await manager.status(instance);
      return now.state === "failed" && now;
    });
    expect(status).toMatchObject({ detail: "killed: out of memory" });
  }, 60_000);

  test("without command run what the image runs, with it that line under the image's entrypoint", async () => {
    const image = `RUN printf '#!/bin/sh\\necho entered\\nexec "$@"\\n' > /enter && chmod +x /enter\nENTRYPOINT ["/enter"]\nCMD ["echo", "cmd"]`;
    const own = await started(await withImage(image));
    await until("the end", async () => (await manager.status(own)).state === "stopped");
    expect(await outputOf(manager, own)).toEqual(["entered", "cmd"]);
    const line = await started(await withImage(image, "echo $((1+1)) && exit 0"));
    await until("the end", async () => (await manager.status(line)).state === "stopped");
    expect(await outputOf(manager, line)).toEqual(["entered", "2"]);
  });

  test("a command without a shell in the image ends at once, and the log says why", async () => {
    const instance = await shop.instance("echo hello");
    await build(engine, folder, instance, `FROM scratch\nCOPY --from=${BASE} /bin/busybox /busybox\n`);
    await started(instance);
    await until("failed", async () => (await manager.status(instance)).state === "failed");
    expect((await manager.status(instance)).detail).toBe("exited with code 127");
    expect((await outputOf(manager, instance)).join("\n")).toContain("exec /bin/sh failed");
  });

  test("a health check of the image is told, and its words are in the log when it fails", async () => {
    const check = `HEALTHCHECK --interval=100ms --timeout=5s --retries=2 CMD test -e /tmp/well || { echo not well; exit 1; }`;
    const instance = await started(await withImage(check, "exec sleep 1000"));
    const ill = await until("unhealthy", async () => {
      const now = await manager.status(instance);
      return now.isUnhealthy === true && now;
    });
    expect(ill).toMatchObject({ state: "running", detail: "HEALTHCHECK reports unhealthy" });
    expect((await outputOf(manager, instance)).join("\n")).toMatch(
      /HEALTHCHECK reports unhealthy: its command exited with code 1\n  not well/,
    );
    await engine.must("exec", containerName(instance), "touch", "/tmp/well");
    const well = await until("healthy", async () => {
      const now = await manager.status(instance);
      return now.detail === "HEALTHCHECK reports healthy" && now;
    });
    expect((well as InstanceStatus).isUnhealthy).toBe(false);
  }, 60_000);

  test("what listens inside is known, and which port leads there", async () => {
    const instance = await started(await withImage("EXPOSE 8080", "exec httpd -f -p 127.0.0.1:3000"));
    const port = Number(instance.env["PORT"]);
    const found = await until("it listens", async () => {
      const now = await manager.published!(instance);
      return now && now.listening.length > 0 && now;
    });
    expect(found).toEqual({ ports: [port], listening: [{ port: 3000, address: "127.0.0.1" }], inside: 8080 });
    expect(await wrongPort(instance, manager, port)).toBe(
      "in its container the app listens on 127.0.0.1:3000; it must listen on 0.0.0.0:8080",
    );
  });

  test("volumes of the image go with the container", async () => {
    const instance = await started(await withImage("VOLUME /data", "exec sleep 1000"));
    expect(await engine.must("volume", "ls", "--quiet")).not.toBe("");
    await manager.stop(instance, io);
    await manager.forget(instance, io);
    expect(await engine.must("volume", "ls", "--quiet")).toBe("");
  });

  test("a shared folder that is a link is not shown to a container", async () => {
    const instance = await shop.instance("exec sleep 1000");
    const { shared } = places(instance.app);
    rmSync(join(shared, SHARED), { recursive: true });
    symlinkSync("/etc", join(shared, SHARED));
    expect(await errorOf(manager.start(instance, io))).toMatchObject({
      message: expect.stringContaining("neither a file nor a folder"),
    });
    expect(await manager.instances(instance.app)).toEqual([]);
  });

  test.skipIf(process.getuid!() !== 0)(
    "what is shown stays what it was, whatever the app's user does later",
    async () => {
      const { app, user, ...made } = await shop.instance("cat /out/what; sleep 0.2; exit 1", { user: "daemon" });
      const shared = join(places(app).shared, SHARED);
      writeFileSync(join(shared, "what"), "own\n");
      const secret = join(folder, `${app}-secret`);
      mkdirSync(secret, { mode: 0o700 });
      writeFileSync(join(secret, "what"), "secret\n");
      const asApp = (line: string) => Bun.spawnSync(asUser(["sh", "-c", line], user)).exitCode;
      Bun.spawnSync(["chown", "-hR", "daemon", places(app).shared]);
      const instance = await started({ app, user, ...made });
      expect(asApp(`mv ${shared} ${shared}.old && ln -s ${secret} ${shared}`)).toBe(1);
      await until("it was started again", async () => (await outputOf(manager, instance)).length > 2);
      expect(new Set(await outputOf(manager, instance))).toEqual(new Set(["own"]));
    },
  );

  test("a folder of which another container has more, or less, is not shown", async () => {
    const one = await started(await shop.instance("exec sleep 1000"));
    const inner = join(places(one.app).shared, SHARED, "inner");
    mkdirSync(inner);
    const shows = (id: string, dirs: string[]) =>
      shop
        .instance("exec sleep 1000", { app: one.app, id })
        .then((made) => ({ ...made, config: { ...made.config, shared: { dirs, files: [] } } }));
    const two = await shows("2-bbbbbbb", [`${SHARED}/inner`]);
    const error = await errorOf(manager.start(two, io));
    expect(error!.message).toBe(
      `${inner} cannot be mounted into a container while ${containerName(one)} runs with ${dirname(inner)}`,
    );
    expect(error!.hint).toContain(`dp stop ${one.app}`);
    await manager.stop(one, io);
    await manager.start(two, io);
    expect((await errorOf(manager.start(one, io)))!.message).toContain(`${dirname(inner)} cannot be mounted`);
    expect(await manager.instances(one.app)).toEqual([two.id]);
  });

  test("all of an app is taken away, one-off containers and images too, and nothing else", async () => {
    const [one, other] = [
      await started(await shop.instance("exec sleep 1000")),
      await shop.instance("exec sleep 1000"),
    ];
    await started(other);
    const label = (app: string) => ["--label", `dp.app=${app}`, "--label", `dp.root=${folder}`];
    await engine.must("run", "--detach", "--name", `${one.app}-run`, ...label(one.app), BASE, "sleep", "1000");
    await engine.must("tag", BASE, `${imageName(one)}.1`);
    const changes = await manager.remove!(one.app, io);
    expect(changes.sort()).toEqual(
      [
        ...[containerName(one), `${one.app}-run`].map((name) => `removed the container ${name}`),
        ...[imageName(one), `${imageName(one)}.1`].map((name) => `removed ${name}`),
      ].sort(),
    );
    const containers = await engine.must("container", "ls", "--all", "--format", "{{.Names}}");
    expect(containers.split("\n")).toEqual([containerName(other)]);
    await engine.must("image", "inspect", imageName(other), BASE);
    expect(await manager.remove!(one.app, io)).toEqual([]);
  });

  test("the enabled one, and no other, comes up with the engine: after its end, and after a power cut", async () => {
    const one = await started(await shop.instance("exec sleep 1000"));
    const two = await started(await shop.instance("exec sleep 1000", { app: one.app, id: "2-bbbbbbb" }));
    const three = await started(await shop.instance("exec sleep 1000", { app: one.app, id: "3-ccccccc" }));
    await manager.stop(three, io);
    await manager.enable(one.app, [two.id], io);
    for (const how of ["stop", "cut"] as const) {
      const { pid } = await manager.status(two);
      await engine.halt(how);
      expect(await errorOf(manager.status(two))).toMatchObject({ exit: "host", hint: "systemctl start docker" });
      expect(await manager.unavailable()).toContain("the Docker daemon does not answer");
      await engine.start();
      await until("it is back", async () => {
        const now = await manager.status(two);
        return now.state === "running" && now.pid !== pid;
      });
      expect((await manager.instances(one.app)).filter((id) => id !== one.id)).toEqual([two.id]);
      expect((await manager.status(one)).state).not.toBe("running");
    }
  }, 120_000);

  test("without a docker command the words to install one are said", async () => {
    const script = `import docker from "${resolve("lib/apps/docker.ts")}"; console.log(await docker.manager.unavailable());`;
    const child = Bun.spawnSync([process.execPath, "-e", script], { env: { PATH: "/nowhere" } });
    expect(child.stdout.toString()).toBe("this server has no docker command: apt-get install docker.io\n");
  });

  test("a user outside of the group docker is told so", async () => {
    const copy = await openCopy();
    const script = `import docker from "${copy}/lib/apps/docker.ts"; console.log(await docker.manager.unavailable());`;
    const argv = ["setpriv", "--reuid=nobody", "--clear-groups", join(copy, "bun"), "-e", script];
    const child = Bun.spawnSync(argv, {
      cwd: "/",
      env: { ...engine.variables("/usr/bin:/bin"), HOME: "/" },
    });
    rmSync(copy, { recursive: true });
    expect(child.stdout.toString()).toBe(
      "the user nobody may not use Docker: run dp as root, or: usermod -aG docker nobody\n",
    );
  });
});
