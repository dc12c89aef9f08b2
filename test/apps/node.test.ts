// Node apps as they are installed and built: real package managers, real packages, each release for itself.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { lstat, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Place, Runtime } from "../../lib/contracts/app-type.ts";
import node from "../../lib/apps/node.ts";
import type { DpError } from "../../lib/errors.ts";
import { run } from "../../lib/host/run.ts";
import { folderTree } from "../../lib/git/tree.ts";
import {
  after,
  cleanUp,
  handedOn,
  type Kind,
  lockedApp,
  LOCKS,
  nodePath,
  pkg,
  recorder,
  release,
  scratch,
  told,
  writeFiles,
} from "./node/support.ts";
import { nodeFolder } from "../support/node-folder.ts";

// Packages come over the network.
setDefaultTimeout(240_000);
afterAll(cleanUp);

const thrown = (promise: Promise<unknown>): Promise<DpError> =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: DpError) => error,
  );
const modules = async (place: Place) =>
  (await readdir(join(place.folder, "node_modules"))).filter((name) => !name.startsWith(".")).sort();
const kept = (place: Place) => readdir(join(place.base, "node"));
const next = (place: Place, id: string, files: Record<string, string>) => release(files, { base: place.base, id });
/** The programs that were run as installers. */
const installers = (argvs: string[][]) => argvs.filter((argv) => /\b(?:ci|install)$/.test(argv[1] ?? ""));
const build = (place: Place, runtime: Runtime, io: ReturnType<typeof recorder>["io"]) =>
  node.build!(after(place, runtime), io);

// The build has what only it needs, and leaves something behind in node_modules.
const BUILD = "node -e \"require('is-number'); require('fs').mkdirSync('node_modules/.made')\"";
const KINDS = Object.keys(LOCKS) as Kind[];

describe.each(KINDS)("with %s", (kind) => {
  // One app: a package manager that has to be fetched is fetched once.
  let base = "";
  beforeAll(async () => {
    base = await scratch();
  });

  test("a release has what the lock says, the build more, and the next release installs nothing", async () => {
    const files = await lockedApp(kind, { scripts: { build: BUILD } });
    const first = await release(files, { base });
    const one = recorder();
    const runtime = await node.install(first, one.io);
    expect(one.infos.at(-1)).toStartWith(`installing ${LOCKS[kind]} with `);
    expect(one.warnings).toEqual([]);
    expect(await modules(first)).toEqual(["is-number", "ms"]);
    await build(first, runtime, one.io);
    if (kind !== "bun") expect(one.infos.at(-1)).toBe(`build: ${BUILD}`);
    expect(await modules(first)).toEqual(["ms"]);
    expect(await readdir(join(first.folder, "node_modules"))).toContain(".made");
    expect(await told(first, runtime, "node -p 'require(\"ms\")(60000) + process.env.NODE_ENV'")).toBe("1mproduction");
    expect(runtime.path[0]).toBe(join(first.folder, "node_modules/.bin"));

    const second = await next(first, "2-bbbbbbb", { ...files, "more.js": "" });
    const two = recorder();
    const same = await node.install(second, two.io);
    expect(two.infos).toEqual([expect.stringMatching(/^dependencies unchanged \(modules [0-9a-f]{16}\)/)]);
    expect(installers(two.argvs)).toEqual([]);
    expect(same.dependencies).toBe(runtime.dependencies);
    await build(second, same, two.io);
    expect(await modules(second)).toEqual(["ms"]);

    // Twice is the same as once, also for a build that has lost what it needs.
    await build(second, same, two.io);
    expect(await modules(second)).toEqual(["ms"]);
    expect(two.warnings).toEqual([]);

    // No file of one release is a file of the other, of the archive or of the installer's cache.
    const file = "node_modules/ms/package.json";
    for (const place of [first, second]) expect((await lstat(join(place.folder, file))).nlink).toBe(1);
    expect(await readdir(second.folder)).not.toContain("package.json.dp");
    expect(await node.prune(first, [same], recorder().io)).toEqual([]);
    expect(await node.prune(first, [{ ...same, dependencies: null }], recorder().io)).toEqual([same.dependencies!]);
    expect(await told(second, same, "node -p 'require(\"ms\")(1000)'")).toBe("1s");
  });

  test("a lock that is behind package.json is refused in the installer's words, with what to type", async () => {
    const files = await lockedApp(kind, { devDependencies: { "is-number": "6.0.0" }, scripts: { build: "true" } });
    const error = await thrown(node.install(await release(files, { base, id: "3-ccccccc" }), recorder().io));
    expect(error.exit).toBe("command");
    expect(error.hint).toBe(`${kind === "berry" ? "yarn" : kind} install, commit ${LOCKS[kind]}, push`);
    expect(error.lines.join("\n")).toMatch(/in sync|not up to date|needs to be updated|YN0028|lockfile is frozen/);
    expect(error.message).not.toContain("--config.");
  });

  test("nothing is built: what only a build needs is never installed", async () => {
    const place = await release(await lockedApp(kind), { base, id: "4-ddddddd" });
    const said = recorder();
    const runtime = await node.install(place, said.io);
    await build(place, runtime, said.io);
    expect(await modules(place)).toEqual(["ms"]);
    expect(said.infos.at(-1)).toBe("nothing to build");
  });
});

