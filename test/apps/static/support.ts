// A static site served for real, by the server's own process, over a folder of the test.
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { program } from "../../../lib/host/self.ts";
import { removeSite, writeSite, type Site } from "../../../lib/apps/static/site.ts";
import { plainEnv } from "../../../lib/host/run.ts";
import { freePort } from "../../support/core-server.ts";
import { until } from "../../support/sandbox.ts";

export interface Served {
  /** The folder of all: releases are below it. */
  top: string;
  port: number;
  pid(): number;
  /** Writes files of a release; answers its folder. */
  release(id: string, files: Record<string, string | Uint8Array>): string;
  /** Serves a release with options. */
  serve(id: string, options?: Partial<Site["options"]>, more?: Partial<Site>): Promise<void>;
  /** Ends the site of an app's release; returns when it has ended. */
  remove(app: string, id: string): Promise<void>;
  /** A request with no automatism at all. */
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>;
  /** Sends bytes, answers all that comes back until the server closes. */
  raw(text: string): Promise<string>;
  restart(signal: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

export async function serveStatic(): Promise<Served> {
  const top = realpathSync(mkdtempSync(join(tmpdir(), "dp-static-")));
  chmodSync(top, 0o755);
  const folder = join(top, "static");
  const port = await freePort();
  const start = async () => {
    const env = { ...plainEnv(), NO_PROXY: "127.0.0.1" };
    const argv = [...program("lib/apps/static/process.ts"), folder];
    const child = Bun.spawn(argv, { env, stdio: ["ignore", "ignore", "ignore"] });
    await until("the static server", () => control("GET", "/status").then((ok) => ok));
    return child;
  };
  const control = async (method: string, path: string) => {
    const unix = join(folder, "run/control.sock");
    const answer = await fetch(`http://static${path}`, { unix, method }).catch(() => null);
    return answer === null ? null : ((await answer.json()) as { sites: { error: string | null }[] });
  };
  let child = await start();
  return {
    top,
    port,
    pid: () => child.pid,
    release(id, files) {
      for (const [name, content] of Object.entries(files)) {
        const path = join(top, id, name);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content);
      }
      return join(top, id);
    },
    async serve(id, options = {}, more = {}) {
      const site = { app: "shop", id, release: join(top, id), root: "dist", host: "127.0.0.1", port, older: [] };
      const since = new Date().toISOString();
      await writeSite(folder, { ...site, since, options: { spa: false, headers: {}, ...options }, ...more });
      const error = (await control("POST", "/sync"))?.sites.find((each) => each.error)?.error;
      if (error) throw new Error(error);
    },
    async remove(app, id) {
      await removeSite(folder, { app, id });
      await control("POST", "/sync");
    },
    async get(path, headers = {}, method = "GET") {
      const text = Object.entries({ Host: "x", Connection: "close", ...headers })
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("");
      return parse(await send(port, `${method} ${path} HTTP/1.1\r\n${text}\r\n`));
    },
    raw: (text) => send(port, text),
    async restart(signal) {
      child.kill(signal);
      await child.exited;
      child = await start();
    },
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(top, { recursive: true, force: true });
    },
  };
}

function send(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}

function parse(text: string): Answer {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = new Headers(lines.map((line) => line.split(/:\s*(.*)/s).slice(0, 2) as [string, string]));
  return { status: Number(first.split(" ")[1]), headers, text: text.slice(end + 4) };
}
