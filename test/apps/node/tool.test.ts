// A package manager that has to be fetched: whose settings are obeyed, and what is kept of it.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { networkLines } from "../../../lib/apps/node/fetch.ts";
import { readPackageManager } from "../../../lib/apps/node/lock.ts";
import { parsePackage } from "../../../lib/apps/node/package.ts";
import { findTool } from "../../../lib/apps/node/tool.ts";
import type { Place } from "../../../lib/contracts/app-type.ts";
import { run } from "../../../lib/host/run.ts";
import { nodeFolder } from "../../support/node-folder.ts";
import { packed, registry, type Packed, type Reached } from "../../support/npm-registry.ts";
import { cleanUp, pkg, recorder, release, scratch } from "./support.ts";

// The package comes over the network.
setDefaultTimeout(240_000);
afterAll(cleanUp);

const VERSION = "9.15.9";
const HASH =
  "68046141893c66fad01c079231128e9afb89ef87e2691d69e4d40eee228988295fd4682181bae55b58418c3a253bde65a505ec7c5f9403ece5cc3cd37dcf2531";
let pnpm: Packed;
let node = "";
beforeAll(async () => {
  pnpm = await packed("pnpm", VERSION);
  // A node of this file's own, whose global npmrc may be written. Its registry is nowhere: only what is said counts.
  node = await scratch();
  await run(["cp", "-al", `${await nodeFolder()}/.`, node]);
  await npmrc("");
});

const npmrc = async (text: string) => {
  await mkdir(join(node, "etc"), { recursive: true });
  await writeFile(join(node, "etc/npmrc"), text);
};

/** A release that asks for pnpm, on a server without it and without any registry. */
const wanting = async (files: Record<string, string> = {}, hash = "", base?: string): Promise<Place> => {
  const place = await release(
    { "package.json": pkg({ packageManager: `pnpm@${VERSION}${hash}` }), ...files },
    base === undefined ? {} : { base },
  );
  const nowhere = { npm_config_registry: undefined, npm_config_fetch_retries: "0" };
  Object.assign(place.env, { PATH: `${join(node, "bin")}:/usr/bin:/bin`, ...nowhere });
  delete place.env["npm_config_registry"];
  return place;
};

const find = async (place: Place) => {
  const { io, infos } = recorder();
  const manager = await readPackageManager(place.tree, parsePackage((await place.tree.read("package.json"))!));
  return { ...(await findTool(place, manager, null, io)), infos };
};

const METADATA = "/pnpm";
const ARCHIVE = `/pnpm/-/pnpm-${VERSION}.tgz`;

async function served(how: Reached, prepared: (from: { url: string; port: number }) => Promise<Place>) {
  const from = await registry(pnpm, how);
  try {
    const place = await prepared(from);
    const tool = await find(place);
    expect(tool.version).toBe(VERSION);
    expect(from.asked).toEqual([METADATA, ARCHIVE]);
    expect(await readdir(dirname(dirname(tool.folder!)))).not.toContain(".npmrc");
    return { tool, place };
  } finally {
    await from.stop();
    await npmrc("");
  }
}

test("the server's own npmrc says where it comes from", async () => {
  await served({}, async ({ url }) => {
    await npmrc(`registry=${url}/\n`);
    return wanting();
  });
});

test("a fetched npm goes on reading it, wherever the node lies that runs it", async () => {
  const from = await registry(await packed("npm", "9.9.4"));
  try {
    await npmrc(`registry=${from.url}/\n`);
    const place = await wanting({ "package.json": pkg({ packageManager: "npm@9.9.4" }) });
    const { folder, version } = await find(place);
    expect(version).toBe("9.9.4");
    // As with a node that dp has installed: beside it there are no settings.
    const other = await scratch();
    await run(["cp", "-al", `${await nodeFolder()}/.`, other]);
    const env = { PATH: `${folder}:${other}/bin:/usr/bin:/bin`, HOME: place.env["HOME"]! };
    const said = await run([join(folder!, "npm"), "config", "get", "registry"], { env, cwd: other });
    expect(said.text.trim()).toBe(`${from.url}/`);
  } finally {
    await from.stop();
    await npmrc("");
  }
});

test("so does the npmrc of the app's user", async () => {
  await served({}, async ({ url }) => {
    await npmrc("registry=http://127.0.0.1:9/\n");
    const place = await wanting();
    await writeFile(join(place.env["HOME"]!, ".npmrc"), `registry=${url}/\n`);
    return place;
  });
});

