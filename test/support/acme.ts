// A certificate authority that speaks ACME, with a DNS of its own: Debian's Pebble, on loopback, for one test file.
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { claimPort, freePort } from "./port.ts";
import { until } from "./box-host.ts";

const PROGRAMS = ["pebble", "pebble-challtestsrv", "lego", "openssl", "curl"];

/** The programs that these tests need and this machine lacks. */
export const missing = PROGRAMS.filter((name) => Bun.which(name) === null);

export interface Acme {
  /** The lines of tls.yml that lead to it. */
  settings: string;
  /** The port at which it looks for the answers to its challenges. */
  http: number;
  https: number;
  /** The file that vouches for the authority itself, as the settings name it. */
  ca: string;
  /** The key and certificate of its API, for localhost: another authority for tests may use them. */
  api: { key: string; cert: string };
  /** A file with the root of the certificates that it gives. */
  root: string;
  /** What it logged so far. */
  log(): string;
  /** Changes the DNS, where every name is 127.0.0.1 at first: `set-servfail`, `add-a`, `add-aaaa`, `set-txt`, ... */
  dns(what: string, value: object): Promise<void>;
  /** The address of the DNS for such changes. */
  dnsAdmin: string;
  /** Starts it, with more keys in its configuration. */
  start(more?: object): Promise<void>;
  /** Ends the authority; its DNS stays. It has forgotten all accounts when it is started again. */
  stop(): Promise<void>;
  end(): Promise<void>;
}

function openssl(folder: string, line: string): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...line.split(" ")], { cwd: folder });
  if (exitCode !== 0) throw new Error(stderr.toString());
}

/** The certificate of the authority's own API. */
function makeApiCertificate(folder: string): void {
  const curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  openssl(folder, `req -x509 ${curve} -keyout ca.key -out ca.pem -days 9 -subj /CN=test-ca`);
  openssl(folder, `req ${curve} -keyout api.key -out api.csr -subj /CN=localhost`);
  writeFileSync(join(folder, "ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  openssl(folder, "x509 -req -in api.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out api.pem -extfile ext");
}

/** A port that is free for UDP and TCP: `freePort` itself keeps the UDP socket of its own. */
async function freeDnsPort(): Promise<number> {
  const claim = await claimPort();
  claim.release();
  return claim.port;
}

/** Starts it; 20 % of all nonces are rejected, as by a busy authority. */
export async function startAcme(): Promise<Acme> {
  const folder = mkdtempSync(join(tmpdir(), "dp-acme-"));
  const at = (name: string) => join(folder, name);
  makeApiCertificate(folder);
  const [api, admin, dnsAdmin, http, https] = await Promise.all(Array.from({ length: 5 }, () => freePort()));
  const dns = await freeDnsPort();
  const pebble = {
    ...{ listenAddress: `127.0.0.1:${api}`, managementListenAddress: `127.0.0.1:${admin}` },
    ...{ certificate: at("api.pem"), privateKey: at("api.key"), httpPort: http, tlsPort: https },
  };
  const log = at("log");
  const spawn = (argv: string[], env: Record<string, string> = {}) => {
    const out = openSync(log, "a");
    return Bun.spawn(argv, { cwd: folder, env: { PATH: process.env["PATH"]!, ...env }, stdio: ["ignore", out, out] });
  };
  const off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""];
  const own = ["-dns01", `127.0.0.1:${dns}`, "-management", `127.0.0.1:${dnsAdmin}`];
  const names = spawn(["pebble-challtestsrv", ...off, ...own]);
  let authority: Bun.Subprocess | null = null;
  const acme: Acme = {
    settings:
      `directory: https://127.0.0.1:${api}/dir\ndirectoryCa: ${at("ca.pem")}\nresolver: 127.0.0.1:${dns}\n` +
      `http: 127.0.0.1:${http}\nhttps: 127.0.0.1:${https}\npublic: {http: ${http}, https: ${https}}\n`,
    ca: at("ca.pem"),
    api: { key: at("api.key"), cert: at("api.pem") },
    ...{ http: http!, https: https!, root: at("root.pem"), dnsAdmin: `127.0.0.1:${dnsAdmin}` },
    log: () => readFileSync(log, "utf8"),
    async dns(what, value) {
      const answer = await fetch(`http://127.0.0.1:${dnsAdmin}/${what}`, {
        method: "POST",
        body: JSON.stringify(value),
      });
      if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
    },
    async start(more = {}) {
      writeFileSync(at("pebble.json"), JSON.stringify({ pebble: { ...pebble, ...more } }));
      const env = { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "20", PEBBLE_AUTHZREUSE: "0" };
      authority = spawn(["pebble", "-config", at("pebble.json"), "-strict", "-dnsserver", `127.0.0.1:${dns}`], env);
      const tls = { ca: readFileSync(at("ca.pem"), "utf8") };
      const root = () => fetch(`https://127.0.0.1:${admin}/roots/0`, { tls } as RequestInit);
      await until("pebble answers", () =>
        root().then(
          ({ ok }) => ok,
          () => false,
        ),
      );
      writeFileSync(at("root.pem"), await (await root()).text());
    },
    async stop() {
      authority?.kill("SIGKILL");
      await authority?.exited;
    },
    async end() {
      await acme.stop();
      names.kill("SIGKILL");
      await names.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await acme.start();
  return acme;
}
