// What connections that wait cost a proxy: kept HTTP connections, and WebSockets by the thousand.
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { roomIn } from "../../lib/fronts/relay/capacity.ts";
import { host, type Host } from "./fronts.ts";
import { startEcho } from "./proxies/app.ts";
import { openFiles } from "./proxies/open-files.ts";
import { installMissing } from "./proxies/packages.ts";
import { missing, PROXIES, startProxy, type ProxyName } from "./proxies/proxy.ts";
import { memoryOf } from "./proxies/usage.ts";
import { section, type Measured, type Options } from "./section.ts";

const MEASURED = PROXIES.filter((name) => name !== "direct");

const rowsOf = (name: ProxyName) => ({
  [`${name}: memory at rest`]: { unit: "MB" },
  [`${name}: memory of an idle connection`]: { unit: "kB" },
  [`${name}: idle WebSockets held`]: { unit: "" },
  [`${name}: memory of a WebSocket`]: { unit: "kB" },
  [`${name}: all of its memory with them`]: { unit: "MB" },
});

const rows = Object.assign({}, ...MEASURED.map(rowsOf)) as Record<string, { unit: string }>;

/** Files beside those of the connections. */
const SPARE = 500;

/** Connections that another process holds, until it is told to leave. */
interface Held {
  count: number;
  leave(): Promise<void>;
}

/** Opens connections to a port from another process; answers how many there are when no more come. */
export async function hold(port: number, kind: "http" | "websocket", wanted: number): Promise<Held> {
  const file = join(import.meta.dir, "proxies/holder.ts");
  const argv = [process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", file];
  const child = Bun.spawn([...argv, String(port), kind, String(wanted)], {
    env: { PATH: process.env["PATH"]! },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { value } = await child.stdout.getReader().read();
  return {
    count: Number(new TextDecoder().decode(value)),
    async leave() {
      await child.stdin.end();
      await child.exited;
    },
  };
}

/** The memory of a connection in kB, how many there were, and all memory with them in MB. */
async function cost(pid: number, port: number, kind: "http" | "websocket", wanted: number) {
  const before = memoryOf(pid);
  const held = await hold(port, kind, wanted);
  try {
    const all = memoryOf(pid);
    return { each: ((all - before) * 1024) / held.count, count: held.count, all };
  } finally {
    await held.leave();
  }
}

/** A proxy of its own, so that nothing that came before is in its memory. */
async function one(name: ProxyName, options: Options, wanted: Record<"http" | "websocket", number>) {
  const of: Host = host();
  try {
    chmodSync(of.folder, 0o755);
    const { pid, port } = await startProxy(of, name, await startEcho(of), options.kamalProxy);
    // What a first connection brings with it is no connection's own.
    await (await hold(port, "http", 8)).leave();
    const rest = memoryOf(pid);
    const http = await cost(pid, port, "http", wanted.http);
    const websocket = await cost(pid, port, "websocket", wanted.websocket);
    options.say(`idle: ${name}: ${http.count} connections, ${websocket.count} WebSockets`);
    return {
      [`${name}: memory at rest`]: rest,
      [`${name}: memory of an idle connection`]: http.each,
      [`${name}: idle WebSockets held`]: websocket.count,
      [`${name}: memory of a WebSocket`]: websocket.each,
      [`${name}: all of its memory with them`]: websocket.all,
    };
  } finally {
    await of.stop();
  }
}

async function measure(options: Options): Promise<Measured> {
  installMissing(options.say);
  const most = Math.floor((openFiles() - SPARE) / 2);
  const [connections, websockets] = options.isQuick ? [200, 1_000] : [1_000, 10_000];
  const wanted = { http: Math.min(connections, most), websocket: Math.min(websockets, most) };
  const notes = [
    `${wanted.http} kept connections that have each had an answer, then ${wanted.websocket} WebSockets, from up to 8 addresses`,
    `with that many open files the relay has room for ${roomIn(openFiles(), 1)} connections`,
  ];
  if (most < websockets) notes.push(`more would need more open files than ${openFiles()}`);
  const values: Record<string, number> = {};
  for (const name of MEASURED) {
    const why = missing(name, options.kamalProxy);
    if (why === null) Object.assign(values, await one(name, options, wanted));
    else notes.push(`${name}: not measured: ${why}`);
  }
  return { values, notes };
}

export default section({ name: "idle", rows, measure });