describe("modules", () => {
  test("no dependencies: nothing is installed, and node is on PATH", async () => {
    const place = await release({ "server.js": "console.log(process.env.NODE_ENV)" });
    const said = recorder();
    const runtime = await node.install(place, said.io);
    expect(runtime).toMatchObject({ dependencies: null, env: { NODE_ENV: "production" } });
    expect(said.infos).toEqual([expect.stringMatching(/^no dependencies, node \d+\.\d+\.\d+$/)]);
    expect(installers(said.argvs)).toEqual([]);
    expect(await told(place, runtime, await node.command(place, runtime))).toBe("production");
    await build(place, runtime, said.io);
  });

  test("a node_modules that the commit has below is no installed one: it stays, and is kept for no other", async () => {
    const fixture = "test/some app/node_modules/fake/index.js";
    const files = { ...(await lockedApp("npm")), [fixture]: "one" };
    const first = await release(files);
    await writeFiles(first.folder, { "test/built/node_modules/x": "" });
    const { dependencies } = await node.install(first, recorder().io);
    expect(await Bun.file(join(first.folder, fixture)).text()).toBe("one");
    expect(await readdir(join(first.folder, "test/built"))).toEqual([]);
    const second = await next(first, "2-bbbbbbb", { ...files, [fixture]: "two" });
    expect((await node.install(second, recorder().io)).dependencies).toBe(dependencies);
    expect(await Bun.file(join(second.folder, fixture)).text()).toBe("two");
    expect(await modules(second)).toEqual(["ms"]);
  });

  test("one release cannot change what another one gets", async () => {
    const files = await lockedApp("npm");
    const first = await release(files);
    await node.install(first, recorder().io);
    await writeFile(join(first.folder, "node_modules/ms/index.js"), "module.exports = () => 'changed'");
    const second = await next(first, "2-bbbbbbb", files);
    const runtime = await node.install(second, recorder().io);
    expect(await told(second, runtime, "node -p 'require(\"ms\")(1000)'")).toBe("1s");
  });

  test("an install that was killed half way is done again; half an archive counts for nothing", async () => {
    const files = await lockedApp("npm", { scripts: { postinstall: "test -e node_modules/ms" } });
    const place = await release(files);
    await writeFiles(place.folder, {
      "node_modules/half/x": "",
      "package.json.dp": files["package.json"]!,
      "package.json": "{}",
    });
    await mkdir(join(place.base, "node"));
    await writeFile(join(place.base, "node/0123456789abcdef.tar.tmp.999999999"), "half");
    const { dependencies } = await node.install(place, recorder().io);
    expect(await modules(place)).toEqual(["is-number", "ms"]);
    expect(await Bun.file(join(place.folder, "package.json")).text()).toBe(files["package.json"]!);
    await node.prune(place, [{ path: [], env: {}, dependencies }], recorder().io);
    expect(await kept(place)).toEqual([dependencies!.split("/").at(-1)!]);

    // An archive that is damaged is thrown away, and everything is installed.
    await Bun.write(dependencies!, (await Bun.file(dependencies!).bytes()).slice(0, 3000));
    const second = await next(place, "2-bbbbbbb", files);
    const said = recorder();
    expect((await node.install(second, said.io)).dependencies).toBe(dependencies);
    expect(said.warnings).toEqual([expect.stringContaining("could not be used")]);
    expect(await modules(second)).toEqual(["is-number", "ms"]);
  });

  test("a time limit ends the installer, and the next install works", async () => {
    const place = await release(await lockedApp("npm"));
    // It takes connections and never answers: no machine is fast enough for the limit.
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const env = { ...place.env, npm_config_registry: `http://127.0.0.1:${silent.port}/` };
    const late = await thrown(node.install({ ...place, env, timeout: 300 }, recorder().io));
    expect(late).toMatchObject({ exit: "command", message: expect.stringContaining("did not end within") });
    expect(await readdir(place.base)).not.toContain("node");
    await node.install(place, recorder().io);
    expect(await modules(place)).toEqual(["ms"]);
  });

  test("the app's own install scripts run for each release, and nothing of them is kept for another", async () => {
    const scripts = { postinstall: "node mark.js", prepare: 'echo "$npm_lifecycle_event" >> ran' };
    // Longer than one word of a command may be.
    const files = await lockedApp("npm", { scripts, description: "ä".repeat(100_000) });
    const mark = (text: string) => ({ "mark.js": `require("fs").writeFileSync("node_modules/ms/${text}", "")` });
    const first = await release({ ...files, ...mark("one") });
    const one = recorder();
    const { dependencies } = await node.install(first, one.io);
    expect(one.infos).toContain("postinstall: node mark.js");
    expect(await readdir(join(first.folder, "node_modules/ms"))).toContain("one");
    const second = await next(first, "2-bbbbbbb", { ...files, ...mark("two") });
    expect((await node.install(second, recorder().io)).dependencies).toBe(dependencies);
    const there = await readdir(join(second.folder, "node_modules/ms"));
    expect([there.includes("one"), there.includes("two")]).toEqual([false, true]);
    expect(await Bun.file(join(second.folder, "ran")).text()).toBe("prepare\n");

    const failing = await next(first, "3-ccccccc", { ...files, "mark.js": "process.exit(3)" });
    expect(await thrown(node.install(failing, recorder().io))).toMatchObject({ exit: "command" });
    expect(await Bun.file(join(failing.folder, "package.json")).text()).toBe(files["package.json"]!);
  });

  test("a workspace has node_modules in several places, and keeps them all", async () => {
    const member = (version: string) =>
      pkg({ name: "part", version: "1.0.0", dependencies: { ms: version }, private: undefined });
    const files = {
      "package.json": pkg({ workspaces: ["packages/*"], dependencies: { ms: "2.1.3", part: "*" } }),
      "packages/part/package.json": member("2.0.0"),
      "packages/part/index.js": 'module.exports = require("ms/package.json").version',
    };
    const folder = await scratch();
    await writeFiles(folder, files);
    const env = { ...handedOn(), PATH: await nodePath(), HOME: folder };
    await run(["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"], {
      env,
      cwd: folder,
      timeout: 120_000,
    });
    const locked = { ...files, "package-lock.json": await Bun.file(join(folder, "package-lock.json")).text() };
    const first = await release(locked);
    const { dependencies } = await node.install(first, recorder().io);
    expect(dependencies).not.toBeNull();
    const second = await next(first, "2-bbbbbbb", {
      ...locked,
      "packages/part/index.js": `${files["packages/part/index.js"]} + " two"`,
    });
    const said = recorder();
    const runtime = await node.install(second, said.io);
    expect(said.infos[0]).toStartWith("dependencies unchanged");
    // The link to the package leads into this release, and its own node_modules are there.
    expect(await told(second, runtime, "node -p 'require(\"part\")'")).toBe("2.0.0 two");
    const third = await next(first, "3-ccccccc", {
      ...locked,
      "packages/part/package.json": member("2.0.0").replace('"ms"', '"ms" '),
    });
    expect((await node.install(third, recorder().io)).dependencies).toBe(dependencies);
  });

  test("packages out of the repository itself are never kept for another release", async () => {
    const files = {
      "package.json": pkg({ dependencies: { part: "file:./part" } }),
      "package-lock.json": JSON.stringify({
        ...{ name: "app", version: "1.2.3", lockfileVersion: 3, requires: true },
        packages: {
          "": { name: "app", version: "1.2.3", dependencies: { part: "file:./part" } },
          "node_modules/part": { resolved: "part", link: true },
          part: { version: "1.0.0" },
        },
      }),
      "part/package.json": pkg({ name: "part", version: "1.0.0" }),
      "part/index.js": "module.exports = 1",
    };
    const place = await release(files);
    const runtime = await node.install(place, recorder().io);
    expect(runtime.dependencies).toBeNull();
    expect(await told(place, runtime, "node -p 'require(\"part\")'")).toBe("1");
  });

  test("no lock file: a warning, and nothing is kept", async () => {
    const place = await release({ "package.json": pkg({ dependencies: { ms: "2.1.3" } }) });
    const said = recorder();
    expect((await node.install(place, said.io)).dependencies).toBeNull();
    expect(said.warnings).toEqual([expect.stringMatching(/^no lock file: .*npm install, and commit/)]);
    expect(await modules(place)).toEqual(["ms"]);
    expect(await readdir(place.folder)).not.toContain("package-lock.json");
  });

  test("NODE_ENV=production among the settings does not take from the build what it needs", async () => {
    const place = await release(await lockedApp("npm", { scripts: { build: "node -e \"require('is-number')\"" } }));
    place.env["NODE_ENV"] = "production";
    const runtime = await node.install(place, recorder().io);
    await build(place, runtime, recorder().io);
    expect(await modules(place)).toEqual(["ms"]);
  });

  test("build: of deploy.yml comes before the script, and finds what is installed", async () => {
    const files = await lockedApp("npm", { scripts: { build: "exit 9" } });
    const place = await release(files);
    place.config = { ...place.config, build: "node -p 'require(\"is-number\")(1)' > made" };
    const runtime = await node.install(place, recorder().io);
    await build(place, runtime, recorder().io);
    expect(await Bun.file(join(place.folder, "made")).text()).toBe("true\n");
    const failing = await next(place, "2-bbbbbbb", files);
    const error = await thrown(build(failing, await node.install(failing, recorder().io), recorder().io));
    expect(error).toMatchObject({ exit: "command", message: expect.stringContaining("exited with code 9") });
  });

  test("a registry that is not there: the installer's words, and nothing is left that counts", async () => {
    const place = await release(await lockedApp("npm"));
    const env = { ...place.env, npm_config_registry: "http://127.0.0.1:9/", npm_config_fetch_retries: "0" };
    const error = await thrown(node.install({ ...place, env }, recorder().io));
    expect(error).toMatchObject({ exit: "command", hint: undefined });
    expect(error.lines.join("\n")).toContain("ECONNREFUSED");
    expect(await readdir(place.base)).not.toContain("node");
  });

  test("what a build needs stays, with a warning, when it cannot be removed", async () => {
    const place = await release(await lockedApp("bun", { scripts: { build: "true" } }));
    const runtime = await node.install(place, recorder().io);
    await rm(join(place.env["HOME"]!, ".bun"), { recursive: true });
    place.env["npm_config_registry"] = "http://127.0.0.1:9/";
    const said = recorder();
    await build(place, runtime, said.io);
    expect(said.warnings).toEqual([
      expect.stringMatching(/^development dependencies stay: bun install .* exited with code 1$/),
    ]);
    expect(await modules(place)).toEqual(["is-number", "ms"]);
    expect(await readdir(place.folder)).not.toContain("node_modules.built");
  });

  // Debian has www-data; only root can become it.
});

