import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { codeOf } from "../../../lib/errors.ts";
import { addressOf } from "../../../lib/host/process/listener.ts";
import {
  argumentsOf,
  bootId,
  descendants,
  hasEnvironment,
  isAlive,
  listener,
  listeningPorts,
  processEntry,
  processName,
  processTable,
  startTime,
  userOf,
} from "../../../lib/host/process/process.ts";
import { openCopy } from "../../support/open-copy.ts";

const started: Bun.Subprocess[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const child of started.splice(0)) {
    endGroup(child.pid);
    await child.exited;
  }
  for (const server of servers.splice(0)) server.close();
});

/** Ends whatever is left of a child's group. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** A child in a session of its own that has said "ready". */
async function child(
  argv: string[],
  env: Record<string, string> = {},
): Promise<Bun.Subprocess<"ignore", "pipe", "inherit">> {
  const process = Bun.spawn(argv, {
    stdin: "ignore",
    stdout: "pipe",
    env: { PATH: "/usr/bin:/bin", ...env },
    detached: true,
  });
  started.push(process);
  const reader = process.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return process;
}

function listen(host: string): Promise<number> {
  const server = createServer();
  servers.push(server);
  return new Promise((resolve) =>
    server.listen({ port: 0, host }, () => resolve((server.address() as AddressInfo).port)),
  );
}

describe("processes", () => {
  test("a process is itself: parent, session, start, name, user, arguments", async () => {
    const { pid } = await child(["sh", "-c", "echo ready; sleep 1000; true"]);
    const entry = processEntry(pid)!;
    expect(entry).toMatchObject({ pid, parent: process.pid, session: pid });
    expect(entry.startTime).toBeGreaterThanOrEqual(startTime(process.pid)!);
    expect(processName(pid)).toBe("sh");
    expect(userOf(pid)).toBe(process.getuid!());
    expect(argumentsOf(pid)).toEqual(["sh", "-c", "echo ready; sleep 1000; true"]);
  });

  test("a name full of brackets and spaces shifts no field", async () => {
    const { pid } = await child(["sh", "-c", 'printf ") R 1 (x" > /proc/$$/comm; echo ready; sleep 1000; true']);
    expect(processName(pid)).toBe(") R 1 (x");
    expect(processEntry(pid)).toMatchObject({ parent: process.pid, session: pid });
  });

  test("alive means: running, and the same process still", async () => {
    const { pid } = await child(["sh", "-c", "echo ready; sleep 1000; true"]);
    const start = startTime(pid)!;
    expect([isAlive(pid), isAlive(pid, start), isAlive(pid, start + 1)]).toEqual([true, true, false]);
    process.kill(pid, "SIGKILL");
    await started.at(-1)!.exited;
    expect([isAlive(pid), isAlive(pid, start), startTime(pid), processName(pid), userOf(pid)]).toEqual([
      false,
      false,
      null,
      null,
      null,
    ]);
    expect(argumentsOf(pid)).toEqual([]);
  });

  test("a zombie does not run", async () => {
    // The first sleep replaces the shell, and nobody waits for the second.
    const { pid } = await child(["sh", "-c", "sleep 0 & echo ready; exec sleep 1000"]);
    const deadline = performance.now() + 10_000;
    const zombie = () => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    while (processEntry(Number(zombie()))?.state !== "Z" && performance.now() < deadline) await Bun.sleep(5);
    expect(processEntry(Number(zombie()))?.state).toBe("Z");
    expect(isAlive(Number(zombie()))).toBe(false);
    expect(processTable().some((entry) => entry.pid === Number(zombie()))).toBe(false);
  });

  test("descendants are the process itself and all below it, nobody else", async () => {
    const { pid } = await child(["sh", "-c", "sh -c 'sleep 1001; true' & sleep 1002 & echo ready; wait"]);
    const deadline = performance.now() + 10_000;
    while (descendants([pid]).length < 4 && performance.now() < deadline) await Bun.sleep(5);
    const names = descendants([pid]).map(processName).sort();
    expect(names).toEqual(["sh", "sh", "sleep", "sleep"]);
    expect(descendants([2 ** 30])).toEqual([]);
  });

  test.each([
    ["NAME=value", true],
    ["NAME=valu", false],
    ["AME=value", false],
    ["UNICODE=grüße", true],
    ["EMPTY=", true],
  ])("environment: %s", async (entry, has) => {
    const { pid } = await child(["sh", "-c", "echo ready; sleep 1000; true"], {
      NAME: "value",
      UNICODE: "grüße",
      EMPTY: "",
    });
    expect(hasEnvironment(pid, entry)).toBe(has);
  });

  test("a boot has one name", () => {
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
    expect(bootId()).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  });
});

