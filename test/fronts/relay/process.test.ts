// The relay as a process: its state file, its control socket, its end, and its sockets in systemd's keeping.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { relayAt } from "../../../lib/fronts/relay/client.ts";
import { IDLE_GRACE } from "../../../lib/fronts/relay/limits.ts";
import { type Scripted, type TestApp, freePort, scripted, startApp } from "./support/apps.ts";
import { load } from "./support/load.ts";
import { type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

const GET = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";

let app: TestApp;
let relay: TestRelay;
const scripts: Scripted[] = [];
beforeAll(async () => {
  app = await startApp("bun", "app");
});
afterEach(async () => {
  for (const script of scripts.splice(0)) script.stop();
  await relay?.stop();
});
afterAll(() => app?.stop());

function script(onData: Parameters<typeof scripted>[0]): Scripted {
  const made = scripted(onData);
  scripts.push(made);
  return made;
}

const statusOf = async (name: string) => (await relay.front.status()).routes.find((route) => route.app === name)!;

describe("state", () => {
  test("after kill -9 everything is as it was", async () => {
    relay = await startRelay();
    const web = await relay.add("web", app.port);
    await relay.add("tcp", 9, { protocol: "tcp", trustedProxies: ["10.0.0.1"] });
    await relay.add("gone", app.port);
    await relay.front.point("web", { id: "7-abcdef0", port: app.port });
    await relay.front.remove("gone");
    const before = (await relay.front.status()).routes.map(
      ({ app: name, listen, protocol, target, trustedProxies }) => ({ name, listen, protocol, target, trustedProxies }),
    );
    await relay.kill("SIGKILL");
    expect(await relay.front.isRunning()).toBe(false);
    await relay.start();
    const after = (await relay.front.status()).routes.map(
      ({ app: name, listen, protocol, target, trustedProxies }) => ({ name, listen, protocol, target, trustedProxies }),
    );
    expect(after).toEqual(before);
    expect(after.map(({ name }) => name)).toEqual(["tcp", "web"]);
    const client = await rawClient(web);
    client.write(GET);
    await client.until(/app$/);
    client.close();
  });

  test("a point that cannot be written down does not count", async () => {
    relay = await startRelay();
    const web = await relay.add("web", app.port);
    const state = join(relay.folder, "routes.json");
    const before = readFileSync(state, "utf8");
    // The temp file's place is taken by a folder: nothing can be written.
    await Bun.write(join(`${state}.tmp`, "x"), "");
    await expect(relay.front.point("web", null)).rejects.toMatchObject({ exit: "host" });
    expect(readFileSync(state, "utf8")).toBe(before);
    expect((await statusOf("web")).target).not.toBeNull();
    const client = await rawClient(web);
    client.write(GET);
    await client.until(/app$/);
    client.close();
  });

  test("a state file that cannot be read ends the relay, and is left alone", async () => {
    relay = await startRelay();
    await relay.kill("SIGTERM");
    const state = join(relay.folder, "routes.json");
    writeFileSync(state, '{"version": 99, "routes": []}');
    const process_ = resolve(import.meta.dir, "../../../lib/fronts/relay/process.ts");
    const again = Bun.spawnSync([process.execPath, process_, relay.folder], {
      cwd: "/",
      env: { PATH: process.env["PATH"]! },
      timeout: 10_000,
    });
    expect(again.exitCode).toBe(8);
    expect(again.stderr.toString()).toContain("its version is 99, not 1");
    expect(readFileSync(state, "utf8")).toContain("99");
  });

  test("a second relay in the same folder is refused, and the first goes on", async () => {
    relay = await startRelay();
    const process_ = resolve(import.meta.dir, "../../../lib/fronts/relay/process.ts");
    const second = Bun.spawnSync([process.execPath, process_, relay.folder], {
      cwd: "/",
      env: { PATH: process.env["PATH"]! },
      timeout: 10_000,
    });
    expect(second.exitCode).toBe(8);
    expect(second.stderr.toString()).toContain("another relay runs in");
    expect(await relay.front.isRunning()).toBe(true);
  });
});

describe("the control socket", () => {
  test("is open to its owner alone, and so is the state", async () => {
    relay = await startRelay();
    await relay.add("web", app.port);
    const modeOf = (name: string) => (statSync(join(relay.folder, name)).mode & 0o777).toString(8);
    expect([modeOf("."), modeOf("control.sock"), modeOf("routes.json")]).toEqual(["700", "600", "600"]);
  });

  test("tells of one app alone when asked for one", async () => {
    relay = await startRelay();
    for (const name of ["web", "api"]) await relay.add(name, app.port);
    const told = async (name?: string) => (await relay.front.status(name)).routes.map((route) => route.app);
    expect([await told(), await told("web"), await told("none")]).toEqual([["api", "web"], ["web"], []]);
    expect((await relay.front.statusIfRunning("api"))?.routes.length).toBe(1);
  });

  test("tells of some apps, and in brief without their minutes", async () => {
    relay = await startRelay();
    for (const name of ["web", "api", "shop"]) await relay.add(name, app.port);
    const { routes } = await relay.front.status();
    const some = routes.filter(({ app }) => app !== "api");
    expect((await relay.front.statusOf(["web", "shop", "none", "web"], false))?.routes).toEqual(some);
    const brief = some.map((route) => ({ ...route, minutes: null }));
    expect((await relay.front.statusOf(["shop", "web"], true))?.routes).toEqual(brief);
    expect((await relay.front.statusOf([], true))?.routes).toEqual([]);
  });

  test("says who runs", async () => {
    relay = await startRelay();
    const status = await relay.front.status();
    expect(status).toMatchObject({ pid: relay.pid(), routes: [], version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect(Date.now() - Date.parse(status.since)).toBeWithin(0, 60_000);
    expect(status.rss).toBeWithin(10 << 20, 80 << 20);
  });

  test("where no relay runs, the error names a command", async () => {
    relay = await startRelay();
    const front = relayAt(join(relay.folder, "nowhere"));
    expect(await front.isRunning()).toBe(false);
    await expect(front.status()).rejects.toMatchObject({
      exit: "host",
      message: "the relay is not running",
      hint: "dp reconcile",
    });
  });

  test("a command that makes no sense is an error, not the end", async () => {
    relay = await startRelay();
    for (const line of ["nonsense\n", "{}\n", '{"do":"point"}\n', '{"do":"nothing"}\n']) {
      const answer = await new Promise<string>((done) => {
        let text = "";
        void Bun.connect({
          unix: join(relay.folder, "control.sock"),
          socket: {
            open: (socket) => void socket.write(line),
            data: (_socket, chunk) => void (text += chunk),
            close: () => done(text),
          },
        });
      });
      expect(JSON.parse(answer)).toHaveProperty("error");
    }
    expect(await relay.front.isRunning()).toBe(true);
  });
});

describe("addresses", () => {
  test("a port that is taken is an error, and nothing has changed", async () => {
    relay = await startRelay();
    const web = await relay.add("web", app.port);
    const taken = script(() => undefined);
    const listen = { host: "127.0.0.1", port: taken.port };
    const error = await relay.add("other", app.port, { listen }).catch((problem: unknown) => problem);
    expect(error).toMatchObject({
      exit: "host",
      message: expect.stringContaining(`other: port ${taken.port} is taken`),
    });
    await expect(relay.add("web", app.port, { listen })).rejects.toThrow(/is taken/);
    expect(
      (await relay.front.status()).routes.map((route) => [route.app, route.listen.port, route.isListening]),
    ).toEqual([["web", web, true]]);
  });

  test("a port that is taken at the start is taken as soon as it is free", async () => {
    relay = await startRelay();
    const web = await relay.add("web", app.port);
    await relay.kill("SIGKILL");
    const thief = scripted(() => undefined, web);
    await relay.start();
    expect(await statusOf("web")).toMatchObject({ isListening: false, error: expect.stringContaining("is taken") });
    thief.stop();
    await until("the port is listened on", async () => (await statusOf("web")).isListening);
    expect((await statusOf("web")).error).toBeNull();
  });

  test("moving keeps the target and the connections; removing frees the port", async () => {
    relay = await startRelay();
    const first = await relay.add("web", app.port);
    const client = await rawClient(first);
    client.write(GET);
    await client.until(/app$/);
    const second = await freePort();
    await relay.front.set({
      app: "web",
      listen: { host: "127.0.0.1", port: second },
      protocol: "http",
      trustedProxies: [],
    });
    expect((await statusOf("web")).target).toEqual({ id: "1-aaaaaaa", port: app.port });
    await expect(raw(first, GET)).rejects.toThrow();
    client.write(GET);
    await client.until(/app[^]*app$/);
    const other = await rawClient(second);
    other.write(GET);
    await other.until(/app$/);
    await relay.front.remove("web");
    await other.until(() => false);
    await expect(raw(second, GET)).rejects.toThrow();
    expect((await relay.front.status()).routes).toEqual([]);
  });
});

describe("another address at the same port", () => {
  const answers = async (port: number) => {
    const client = await rawClient(port);
    client.write(GET);
    await client.until(/app$/);
    client.close();
  };

  test.each(["0.0.0.0", "127.0.0.1"])("%s is taken while the other one is still held", async (host) => {
    relay = await startRelay();
    const port = await relay.add("web", app.port);
    const client = await rawClient(port);
    client.write(GET);
    await client.until(/app$/);
    for (const next of ["0.0.0.0", host]) {
      await relay.front.set({ app: "web", listen: { host: next, port }, protocol: "http", trustedProxies: [] });
      expect(await statusOf("web")).toMatchObject({ isListening: true, error: null, listen: { host: next, port } });
      await answers(port);
    }
    client.write(GET);
    await client.until(/app[^]*app$/);
    client.close();
  });

  test("nobody who has just connected is reset", async () => {
    relay = await startRelay();
    const port = await relay.add("web", app.port);
    let [isOver, answered] = [false, 0];
    const failed: unknown[] = [];
    const ask = async () => {
      const alone = { headers: { Connection: "close" }, keepalive: false };
      while (!isOver) {
        await fetch(`http://127.0.0.1:${port}/`, alone)
          .then((response) => response.text())
          .then(() => answered++)
          .catch((error: unknown) => failed.push(error));
      }
    };
    const clients = Array.from({ length: 16 }, ask);
    for (let turn = 0; turn < 20; turn++) {
      const host = turn % 2 === 0 ? "0.0.0.0" : "127.0.0.1";
      await relay.front.set({ app: "web", listen: { host, port }, protocol: "http", trustedProxies: [] });
      const before = answered;
      await until("they are answered", () => answered > before + 20);
    }
    isOver = true;
    await Promise.all(clients);
    expect(failed.slice(0, 3)).toEqual([]);
  });

  test("a port of which another program holds that address is not taken, and the one before stays", async () => {
    relay = await startRelay();
    const port = await relay.add("web", app.port);
    const taken = Bun.listen({ hostname: "127.0.0.2", port, socket: { data: () => undefined } });
    try {
      const change = relay.front.set({
        app: "web",
        listen: { host: "0.0.0.0", port },
        protocol: "http",
        trustedProxies: [],
      });
      await expect(change).rejects.toThrow("is taken by another program");
      expect(await statusOf("web")).toMatchObject({ isListening: true, listen: { host: "127.0.0.1", port } });
      await answers(port);
    } finally {
      taken.stop(true);
    }
  });
});

describe("SIGTERM", () => {
  test("finishes what is under way, tells clients to come back, and exits 0", async () => {
    relay = await startRelay();
    const web = await relay.add("web", app.port);
    const [slow, idle] = [await rawClient(web), await rawClient(web)];
    idle.write(GET);
    await idle.until(/app$/);
    slow.write("GET /slow HTTP/1.1\r\nHost: web\r\n\r\n");
    await until("it is under way", async () => (await statusOf("web")).inFlight["1-aaaaaaa"]?.requests === 1);
    const exit = relay.kill("SIGTERM");
    await until("no new connection", async () => (await raw(web, GET).catch(() => null)) === null);
    const { text, ending } = await slow.until(() => false);
    expect(text).toMatch(/^HTTP\/1.1 200 [^]*Connection: close\r\n\r\napp$/);
    expect(ending).toBe("eof");
    expect((await idle.until(() => false)).ending).toBe("eof");
    expect(await exit).toBe(0);
    slow.close();
    idle.close();
  });

  test("a client whose answer ended after it may still send the request that it was about to send", async () => {
    relay = await startRelay();
    const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    const half = script((visit) => visit.write(visit.got.includes("/second") ? `${OK}ok` : `${OK}a`));
    const port = await relay.add("half", half.port);
    const client = await rawClient(port);
    client.write(GET);
    await client.until(/a$/);
    const exit = relay.kill("SIGTERM");
    const second = "GET /second HTTP/1.1\r\nHost: half\r\n\r\n";
    await until("no new connection", async () => (await raw(port, second).catch(() => null)) === null);
    // Later than idle clients are waited for, and then what a client's network takes.
    await Bun.sleep(IDLE_GRACE * 2);
    half.visits[0]!.write("b");
    await client.until(/ab$/);
    await Bun.sleep(IDLE_GRACE / 3);
    client.write(second);
    const { text, ending } = await client.until(() => false);
    expect(text).toMatch(/abHTTP\/1\.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok$/);
    expect(ending).toBe("eof");
    expect(await exit).toBe(0);
    client.close();
  });
});

describe("tcp", () => {
  test("bytes go both ways, one side may end first, and a release is counted", async () => {
    relay = await startRelay();
    const echo = script((visit) => visit.write(visit.got.slice(-5)));
    const port = await relay.add("tcp", echo.port, { protocol: "tcp" });
    const client = await rawClient(port);
    client.write("\0\r\n\r\xff");
    expect((await client.until("\xff")).text).toBe("\0\r\n\r\xff");
    expect((await statusOf("tcp")).inFlight).toEqual({ "1-aaaaaaa": { requests: 1, tunnels: 0 } });
    client.end();
    await until("the FIN", () => echo.visits[0]!.state === "half");
    echo.visits[0]!.write("later");
    echo.visits[0]!.end();
    expect(await client.until(() => false)).toEqual({ text: "\0\r\n\r\xfflater", ending: "eof" });
    await until("nothing is left", async () => (await statusOf("tcp")).connections === 0);
    expect((await statusOf("tcp")).inFlight).toEqual({});
  });

  test("a drain waits for connections until its time is over", async () => {
    relay = await startRelay();
    const [old, fresh] = [script((visit) => visit.write("old")), script((visit) => visit.write("new"))];
    const port = await relay.add("tcp", old.port, { protocol: "tcp" });
    const client = await rawClient(port);
    client.write("a");
    await client.until("old");
    await relay.front.point("tcp", { id: "2-bbbbbbb", port: fresh.port });
    expect(await relay.front.drain("tcp", "1-aaaaaaa", 200)).toEqual({ requests: 1, tunnelsClosed: 0 });
    expect((await client.until(() => false)).ending).toBe("reset");
    const next = await rawClient(port);
    next.write("a");
    await next.until("new");
    next.close();
  });

  test("connections wait in a hold, and for an app that is not up yet", async () => {
    relay = await startRelay();
    const gone = scripted(() => undefined);
    gone.stop();
    const port = await relay.add("tcp", gone.port, { protocol: "tcp" });
    await relay.front.hold("tcp");
    const client = await rawClient(port);
    client.write("hello");
    await until("it waits", async () => (await statusOf("tcp")).waiting === 1);
    await relay.front.resume("tcp");
    scripts.push(scripted((visit) => visit.write(visit.got), gone.port));
    await client.until("hello");
    client.close();
  });
});

describe("systemd", () => {
  const SYSTEMD = `
import array, os, socket, subprocess, sys
# What systemd does for a service with FileDescriptorStoreMax: it keeps the fds, and hands them over at the next start.
path, argv = sys.argv[1], sys.argv[2:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind("\\0" + path[1:] if path[0] == "@" else path)
store, child = [], None
def start():
    env = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": path}
    fds = list(store)
    def hand_over():
        for i, (_, fd) in enumerate(fds): os.dup2(fd, 100 + i)
        for i in range(len(fds)): os.dup2(100 + i, 3 + i, inheritable=True)
        if fds:
            env["LISTEN_PID"] = str(os.getpid()); env["LISTEN_FDS"] = str(len(fds)); env["LISTEN_FDNAMES"] = ":".join(name for name, _ in fds)
            os.execvpe(argv[0], argv, env)
    return subprocess.Popen(argv, env=env, preexec_fn=hand_over, pass_fds=range(3, 3 + len(fds)))
child = start()
while True:
    data, control, _, _ = notify.recvmsg(4096, 256)
    text = data.decode()
    fields = dict(line.split("=", 1) for line in text.splitlines())
    for level, kind, rights in control:
        fds = array.array("i"); fds.frombytes(rights[:4])
        store.append((fields["FDNAME"], fds[0]))
    if "FDSTOREREMOVE" in fields:
        for entry in [e for e in store if e[0] == fields["FDNAME"]]: os.close(entry[1]); store.remove(entry)
    print(text.replace("\\n", " "), len(store), flush=True)
    if "EXIT" in fields: child.kill(); child.wait(); sys.exit(0)
    if "AGAIN" in fields: child.kill(); child.wait(); child = start()
`;

  test.each(["path", "abstract"])("keeps the sockets over kill -9, by %s", async (kind) => {
    relay = await startRelay();
    await relay.kill("SIGTERM");
    const notify = kind === "path" ? join(relay.folder, "notify") : `@dp-test-${crypto.randomUUID()}`;
    const argv = [process.execPath, resolve(import.meta.dir, "../../../lib/fronts/relay/process.ts"), relay.folder];
    const child = Bun.spawn(["python3", "-c", SYSTEMD, notify, ...argv], {
      cwd: "/",
      env: { PATH: process.env["PATH"]! },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const said: string[] = [];
    void (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) said.push(...decoder.decode(chunk).split("\n").filter(Boolean));
    })();
    const tell = (text: string) =>
      Bun.spawnSync([
        "python3",
        "-c",
        `import socket,sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(${JSON.stringify(text)}.encode(), "\\0" + sys.argv[1][1:] if sys.argv[1][0] == "@" else sys.argv[1])`,
        notify,
      ]);
    try {
      await until("READY", () => said.includes("READY=1 0"));
      const web = await relay.add("web", app.port);
      await relay.add("gone", app.port);
      await relay.front.remove("gone");
      await until("systemd was told of both", () => said.length === 4);
      expect(said).toEqual([
        "READY=1 0",
        "FDSTORE=1 FDNAME=web 1",
        "FDSTORE=1 FDNAME=gone 2",
        "FDSTOREREMOVE=1 FDNAME=gone 1",
      ]);
      const running = load({ port: web, keepAlive: 8, fresh: 8, think: 10 });
      await until("requests", () => running.soFar().requests > 100);
      const before = (await relay.front.status()).pid;
      tell("AGAIN=1");
      await until("READY again", () => said.filter((line) => line.startsWith("READY=1")).length === 2);
      expect((await relay.front.status()).pid).not.toBe(before);
      const { requests } = running.soFar();
      await until("requests again", () => running.soFar().requests > requests + 100);
      const result = await running.stop();
      // What was open in the killed process is lost, at most one request a client; no connect was refused.
      expect(result.reasons["ECONNREFUSED"]).toBeUndefined();
      expect(result.failed).toBeLessThanOrEqual(16);
      // Handed over, not bound again: nothing was added to the store.
      expect(said.filter((line) => line.startsWith("FDSTORE=1"))).toHaveLength(2);
    } finally {
      tell("EXIT=1");
      await child.exited;
    }
  });
});
