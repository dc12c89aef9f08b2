// A registry of npm's on loopback with one real package in it: what is asked of it, and how.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../lib/host/run.ts";
import { handedOn, nodePath } from "../apps/node/support.ts";

/** A package as the registry gives it. */
export interface Packed {
  name: string;
  version: string;
  bin: Record<string, string>;
  archive: Buffer;
}

/** Fetches a package from the machine's own registry. */
export async function packed(name: string, version: string): Promise<Packed> {
  const folder = await mkdtemp(join(tmpdir(), "dp-pack-"));
  try {
    const env = { ...handedOn(), PATH: await nodePath(), HOME: folder };
    await run(["npm", "pack", `${name}@${version}`], { env, cwd: folder, timeout: 240_000 });
    const file = join(
      folder,
      readdirSync(folder).find((one) => one.endsWith(".tgz"))!,
    );
    const text = (await run(["tar", "-xOf", file, "package/package.json"])).text;
    return { name, version, bin: (JSON.parse(text) as Packed).bin, archive: readFileSync(file) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** How it is reached. */
export interface Reached {
  /** The name that packages are fetched by; default: its own address. Another one needs the registry as a proxy. */
  as?: string;
  /** Only who has this token is answered. */
  token?: string;
  tls?: { key: string; cert: string };
}

/** A registry; `asked`: the paths of all requests that it has answered with something. */
export interface Registry {
  url: string;
  port: number;
  asked: string[];
  stop(): Promise<void>;
}

const integrity = (archive: Buffer) => `sha512-${new Bun.CryptoHasher("sha512").update(archive).digest("base64")}`;

/** Starts it; `stop` ends it. */
export async function registry({ name, version, bin = {}, archive }: Packed, how: Reached = {}): Promise<Registry> {
  const asked: string[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    if (how.token !== undefined && request.headers.authorization !== `Bearer ${how.token}`)
      return void response.writeHead(401).end("{}");
    const path = (request.url ?? "").replace(/^https?:\/\/[^/]+/, "");
    const tarball = `${how.as ?? url}/${name}/-/${name}-${version}.tgz`;
    const dist = { tarball, integrity: integrity(archive) };
    const listing = { name, "dist-tags": { latest: version }, versions: { [version]: { name, version, bin, dist } } };
    const found = { [`/${name}`]: JSON.stringify(listing), [`/${name}/-/${name}-${version}.tgz`]: archive }[path];
    if (found === undefined) return void response.writeHead(404).end("{}");
    asked.push(path);
    response.writeHead(200).end(found);
  };
  const server: Server = how.tls ? createTlsServer(how.tls, answer) : createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `${how.tls ? "https" : "http"}://127.0.0.1:${port}`;
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url, port, asked, stop };
}
