// What the relay costs: throughput and latency beside a direct connection, HAProxy, nginx and Caddy, in turns.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { relayAt } from "../../lib/fronts/relay/client.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { program } from "../../lib/host/self.ts";
import { freePort } from "../support/core-server.ts";
import { until } from "../support/sandbox.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { get } from "./timing.ts";
import { readWrk, runWrk } from "./wrk.ts";

const FRONTS = ["direct", "relay", "haproxy", "nginx", "caddy"] as const;
type FrontName = (typeof FRONTS)[number];
type Figure = "throughput" | "p50" | "p99";

const UNITS: Record<Figure, string> = { throughput: "req/s", p50: "ms", p99: "ms" };
const figureRows = Object.fromEntries(
  FRONTS.flatMap((front) => Object.entries(UNITS).map(([figure, unit]) => [`${front}: ${figure}`, { unit }])),
) as Record<`${FrontName}: ${Figure}`, { unit: string }>;

const rows = {
  ...figureRows,
  "relay / direct, throughput": { unit: "" },
  "relay / haproxy, throughput": { unit: "", least: 0.667 },
  "relay / nginx, throughput": { unit: "" },
  "relay / caddy, throughput": { unit: "", least: 1 },
  "relay, a connection to the app for each request: throughput": { unit: "req/s" },
  "relay, a connection to the app for each request, its owner checked: throughput": { unit: "req/s" },
  "owner checked / not, throughput": { unit: "", least: 0.9 },
};

type Name = keyof typeof rows;

const CLIENTS = 32;

/** The app: as little work as there can be. */
const APP = `Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: () => new Response("hello") });`;

/** Programs of this bench, ended by their pids. */
export interface Host {
  folder: string;
  start(argv: readonly string[], env?: Record<string, string>): number;
  stop(): Promise<void>;
}

