// The proxies that the relay is measured beside, each before the same app with settings as alike as they can be.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { plainEnv } from "../../../lib/host/run.ts";
import { freePort } from "../../support/core-server.ts";
import { until } from "../../support/sandbox.ts";
import {
  caddyText,
  COMMANDS,
  HAPROXY_FORWARDED,
  haproxyText,
  NGINX_FORWARDED,
  nginxText,
  route,
  startRelay,
  type Host,
} from "../fronts.ts";
import { get } from "../timing.ts";
import { openFiles } from "./open-files.ts";
import { programPath } from "./packages.ts";

/** Every end that may be measured; "direct" is the app itself. */
export const PROXIES = ["direct", "relay", "nginx", "HAProxy", "Caddy", "kamal-proxy"] as const;
export type ProxyName = (typeof PROXIES)[number];

/** One that runs: its port on 127.0.0.1, and its first process. */
export interface Proxy {
  port: number;
  pid: number;
}

/** Connections that each process of nginx and HAProxy is set for: nginx counts those to the app, too. */
const connections = (sides: 1 | 2) => Math.min(32_000, Math.floor(openFiles() / sides) - 100);

// nginx passes an upgrade on only where it is told to.
const WEBSOCKETS = `
    location /ws {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }`;

type Start = (of: Host, port: number, to: number, kamalProxy?: string) => Promise<number>;

/** Starts a program of Debian's with its configuration. */
const configured =
  (name: keyof typeof COMMANDS, text: (folder: string, port: number, to: number) => string): Start =>
  async (of, port, to) => {
    const file = join(of.folder, `${name}.conf`);
    mkdirSync(join(of.folder, name), { recursive: true });
    writeFileSync(file, text(of.folder, port, to));
    const [program = "", ...rest] = COMMANDS[name](file);
    return of.start([programPath(program)!, ...rest]);
  };

/** kamal-proxy is told of the app by a command of its own, over a socket in the folder. */
const startKamal: Start = async (of, port, to, program = "") => {
  const env = { HOME: of.folder, KAMAL_PROXY_SOCKET: join(of.folder, "kamal.sock"), XDG_RUNTIME_DIR: of.folder };
  const https = String(await freePort());
  const pid = of.start([program, "run", "--http-port", String(port), "--https-port", https], env);
  const deploy = [program, "deploy", "app", "--target", `127.0.0.1:${to}`, "--health-check-path", "/"];
  const told = () => Bun.spawnSync(deploy, { env: { ...plainEnv(), ...env }, stdin: "ignore" }).exitCode === 0;
  await until("kamal-proxy's first deploy", told);
  return pid;
};

const STARTS: Record<Exclude<ProxyName, "direct">, Start> = {
  async relay(of, port, to) {
    const pid = await startRelay(of);
    await route(of, "app", port, to);
    return pid;
  },
  nginx: configured("nginx", (folder, port, to) =>
    nginxText(folder, to, `listen 127.0.0.1:${port};${WEBSOCKETS}`, NGINX_FORWARDED, connections(1)),
  ),
  HAProxy: configured("haproxy", (_folder, port, to) =>
    haproxyText(`127.0.0.1:${port}`, to, HAPROXY_FORWARDED, connections(2)),
  ),
  Caddy: configured("caddy", (_folder, port, to) => caddyText(port, to)),
  "kamal-proxy": startKamal,
};

/** Why one cannot be started here, or null. */
export function missing(name: ProxyName, kamalProxy: string | undefined): string | null {
  if (name === "kamal-proxy") return kamalProxy === undefined ? "no program was given: --kamal-proxy FILE" : null;
  const isOwn = name === "direct" || name === "relay";
  return isOwn || programPath(name.toLowerCase()) !== null ? null : "it is not installed";
}

/** Starts one before the app on port `to`, and waits until it answers. */
export async function startProxy(of: Host, name: ProxyName, to: Proxy, kamalProxy?: string): Promise<Proxy> {
  if (name === "direct") return to;
  const port = await freePort();
  const pid = await STARTS[name](of, port, to.port, kamalProxy);
  await until(`the start of ${name}`, async () => (await get(port, "/"))?.includes("hello"));
  return { port, pid };
}