describe("listeners", () => {
  test("the process on a port, with its address and user", async () => {
    const port = await listen("127.0.0.1");
    expect(await listener(port)).toEqual([{ pid: process.pid, uid: process.getuid!(), address: "127.0.0.1" }]);
    expect(listeningPorts([process.pid])).toContainEqual({ port, address: "127.0.0.1" });
  });

  test("version 6 of the protocol too", async () => {
    const port = await listen("::1");
    expect(await listener(port)).toEqual([{ pid: process.pid, uid: process.getuid!(), address: "::1" }]);
  });

  test("a closed port has none, and a connection is no listener", async () => {
    const port = await listen("127.0.0.1");
    const client = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    expect(await listener(client.localPort)).toEqual([]);
    client.end();
    await new Promise((resolve) => servers.pop()!.close(resolve));
    expect(await listener(port)).toEqual([]);
  });

  test("every process that holds the socket is named", async () => {
    const script =
      "import os,socket,time; s=socket.create_server(('127.0.0.1',0)); os.fork(); print(s.getsockname()[1],flush=True); time.sleep(1000)";
    const { pid, stdout } = Bun.spawn(["python3", "-c", script], {
      stdout: "pipe",
      env: { PATH: process.env["PATH"]! },
      detached: true,
    });
    started.push({ pid, exited: Promise.resolve(0) } as Bun.Subprocess);
    const { value } = await stdout.getReader().read();
    const port = Number.parseInt(new TextDecoder().decode(value), 10);
    const holders = (await listener(port)).map((socket) => socket.pid!);
    expect(holders.sort()).toEqual(descendants([pid]).sort());
    expect(holders.length).toBe(2);
    expect(listeningPorts([pid])).toEqual([{ port, address: "127.0.0.1" }]);
    expect(listeningPorts([process.pid])).not.toContainEqual({ port, address: "127.0.0.1" });
  });

  test.skipIf(process.getuid!() !== 0)("a process of somebody else is not seen, its socket is", async () => {
    const port = await listen("127.0.0.1");
    const copy = await openCopy();
    const script = `const { listener } = await import("${copy}/lib/host/process/process.ts"); console.log(JSON.stringify(await listener(${port})));`;
    const asked = Bun.spawnSync([
      "setpriv",
      "--reuid=daemon",
      "--regid=daemon",
      "--clear-groups",
      join(copy, "bun"),
      "-e",
      script,
    ]);
    rmSync(copy, { recursive: true });
    expect([asked.stderr.toString(), asked.stdout.toString()]).toEqual([
      "",
      '[{"pid":null,"uid":0,"address":"127.0.0.1"}]\n',
    ]);
  });

  test.each([
    ["0100007F", "127.0.0.1"],
    ["00000000", "0.0.0.0"],
    ["00000000000000000000000000000000", "::"],
    ["00000000000000000000000001000000", "::1"],
    ["0000000000000000FFFF00000100007F", "127.0.0.1"],
    ["B80D0120000000000000000001000000", "2001:db8::1"],
  ])("%s is %s", (hex, address) => {
    expect(addressOf(hex)).toBe(address);
  });
});
