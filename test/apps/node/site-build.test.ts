// The build of a static site has the node and the package manager that its commit asks for.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "../../../lib/contracts/app-type.ts";
import site from "../../../lib/apps/static.ts";
import { nodeFolder } from "../../support/node-folder.ts";
import { cleanUp, nodePath, pkg, recorder, release, told } from "./support.ts";

// The first to ask for node lays it out.
setDefaultTimeout(120_000);
afterAll(cleanUp);

/** A release of a static site with a build line. */
async function wanting(build: string | undefined, files: Record<string, string>, env?: Record<string, string>) {
  const place = await release(files, env === undefined ? {} : { env: { HOME: "/nowhere", ...env } });
  const config = { name: "site", type: "static", hooks: {}, ...(build === undefined ? {} : { build }) };
  return { ...place, config: config as unknown as Place["config"] };
}

/** A home in which nvm keeps the tests' node, and no node on PATH. */
async function nvm(place: Place, version: string): Promise<Place> {
  const folder = join(place.base, "home/.nvm/versions/node", version);
  await mkdir(folder, { recursive: true });
  await symlink(join(await nodeFolder(), "bin"), join(folder, "bin"));
  return { ...place, env: { PATH: "/nowhere", HOME: join(place.base, "home") } };
}

test("a node that is not on PATH is put there for the build, and recorded", async () => {
  const { io, infos } = recorder();
  const place = await nvm(await wanting("npm run build", { "package.json": pkg(), ".nvmrc": "22\n" }), "v22.1.0");
  const runtime = await site.install(place, io);
  expect(runtime.interpreter).toMatchObject({ name: "node", version: expect.stringMatching(/^22\./) as string });
  expect(infos.join()).toMatch(/^node 22\.\S+ for the build$/);
  expect(await told({ ...place, env: { ...place.env, PATH: "/usr/bin:/bin" } }, runtime, "node --version")).toStartWith(
    "v22.",
  );
});

test.each<[string, Record<string, string>, string]>([
  [".nvmrc", { ".nvmrc": "18\n" }, "the app wants node 18 (.nvmrc), this server has "],
  [
    ".nvmrc without package.json",
    { ".nvmrc": "18\n", "index.html": "" },
    "the app wants node 18 (.nvmrc), this server has ",
  ],
  [
    "engines",
    { "package.json": pkg({ engines: { node: "^18" } }) },
    "the app wants node ^18 (engines.node in package.json)",
  ],
])("%s that no node satisfies is refused with the command that brings it", async (_, files, message) => {
  const place = await wanting("./build.sh", files, { PATH: await nodePath() });
  const error = await site.install(place, recorder().io).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ exit: "host", hint: expect.stringContaining("dp runtimes install node ") as string });
  expect((error as Error).message).toStartWith(message);
});

test("no node at all: a line that needs it is refused, a script and a site without a build are not", async () => {
  const nowhere = { PATH: "/nowhere" };
  const files = { "package.json": pkg() };
  await expect(
    site.install(await wanting("npm ci && npm run build", files, nowhere), recorder().io),
  ).rejects.toMatchObject({
    message: "there is no node on the app's PATH",
  });
  for (const build of ["hugo", undefined]) {
    const { io, infos } = recorder();
    const runtime = await site.install(await wanting(build, files, nowhere), io);
    expect([runtime.path, runtime.interpreter, infos]).toEqual([[], undefined, ["nothing to install"]]);
  }
});

test("bun's lock file puts bun on PATH: the one that runs dp, where there is no other", async () => {
  const place = await wanting("bun run build", { "package.json": pkg(), "bun.lock": "{}" }, { PATH: "/usr/bin:/bin" });
  const runtime = await site.install(place, recorder().io);
  expect(await told(place, runtime, "bun --version")).toBe(Bun.version);
});

test("a package manager that packageManager names must be there, as for node apps", async () => {
  const folder = join((await wanting(undefined, {})).base, "bin");
  await mkdir(folder);
  await writeFile(join(folder, "pnpm"), "#!/bin/sh\necho 9.0.0\n", { mode: 0o755 });
  await symlink(join(await nodeFolder(), "bin/node"), join(folder, "node"));
  const files = { "package.json": pkg({ packageManager: "pnpm@9.15.9" }) };
  const place = await wanting("pnpm install && pnpm run build", files, { PATH: folder });
  await expect(site.install(place, recorder().io)).rejects.toMatchObject({
    exit: "host",
    message: "there is pnpm 9.0.0, not 9.15.9, on the app's PATH, and no npm to fetch it with",
  });
  // Another line does not use it.
  const other = await site.install({ ...place, config: { ...place.config, build: "node build.js" } }, recorder().io);
  expect(other.path).toEqual([]);
});
