// TLS before the relay: nginx and Caddy with the documents' own examples, as processes of this test, on loopback.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { family } from "../../lib/host/process/process.ts";
import { load, type Load } from "../fronts/relay/support/load.ts";
import { blockWith } from "../support/documents.ts";
import { sandbox, until, type Sandbox } from "../support/sandbox.ts";
import { gentle, webApp } from "../support/server-web.ts";
import { claimPort } from "../support/port.ts";

const NAME = "shop.example.com";
/** Where a proxy listens, whom it asks, and the folder with its certificate. */
interface Place {
  folder: string;
  tls: number;
  app: number;
}

/** The documents' example with the server's own ports and certificate put in, and what runs it. */
const proxies: Record<string, (place: Place) => { text: string; argv: string[] }> = {
  nginx({ folder, tls, app }) {
    const ours = `listen 127.0.0.1:${tls} ssl;\n\tssl_certificate ${folder}/cert.pem;\n\tssl_certificate_key ${folder}/key.pem;`;
    const block = blockWith("proxy_pass")
      .replace(`server_name ${NAME};`, `server_name ${NAME};\n\t${ours}`)
      .replace(":8000", `:${app}`);
    const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((it) => `${it}_temp_path ${folder}/${it};`);
    const user = process.getuid?.() === 0 ? "user root;" : "";
    return {
      text: `daemon off;\nworker_processes 1;\n${user}\npid ${folder}/nginx.pid;\nevents {}\nhttp {\naccess_log off;\n${temps.join("\n")}\n${block}}\n`,
      argv: ["nginx", "-e", "stderr", "-p", folder, "-c", `${folder}/nginx.conf`],
    };
  },
  caddy({ folder, tls, app }) {
    const block = blockWith("reverse_proxy")
      .replace(`${NAME} {`, `https://${NAME}:${tls} {\n\tbind 127.0.0.1\n\ttls ${folder}/cert.pem ${folder}/key.pem`)
      .replace(":8000", `:${app}`);
    return {
      text: `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${block}`,
      argv: ["caddy", "run", "--adapter", "caddyfile", "--config", `${folder}/caddy.conf`],
    };
  },
};

// A descriptor may be closed meanwhile.
function linkOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return "";
  }
}

/** The inodes of the established connections from the children of a process to a port of this machine. */
function connectionsTo(port: number, parent: number): string[] {
  const own = family(parent).flatMap((pid) => readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(pid, fd)));
  const rows = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  const to = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const open = rows.filter(([, , remote, state]) => remote?.endsWith(to) && state === "01");
  return open.flatMap(([, , , , , , , , , inode]) => (own.includes(`socket:[${inode}]`) ? [inode!] : []));
}

const names = Object.keys(proxies);
const PATH = `${process.env["PATH"]}:/usr/sbin`;
const missing = [...names, "openssl", "curl"].filter((program) => Bun.which(program, { PATH }) === null);
if (missing.length > 0 && process.env["CI"] === "true" && process.getuid?.() === 0)
  throw new Error(`not installed: ${missing.join(", ")}`);

