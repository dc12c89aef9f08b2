// What TLS costs in the relay: beside the relay without it, and nginx, HAProxy and Caddy with it, in turns.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { relayAt } from "../../lib/fronts/relay/client.ts";
import { freePort } from "../support/core-server.ts";
import { until } from "../support/sandbox.ts";
import { haproxyText, host, nginxText, route, startApp, startRelay, wrk, type Host } from "./fronts.ts";
import { rss } from "./memory.ts";
import { median, section, type Measured, type Options } from "./section.ts";

const ENDS = ["plain relay", "relay", "nginx", "haproxy", "caddy"] as const;
type End = (typeof ENDS)[number];
type Seen = Record<End, { throughput: number; p99: number; fresh: number; memory: number }[]>;
/** What is measured of each, in the order of its rows. */
const FIGURES = ["throughput", "p99", "fresh", "memory"] as const;

const rowsOf = (end: End) =>
  [`${end}: throughput`, `${end}: p99`, `${end}: a connection a request`, `${end}: memory after the load`] as const;
const UNITS = ["req/s", "ms", "req/s", "MB"];
const rows = {
  ...(Object.fromEntries(ENDS.flatMap((end) => rowsOf(end).map((row, at) => [row, { unit: UNITS[at]! }]))) as Record<
    ReturnType<typeof rowsOf>[number],
    { unit: string }
  >),
  "relay with TLS / without, throughput": { unit: "", least: 0.5 },
  "relay / nginx, throughput with TLS": { unit: "" },
  "relay / haproxy, throughput with TLS": { unit: "" },
  "relay / caddy, throughput with TLS": { unit: "", least: 1 },
};
type Name = keyof typeof rows;

/** A certificate for localhost, with that of its CA, as CAs give them: `key.pem`, `cert.pem`, and both in `both.pem`. */
function makePair({ folder }: Host): void {
  const openssl = (line: string) => Bun.spawnSync(["openssl", ...line.split(" ")], { cwd: folder });
  const curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  openssl(`req -x509 ${curve} -days 2 -subj /CN=CA -keyout ca.key -out ca.pem`);
  openssl(`req ${curve} -subj /CN=localhost -keyout key.pem -out csr`);
  writeFileSync(join(folder, "ext"), "subjectAltName=DNS:localhost\n");
  openssl("x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem");
  Bun.spawnSync(["sh", "-c", "cat leaf.pem ca.pem > cert.pem && cat key.pem cert.pem > both.pem"], { cwd: folder });
}

const secureLines = (port: number, folder: string) => `listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;`;

const CONFIGS = {
  haproxy: (port: number, to: number, folder: string) =>
    haproxyText(`127.0.0.1:${port} ssl crt ${folder}/both.pem alpn http/1.1`, to),
  nginx: (port: number, to: number, folder: string) => nginxText(folder, to, secureLines(port, folder)),
  caddy: (port: number, to: number, folder: string) => `{
  admin off
  auto_https off
  servers {
    protocols h1 h2
  }
}
https://localhost:${port} {
  bind 127.0.0.1
  tls ${folder}/cert.pem ${folder}/key.pem
  reverse_proxy 127.0.0.1:${to}
}
`,
};

const COMMANDS: Record<keyof typeof CONFIGS, (file: string) => string[]> = {
  haproxy: (file) => ["-db", "-q", "-f", file],
  nginx: (file) => ["-e", `${file}.log`, "-c", file],
  caddy: (file) => ["run", "--adapter", "caddyfile", "--config", file],
};

/** A front under load: its port, and its first process. */
interface Place {
  port: number;
  pid: number;
}