test("and the app's own, with a token out of its settings; what it says of its modules is not for this", async () => {
  const { tool } = await served({ token: "s3cret-token" }, async ({ url, port }) => {
    const token = `//127.0.0.1:${port}/:_authToken=$\{REGISTRY_TOKEN}\n`;
    const place = await wanting({ ".npmrc": `registry=${url}/\r\n${token}global=true\ndry-run=true\n` });
    place.env["REGISTRY_TOKEN"] = "s3cret-token";
    return place;
  });
  expect(tool.infos).toEqual([`fetching pnpm@${VERSION} with npm`]);
});

test("the server's proxy is asked, by the registry's name", async () => {
  await served({ as: "http://registry.invalid" }, async ({ url }) => {
    await npmrc(`registry=http://registry.invalid/\nproxy=${url}\n`);
    return wanting();
  });
});

test("a certificate that the app's npmrc names by a relative path is taken", async () => {
  const folder = await scratch();
  const request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"];
  await run([...request, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key", "-out", "cert"], { cwd: folder });
  const [key, cert] = [await readFile(join(folder, "key"), "utf8"), await readFile(join(folder, "cert"), "utf8")];
  await served({ tls: { key, cert } }, ({ url }) =>
    wanting({ ".npmrc": `registry=${url}/\ncafile=certs/own.pem\n`, "certs/own.pem": cert }),
  );
});

test("a registry that refuses: npm's words, nothing is left, and the next try is a new one", async () => {
  const from = await registry(pnpm, { token: "another" });
  await npmrc(`registry=${from.url}/\n`);
  const place = await wanting();
  await expect(find(place)).rejects.toMatchObject({
    exit: "command",
    lines: expect.arrayContaining([expect.stringContaining("E401")]),
  });
  expect(await readdir(join(place.base, "node"))).toEqual([]);
  await from.stop();
  await npmrc("");
  await served({}, async ({ url }) => {
    await npmrc(`registry=${url}/\n`);
    return place;
  });
});

test("it is fetched once; a hash that comes later is compared all the same", async () => {
  const from = await registry(pnpm);
  await npmrc(`registry=${from.url}/\n`);
  try {
    const first = await wanting();
    await find(first);
    expect((await find(await wanting({}, "", first.base))).infos).toEqual([]);
    expect(from.asked).toEqual([METADATA, ARCHIVE]);
    await expect(find(await wanting({}, `+sha512.0${HASH.slice(1)}`, first.base))).rejects.toMatchObject({
      exit: "config",
      message: expect.stringContaining("does not have the hash"),
    });
    expect((await find(await wanting({}, `+sha512.${HASH}`, first.base))).version).toBe(VERSION);
  } finally {
    await from.stop();
    await npmrc("");
  }
});

const corepack = Bun.which("corepack");
test.skipIf(corepack === null)("corepack's pnpm on PATH asks no network of its own", async () => {
  const shims = await scratch();
  await run([corepack!, "enable", "--install-directory", shims, "pnpm"], { env: { PATH: process.env["PATH"]! } });
  const { tool } = await served({}, async ({ url }) => {
    await npmrc(`registry=${url}/\n`);
    const place = await wanting();
    place.env["PATH"] = `${join(node, "bin")}:${shims}:/usr/bin:/bin`;
    return place;
  });
  expect(tool.folder).not.toBeNull();
});

test("of an app's npmrc only what says where packages come from, files by their whole path", () => {
  const lines = [
    "registry = https://a.example/",
    "@own:registry=https://b.example",
    "//b.example/:_authToken=${T}",
    "//b.example/:certfile=own.crt",
    'cafile = "certs/a.pem"',
    "cafile=/etc/a.pem",
    "cafile=~/a.pem",
    "cafile=${HOME}/a.pem",
    "ca[]=x",
    "https-proxy=http://p.example",
    "strict-ssl=false",
    "prefix=/x",
    "omit=dev",
    "; registry=https://c.example",
    "globalconfig=/x",
    "cache=/x",
  ];
  expect(networkLines(lines.join("\n"), "/app").split("\n")).toEqual([
    ...lines.slice(0, 3),
    "//b.example/:certfile=/app/own.crt",
    'cafile = "/app/certs/a.pem"',
    ...lines.slice(5, 11),
    "",
  ]);
});