/** A folder, and what runs in it. */
export function host(): Host {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-bench-")));
  const running: Bun.Subprocess[] = [];
  return {
    folder,
    start(argv, env = {}) {
      const child = Bun.spawn([...argv], {
        cwd: folder,
        env: { ...plainEnv(), HOME: folder, ...env },
        stdio: ["ignore", "ignore", "ignore"],
      });
      running.push(child);
      return child.pid;
    },
    async stop() {
      for (const child of running.toReversed()) {
        child.kill("SIGTERM");
        const late = setTimeout(() => child.kill("SIGKILL"), 3_000);
        await child.exited;
        clearTimeout(late);
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What nginx and HAProxy tell the app of its client: the same four headers as the relay, as apps behind a proxy need. */
export const NGINX_FORWARDED = `
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;`;
export const HAPROXY_FORWARDED = `  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Real-IP %[src]
`;

/** A configuration of HAProxy with one backend. `more`: lines of its listen section; `connections`: of its clients, at most. */
export const haproxyText = (bind: string, to: number, more = "", connections = 4096) => `global
  maxconn ${connections}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen app
  bind ${bind}
${more}  server app 127.0.0.1:${to}
`;

/**
 * A configuration of nginx with one backend, whose connections it keeps. `listen`: lines of the server; `more`: of its
 * location; `connections`: of a worker, to both sides, at most.
 */
export const nginxText = (
  folder: string,
  to: number,
  listen: string,
  more = "",
  connections = 1024,
) => `worker_processes auto;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log;
events { worker_connections ${connections}; }
http {
  access_log off;
  client_body_temp_path ${folder}/nginx/body;
  proxy_temp_path ${folder}/nginx/proxy;
  fastcgi_temp_path ${folder}/nginx/fastcgi;
  uwsgi_temp_path ${folder}/nginx/uwsgi;
  scgi_temp_path ${folder}/nginx/scgi;
  keepalive_requests 1000000;
  upstream app { server 127.0.0.1:${to}; keepalive 64; keepalive_requests 1000000; }
  server {
    ${listen}
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";${more}
    }
  }
}
`;

/** A configuration of Caddy with one backend. */
export const caddyText = (port: number, to: number) => `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${to}
}
`;

const CONFIGS: Record<"haproxy" | "nginx" | "caddy", (port: number, to: number, folder: string) => string> = {
  haproxy: (port, to) => haproxyText(`127.0.0.1:${port}`, to, HAPROXY_FORWARDED),
  nginx: (port, to, folder) => nginxText(folder, to, `listen 127.0.0.1:${port};`, NGINX_FORWARDED),
  caddy: caddyText,
};

/** How each is started with its configuration. */
export const COMMANDS: Record<keyof typeof CONFIGS, (file: string) => string[]> = {
  haproxy: (file) => ["haproxy", "-db", "-q", "-f", file],
  nginx: (file) => ["nginx", "-e", `${file}.log`, "-c", file],
  caddy: (file) => ["caddy", "run", "--adapter", "caddyfile", "--config", file],
};

/** Starts a relay with its state in the host's folder; answers its pid. */
export async function startRelay(of: Host): Promise<number> {
  const folder = join(of.folder, "relay");
  const pid = of.start([...program("lib/fronts/relay/process.ts"), folder]);
  await until("the relay's start", () => relayAt(folder).isRunning());
  return pid;
}

/** Makes the relay send what comes to a port to another one. */
export async function route(of: Host, app: string, port: number, to: number, uid?: number): Promise<void> {
  const relay = relayAt(join(of.folder, "relay"));
  await relay.set({ app, listen: { host: "127.0.0.1", port }, protocol: "http", trustedProxies: [] });
  await relay.point(app, { id: "1-0000000", port: to, ...(uid === undefined ? {} : { uid }) });
}

/** Starts the small app; answers its port. */
export async function startApp(of: Host): Promise<number> {
  const port = await freePort();
  const file = join(of.folder, "app.ts");
  writeFileSync(file, APP);
  of.start([process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", file], { PORT: String(port) });
  await until("the app's start", async () => (await get(port, "/")) === "hello");
  return port;
}

/** Starts every front that is installed; answers their ports. */
async function startFronts(of: Host): Promise<Partial<Record<FrontName, number>>> {
  const to = await startApp(of);
  const ports: Partial<Record<FrontName, number>> = { direct: to, relay: await freePort() };
  await startRelay(of);
  await route(of, "app", ports.relay!, to);
  mkdirSync(join(of.folder, "nginx"));
  for (const name of ["haproxy", "nginx", "caddy"] as const) {
    const installed = Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` });
    if (installed === null) continue;
    const port = await freePort();
    const file = join(of.folder, `${name}.conf`);
    writeFileSync(file, CONFIGS[name](port, to, of.folder));
    const [, ...rest] = COMMANDS[name](file);
    of.start([installed, ...rest]);
    await until(`the start of ${name}`, async () => (await get(port, "/"))?.includes("hello"));
    ports[name] = port;
  }
  return ports;
}

/** What wrk says of one run. Throws when a request failed. */
export function wrk(
  port: number,
  seconds: number,
  headers: readonly string[] = [],
  proto: "http" | "https" = "http",
): Record<Figure, number> {
  const more = headers.flatMap((header) => ["-H", header]);
  // Over https the name is sent in the handshake.
  const host = proto === "https" ? "localhost" : "127.0.0.1";
  const argv = ["wrk", "-t1", `-c${CLIENTS}`, `-d${seconds}s`, "--latency", ...more, `${proto}://${host}:${port}/`];
  const text = Bun.spawnSync(argv, { stdin: "ignore" }).stdout.toString();
  return readWrk(text);
}

/** What it costs that the relay asks whose the app's end of each new connection is. */
async function measureOwners(of: Host, to: number, rounds: number, seconds: number): Promise<Measured<Name>["values"]> {
  const ports = [await freePort(), await freePort()] as const;
  await route(of, "plain", ports[0], to);
  await route(of, "owned", ports[1], to, process.getuid!());
  // Requests with a body: others of new clients share connections to the app.
  const fresh = async (port: number) =>
    (await runWrk(of.folder, port, seconds, { connections: CLIENTS, isFresh: true, upload: 1 })).throughput;
  const seen: (readonly [plain: number, owned: number])[] = [];
  for (let round = 0; round < rounds; round++) seen.push([await fresh(ports[0]), await fresh(ports[1])]);
  return {
    "relay, a connection to the app for each request: throughput": median(seen.map(([plain]) => plain)),
    "relay, a connection to the app for each request, its owner checked: throughput": median(
      seen.map(([, owned]) => owned),
    ),
    "owner checked / not, throughput": median(seen.map(([plain, owned]) => owned / plain)),
  };
}

async function measure({ isQuick, say }: Options): Promise<Measured<Name>> {
  const missing = ["wrk", "haproxy", "nginx", "caddy"].filter(
    (name) => Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` }) === null,
  );
  const notes = missing.map((name) => `${name} is not installed`);
  if (missing.includes("wrk")) return { values: {}, notes };
  const of = host();
  try {
    const ports = await startFronts(of);
    const [rounds, seconds] = isQuick ? [1, 1] : [5, 3];
    const seen: Partial<Record<FrontName, Record<Figure, number>[]>> = {};
    for (const port of Object.values(ports)) wrk(port, 1);
    for (let round = 0; round < rounds; round++) {
      for (const [name, port] of Object.entries(ports)) (seen[name as FrontName] ??= []).push(wrk(port, seconds));
      say(
        `fronts: round ${round + 1}, ${Object.entries(seen)
          .map(([name, all]) => `${name} ${Math.round(all.at(-1)!.throughput)}`)
          .join(", ")}`,
      );
    }
    notes.unshift(
      `wrk -t1 -c${CLIENTS} -d${seconds}s, ${rounds} rounds in turns, medians; ratios are medians of each round's`,
    );
    const owners = await measureOwners(of, ports.direct!, rounds, seconds);
    return { values: Object.assign(valuesOf(seen), owners), notes };
  } finally {
    await of.stop();
  }
}

function valuesOf(seen: Partial<Record<FrontName, Record<Figure, number>[]>>): Measured<Name>["values"] {
  const values: Measured<Name>["values"] = {};
  for (const front of FRONTS) {
    const all = seen[front];
    for (const figure of ["throughput", "p50", "p99"] as const)
      if (all) values[`${front}: ${figure}`] = median(all.map((one) => one[figure]));
    if (all && front !== "relay")
      values[`relay / ${front}, throughput`] = median(
        all.map((one, round) => seen.relay![round]!.throughput / one.throughput),
      );
  }
  return values;
}

export default section({ name: "fronts", rows, measure });