describe.skipIf(missing.length > 0)(`TLS${missing.length > 0 ? ` (skipped: no ${missing.join(", ")})` : ""}`, () => {
  let shop: Sandbox;
  let folder: string;
  const ports: Record<string, number> = {};
  const running: Bun.Subprocess[] = [];

  beforeAll(async () => {
    shop = await sandbox("shop");
    folder = mkdtempSync(join(tmpdir(), "dp-proxy-"));
    const subject = ["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME}`, "-days", "2"];
    const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    expect(Bun.spawnSync(["openssl", "req", "-x509", ...curve, ...subject, ...files]).exitCode).toBe(0);
    for (const name of names) await start(name);
    await shop.release(webApp("shop"));
    await trust("127.0.0.1");
  });
  afterAll(async () => {
    for (const child of running) child.kill("SIGTERM");
    await Promise.all(running.map((child) => child.exited));
    await shop?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  async function start(name: string): Promise<void> {
    const { port, release } = await claimPort();
    release(); // Caddy takes the same port for HTTP/3
    ports[name] = port;
    const { text, argv } = proxies[name]!({ folder, tls: ports[name]!, app: shop.port });
    writeFileSync(join(folder, `${name}.conf`), text);
    const log = openSync(join(folder, `${name}.log`), "a");
    const env = { PATH, HOME: folder, XDG_DATA_HOME: folder };
    running.push(Bun.spawn(argv, { cwd: folder, env, stdio: ["ignore", log, log] }));
    closeSync(log);
    await until(`${name} answers: ${join(folder, name)}.log`, async () => (await ask(name, "/")).code === 0);
  }

  /** Names the proxies whose word the relay believes; "" is nobody. */
  async function trust(address: string): Promise<void> {
    const config = join(shop.base, "config.yml");
    writeFileSync(config, readFileSync(config, "utf8").replace(/^trustedProxies:.*\n/m, ""));
    appendFileSync(config, `trustedProxies: [${address}]\n`);
    expect((await shop.dp("reconcile", "shop")).code).toBe(0);
  }

  /** curl over TLS through a proxy, as a client at 127.0.0.9. */
  async function ask(name: string, path: string, ...more: string[]) {
    const port = ports[name]!;
    const to = ["--cacert", join(folder, "cert.pem"), "--resolve", `${NAME}:${port}:127.0.0.1`];
    const from = ["--interface", "127.0.0.9", "--noproxy", "*", "--max-time", "10"];
    return shop.start(["curl", "-sSN", ...to, ...from, ...more, `https://${NAME}:${port}${path}`]).done;
  }
  const headersOf = async (argv: Promise<{ stdout: string }>) => {
    const said = JSON.parse((await argv).stdout) as Record<string, string>;
    return Object.fromEntries(Object.entries(said).map(([name, value]) => [name.toLowerCase(), value]));
  };
  const spoof = [
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Host: 6.6.6.6",
    "X-Forwarded-Proto: gopher",
    "X-Real-IP: 6.6.6.6",
    "Forwarded: for=6.6.6.6",
  ];
  const spoofed = spoof.flatMap((header) => ["-H", header]);

  test.each(names)("%s: pages and uploads", async (name) => {
    expect((await ask(name, "/")).stdout).toBe(shop.link("current")!);
    expect((await ask(name, "/echo", "--data-binary", "x".repeat(100_000))).stdout).toHaveLength(100_000);
    expect((await ask(name, "/health", "-o", "/dev/null", "-w", "%{http_code}")).stdout).toBe("200");
  });

  test("nginx keeps its connections to the relay", async () => {
    const open = () => new Set(connectionsTo(shop.port, running[names.indexOf("nginx")]!.pid));
    expect((await ask("nginx", "/")).code).toBe(0);
    const before = open();
    expect(before.size).toBeGreaterThan(0);
    for (let request = 0; request < 5; request++) expect((await ask("nginx", "/")).code).toBe(0);
    expect(open()).toEqual(before);
  });

  test.each(names)("%s: what the app streams arrives as it is sent", async (name) => {
    const { stdout } = await ask(name, "/stream", "-w", " %{time_starttransfer} %{time_total}");
    const [body, first, total] = stdout.split(" ");
    expect(body).toBe("event".repeat(3));
    expect(Number(total) - Number(first)).toBeGreaterThan(1);
  });

  test.each(names)("%s: the app learns of the client, and nothing that the client made up", async (name) => {
    const seen = await headersOf(ask(name, "/headers", ...spoofed));
    expect(seen).toMatchObject({
      "x-forwarded-for": "127.0.0.9, 127.0.0.1",
      "x-forwarded-proto": "https",
      "x-real-ip": "127.0.0.9",
    });
    expect(seen["host"]).toStartWith(NAME);
    expect(JSON.stringify(seen)).not.toContain("6.6.6.6");
  });

  test("without trustedProxies the relay believes nobody, through a proxy or not", async () => {
    await trust("");
    const own = { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-real-ip": "127.0.0.1" };
    const direct = shop.start(["curl", "-sS", "--noproxy", "*", ...spoofed, `http://127.0.0.1:${shop.port}/headers`]);
    for (const asked of [direct.done, ...names.map((name) => ask(name, "/headers", ...spoofed))]) {
      const seen = await headersOf(asked);
      expect(seen).toMatchObject(own);
      expect(JSON.stringify(seen)).not.toContain("6.6.6.6");
    }
    await trust("127.0.0.1");
  });

  test("five deploys under load through both: nothing fails, and nobody touches a proxy", async () => {
    const configs = names.map((name) => join(folder, `${name}.conf`));
    const state = () => configs.map((path) => [readFileSync(path, "utf8"), statSync(path).mtimeMs, statSync(path).ino]);
    const before = state();
    const host = { host: NAME, isSecure: true, websockets: 1, rate: 75 };
    const start = (name: string): Load =>
      load({ ...gentle, ...host, port: ports[name]!, paths: { ...gentle.paths, websocket: "/ws" } });
    const loads = names.map((name) => ({ name, load: start(name) }));
    const ids = [shop.link("current")!];
    for (let count = 0; count < 5; count++) ids.push(await shop.release({ version: `${count}` }));
    for (const { name, load } of loads) {
      const now = () => load.soFar();
      await until(`the newest release answers through ${name}`, () => ids.at(-1)! in now().answers);
      const { requests, failed, failures, answers, websockets } = await load.stop();
      console.log(`${name}: ${failed} of ${requests} failed over 5 deploys, ${websockets.opened} websockets`);
      expect({ failed, failures }).toEqual({ failed: 0, failures: [] });
      expect(Object.keys(answers)).toEqual(ids);
      expect(websockets.messages).toBeGreaterThan(10);
      expect(websockets.opened).toBeGreaterThan(1);
    }
    expect(state()).toEqual(before);
    expect(running.map((child) => child.exitCode)).toEqual([null, null]);
  });
});
