// Domains of a relay under test: certificates that openssl makes, ports, and clients that check what they are given.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import type { Edge } from "../../../../lib/config/tls.ts";
import { freePort } from "../../../support/box-host.ts";

/** A certificate authority of the test's own, with the files of an edge. */
export interface Authority {
  folder: string;
  /** The root as PEM. */
  root: string;
  edge: Edge;
  /** Signs a key and certificate for names; as PEM, key first. */
  pair(name: string, days?: number): string;
  /** Writes a pair where the front reads it. */
  put(name: string, pair?: string): void;
  /** Writes the answer to a challenge. */
  challenge(token: string, text: string): void;
  end(): void;
}

function openssl(...argv: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...argv]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** `tls`: the folder of dp's certificates, for a front that dp tells of them; default: one of the authority's own. */
export async function makeAuthority(tls?: string): Promise<Authority> {
  const folder = mkdtempSync(join(tmpdir(), "dp-tls-"));
  const at = (name: string) => join(folder, name);
  openssl("req", "-x509", ...CURVE, "-keyout", at("ca.key"), "-out", at("ca.pem"), "-days", "9", "-subj", "/CN=test");
  const [http, https] = [await freePort(), await freePort()];
  const edge: Edge = {
    http: { host: "127.0.0.1", port: http },
    https: { host: "127.0.0.1", port: https },
    public: { http, https },
    certificates: join(tls ?? folder, "names"),
    challenges: join(tls ?? folder, "challenges"),
  };
  const authority: Authority = {
    folder,
    root: readFileSync(at("ca.pem"), "utf8"),
    edge,
    pair(name, days = 2) {
      openssl("req", ...CURVE, "-keyout", at("key"), "-out", at("csr"), "-subj", "/CN=leaf");
      writeFileSync(at("ext"), `subjectAltName=DNS:${name}\n`);
      const by = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("ext")];
      openssl("x509", "-req", "-in", at("csr"), ...by, "-days", String(days), "-out", at("cert"));
      return readFileSync(at("key"), "utf8") + readFileSync(at("cert"), "utf8");
    },
    put(name, pair = authority.pair(name)) {
      const place = join(edge.certificates, name.replace("*", "_"));
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, "pair.pem"), pair);
    },
    challenge(token, text) {
      const place = join(edge.challenges, ".well-known/acme-challenge");
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, token), text);
    },
    end: () => rmSync(folder, { recursive: true, force: true }),
  };
  return authority;
}

/** What curl got: status, head and body. */
export interface Got {
  code: number;
  status: number;
  head: string;
  body: string;
}

/** Asks a name over https or http, checked against the authority's root. */
export async function ask({ edge, folder }: Authority, url: string, ...more: string[]): Promise<Got> {
  const { protocol } = new URL(url);
  const { port } = protocol === "https:" ? edge.https : edge.http;
  const version = more.includes("--http2") ? [] : ["--http1.1"];
  const to = ["--connect-to", `::127.0.0.1:${port}`, "--cacert", join(folder, "ca.pem"), ...version];
  const child = Bun.spawn(["curl", "-sS", "-i", "--max-time", "30", ...to, ...more, url], {
    env: { PATH: process.env["PATH"]!, NO_PROXY: "*", HOME: "/nonexistent" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [text, code] = [await new Response(child.stdout).text(), await child.exited];
  const end = text.indexOf("\r\n\r\n");
  const [head, body] = end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end + 4)];
  return { code, status: Number(/^HTTP\/[\d.]+ (\d+)/.exec(head)?.[1] ?? 0), head, body };
}

/** A connection over https, once its handshake is complete. */
export async function secured({ edge, root }: Authority, name: string): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", port: edge.https.port, servername: name, ca: root });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  return socket;
}