describe("versions", () => {
  /** A program that answers as node does when it is asked what it is. */
  async function fakeNode(folder: string, version: string, lts: string | null = null): Promise<void> {
    await mkdir(folder, { recursive: true });
    const answer = JSON.stringify([version, lts, "linux-x64-0"]);
    await writeFile(join(folder, "node"), `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 });
  }

  test("none that fits: an error that names what is installed, and where the wish is written", async () => {
    const place = await release({
      ".nvmrc": "4\n",
      "server.js": "",
      "package.json": pkg({ engines: { node: ">=4" } }),
    });
    const error = await thrown(node.install(place, recorder().io));
    const version = (await run([`${await nodeFolder()}/bin/node`, "-p", "process.versions.node"])).text;
    expect(error.exit).toBe("host");
    expect(error.message).toStartWith(
      "the app wants node 4 (.nvmrc) and >=4 (engines.node in package.json), this server has ",
    );
    expect(error.message).toContain(version);
    expect(error.hint).toBe("dp runtimes install node 4, or change .nvmrc");
  });

  test("no node at all", async () => {
    const error = await thrown(
      node.install(await release({ "server.js": "" }, { env: { PATH: await scratch(), HOME: "/" } }), recorder().io),
    );
    expect(error).toMatchObject({ exit: "host", message: "there is no node on the app's PATH" });
  });

  test("the first on PATH when it fits, else the newest that fits, of version managers too, and its folder leads PATH", async () => {
    const place = await release({ "server.js": "" });
    const [a, b] = [await scratch(), await scratch()];
    await fakeNode(a, "18.20.0", "Hydrogen");
    await fakeNode(b, "20.1.0");
    const home = place.env["HOME"]!;
    const nvm = (version: string) => join(home, ".nvm/versions/node", version, "bin");
    await fakeNode(nvm("v22.1.0"), "22.1.0");
    await fakeNode(nvm("v22.9.0"), "22.9.0", "Jod");
    await fakeNode(join(home, ".local/share/fnm/node-versions/v16.0.0/installation/bin"), "16.0.0", "Gallium");
    const env = { ...place.env, PATH: `${a}:${b}:/usr/bin:/bin` };
    const chosen = async (wish: string) => {
      const files = { "server.js": "", ...(wish === "" ? {} : { ".nvmrc": wish }) };
      const { path } = await node.install({ ...(await next(place, "2-bbbbbbb", files)), env }, recorder().io);
      return path.slice(1);
    };
    expect(await chosen("")).toEqual([]);
    expect(await chosen("18")).toEqual([]);
    expect(await chosen("22")).toEqual([nvm("v22.9.0")]);
    expect(await chosen("22.1")).toEqual([nvm("v22.1.0")]);
    expect(await chosen("lts/jod")).toEqual([nvm("v22.9.0")]);
    expect(await chosen("16")).toEqual([join(home, ".local/share/fnm/node-versions/v16.0.0/installation/bin")]);
  });

  test("npm is missing: a clear error", async () => {
    const folder = await scratch();
    await symlink(`${await nodeFolder()}/bin/node`, join(folder, "node"));
    for (const name of ["sh", "find", "rm"]) await symlink(Bun.which(name)!, join(folder, name));
    const place = await release(await lockedApp("npm"));
    const error = await thrown(node.install({ ...place, env: { ...place.env, PATH: folder } }, recorder().io));
    expect(error).toMatchObject({
      exit: "host",
      message: "there is no npm on the app's PATH",
    });
  });

  test("packageManager is taken exactly, once for all releases, and its hash is checked", async () => {
    const HASH =
      "68046141893c66fad01c079231128e9afb89ef87e2691d69e4d40eee228988295fd4682181bae55b58418c3a253bde65a505ec7c5f9403ece5cc3cd37dcf2531";
    const pinned = (hash: string) => lockedApp("pnpm", { packageManager: `pnpm@9.15.9+${hash}` });
    const wrong = await release(await pinned("sha1.0123456789abcdef0123456789abcdef01234567"));
    const error = await thrown(node.install(wrong, recorder().io));
    expect(error).toMatchObject({
      exit: "config",
      message: expect.stringContaining("pnpm@9.15.9 does not have the hash"),
    });
    expect(await kept(wrong)).toEqual([]);

    const files = await pinned(`sha512.${HASH}`);
    const place = await next(wrong, "2-bbbbbbb", files);
    const said = recorder();
    const runtime = await node.install(place, said.io);
    expect(said.infos).toEqual(["fetching pnpm@9.15.9 with npm", expect.stringContaining("with pnpm 9.15.9,")]);
    expect(await told(place, runtime, "pnpm --version")).toBe("9.15.9");
    const again = recorder();
    await node.install(await next(wrong, "3-ccccccc", files), again.io);
    expect(again.infos).toEqual([expect.stringContaining("dependencies unchanged")]);
    expect(await node.prune(place, [runtime], recorder().io)).toEqual([]);
    expect((await node.prune(place, [], recorder().io)).map((path) => path.split("/").at(-1)!)).toContainEqual(
      expect.stringMatching(/^pnpm-9\.15\.9-sha512/),
    );
    expect(await kept(wrong)).toEqual([]);
  });

  test("an app of bun needs no node, and starts under bun; without a bun on PATH dp's own serves", async () => {
    const place = await release({
      ...(await lockedApp("bun")),
      "index.ts": "console.log(typeof Bun, process.env.NODE_ENV)",
    });
    const folder = await scratch();
    for (const name of ["sh", "find", "rm", "tar", "sync", "test", "touch"])
      await symlink(Bun.which(name)!, join(folder, name));
    const bare = { ...place, env: { ...place.env, PATH: folder } };
    const said = recorder();
    const runtime = await node.install(bare, said.io);
    expect(said.infos.at(-1)).toMatch(/^installing bun\.lock with bun (\S+), bun \1$/);
    const command = await node.command(bare, runtime);
    expect(command).toBe("bun index.ts");
    expect(await told(bare, runtime, command)).toBe("object production");
  });

  test("a node that is asked for is found for an app with bun's lock too", async () => {
    const place = await release({ ...(await lockedApp("bun")), ".nvmrc": "4", "index.js": "" });
    expect(await thrown(node.install(place, recorder().io))).toMatchObject({ exit: "host" });
    expect(await node.command(place, { path: [], env: {}, dependencies: null })).toBe("node index.js");
  });

  test("an older bun than packageManager names is not taken", async () => {
    const place = await release(await lockedApp("bun", { packageManager: "bun@99.0.0" }));
    expect(await thrown(node.install(place, recorder().io))).toMatchObject({
      exit: "host",
      message: expect.stringContaining("wants bun 99.0.0"),
    });
  });
});

test.each<[Record<string, string>, string | null]>([
  [{ "package.json": pkg({ scripts: { start: "node x" } }) }, "package.json"],
  [{ "package.json": pkg(), "server.js": "" }, "package.json"],
  [{ "package.json": pkg({ main: "a.js" }), "a.js": "" }, "package.json"],
  [{ "package.json": pkg(), "bun.lock": "{}", "index.ts": "" }, "package.json"],
  [{ "package.json": pkg({ scripts: { build: "vite build" } }), "index.html": "" }, null],
  [{ "package.json": pkg({ scripts: { start: "vite" } }), "requirements.txt": "django", "manage.py": "" }, null],
  [{ "package.json": "{", "server.js": "" }, null],
  [{ "server.js": "" }, null],
])("detect %j", async (files, because) => {
  const folder = await scratch();
  await writeFiles(folder, files);
  expect(await node.detect(folderTree(folder))).toEqual(because === null ? null : { command: null, because });
  await rm(folder, { recursive: true });
});