/** Starts what is installed. */
async function startEnds(of: Host): Promise<Partial<Record<End, Place>>> {
  const to = await startApp(of);
  makePair(of);
  const [plain, https] = [await freePort(), await freePort()];
  const pid = await startRelay(of);
  const ends: Partial<Record<End, Place>> = { "plain relay": { port: plain, pid }, relay: { port: https, pid } };
  await serveDomain(of, plain, https, to);
  mkdirSync(join(of.folder, "nginx"));
  for (const name of ["nginx", "haproxy", "caddy"] as const) {
    const installed = Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` });
    if (installed === null) continue;
    const port = await freePort();
    const file = join(of.folder, `${name}.conf`);
    writeFileSync(file, CONFIGS[name](port, to, of.folder));
    ends[name] = { port, pid: of.start([installed, ...COMMANDS[name](file)]) };
  }
  for (const [name, { port }] of Object.entries(ends))
    if (name !== "plain relay") await until(`the start of ${name}`, () => answers(port));
  return ends;
}

/** The resident memory of a process and its children, in MB. */
function memoryOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return [pid, ...children.map(Number)].reduce((sum, each) => sum + rss(each), 0);
}

const answers = (port: number) =>
  fetch(`https://localhost:${port}/`, { tls: { rejectUnauthorized: false } } as RequestInit).then(
    async (answer) => (await answer.text()) === "hello",
    () => false,
  );

async function serveDomain(of: Host, plain: number, https: number, to: number): Promise<void> {
  const relay = relayAt(join(of.folder, "relay"));
  const at = (port: number) => ({ host: "127.0.0.1", port });
  const [names, http] = [join(of.folder, "names"), await freePort()];
  mkdirSync(join(names, "localhost"), { recursive: true });
  writeFileSync(join(names, "localhost/pair.pem"), await Bun.file(join(of.folder, "both.pem")).text());
  const folders = { certificates: names, challenges: join(of.folder, "challenges") };
  await relay.secure({ http: at(http), https: at(https), public: { http, https }, ...folders });
  await route(of, "app", plain, to);
  const tls = { http: "serve", hsts: 0 } as const;
  const base = { app: "app", listen: at(plain), protocol: "http" as const, trustedProxies: [] };
  await relay.set({ ...base, domains: [{ name: "localhost" }], tls });
}

async function measure({ isQuick, say }: Options): Promise<Measured<Name>> {
  const needed = ["wrk", "openssl"].filter((name) => Bun.which(name) === null);
  if (needed.length > 0) return { values: {}, notes: needed.map((name) => `${name} is not installed`) };
  const of = host();
  try {
    const ends = await startEnds(of);
    const [rounds, seconds] = isQuick ? [1, 1] : [5, 3];
    const seen: Partial<Seen> = {};
    for (let round = 0; round < rounds; round++)
      for (const [name, { port, pid }] of Object.entries(ends)) {
        const proto = name === "plain relay" ? "http" : "https";
        const { throughput, p99 } = wrk(port, seconds, [], proto);
        const fresh = wrk(port, seconds, ["Connection: close"], proto).throughput;
        (seen[name as End] ??= []).push({ throughput, p99, fresh, memory: memoryOf(pid) });
        say(`https: round ${round + 1}, ${name} ${Math.round(throughput)}`);
      }
    const notes = ENDS.filter((end) => ends[end] === undefined).map((end) => `${end} is not installed`);
    return { values: valuesOf(seen), notes };
  } finally {
    await of.stop();
  }
}

function valuesOf(seen: Partial<Seen>): Measured<Name>["values"] {
  const values: Measured<Name>["values"] = {};
  const ratio = (name: Name, one: End, other: End) => {
    const [own, others] = [seen[one], seen[other]];
    if (own && others)
      values[name] = median(own.map(({ throughput }, round) => throughput / others[round]!.throughput));
  };
  for (const end of ENDS) {
    const all = seen[end];
    if (all) for (const [at, row] of rowsOf(end).entries()) values[row] = median(all.map((one) => one[FIGURES[at]!]));
  }
  ratio("relay with TLS / without, throughput", "relay", "plain relay");
  for (const other of ["nginx", "haproxy", "caddy"] as const)
    ratio(`relay / ${other}, throughput with TLS`, "relay", other);
  return values;
}

export default section({ name: "https", rows, measure });
