// wrk, the load generator: what it is told to do, and what it says of it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** What wrk says of one run; times in ms. */
export interface Wrk {
  requests: number;
  /** Requests a second. */
  throughput: number;
  p50: number;
  p99: number;
}

/** A load on a port of 127.0.0.1. */
export interface Load {
  /** Connections at a time. */
  connections: number;
  path?: string;
  /** Each request comes on a connection of its own. */
  isFresh?: boolean;
  /** Bytes of the body that each request sends. */
  upload?: number;
  /** The processors that wrk may use, as taskset names them. */
  processors?: string;
}

/** Reads what wrk has printed. Throws when a request failed. */
export function readWrk(text: string): Wrk {
  if (/Socket errors|Non-2xx/.test(text) || !/Requests\/sec/.test(text)) throw new Error(`wrk: ${text.trim()}`);
  const time = (name: string) => {
    const [, value, unit] = new RegExp(`^ +${name} +([\\d.]+)(us|ms|s)`, "m").exec(text) ?? [];
    return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit ?? "ms"]!;
  };
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  return {
    requests,
    throughput: Number(/Requests\/sec: +([\d.]+)/.exec(text)?.[1]),
    p50: time("50%"),
    p99: time("99%"),
  };
}

/** A script of wrk's that sends a body of that many bytes; `folder` keeps it. */
function uploadScript(folder: string, bytes: number): string {
  const file = join(folder, `upload-${bytes}.lua`);
  writeFileSync(file, `wrk.method = "POST"\nwrk.body = string.rep("x", ${bytes})\n`);
  return file;
}

/**
 * Loads a port for some seconds; `folder` is for wrk's own files. `time`: the seconds of a processor that wrk has used.
 * Throws when a request failed.
 */
export async function runWrk(
  folder: string,
  port: number,
  seconds: number,
  load: Load,
): Promise<Wrk & { time: number }> {
  const { connections, path = "/", isFresh = false, upload, processors } = load;
  const pinned = processors === undefined ? [] : ["taskset", "-c", processors];
  const argv = [...pinned, "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "--timeout", "20s"];
  if (isFresh) argv.push("-H", "Connection: close");
  if (upload !== undefined) argv.push("-s", uploadScript(folder, upload));
  argv.push(`http://127.0.0.1:${port}${path}`);
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { ...readWrk(out + err), time: Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1e6 };
}
