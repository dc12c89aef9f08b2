// Python apps as they are deployed: real pip, real uv, real packages, real servers.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Place, Runtime } from "../../lib/contracts/app-type.ts";
import python from "../../lib/apps/python.ts";
import type { DpError } from "../../lib/errors.ts";
import { run } from "../../lib/host/run.ts";
import { commitTree, folderTree } from "../../lib/git/tree.ts";
import {
  cleanUp,
  handedOn,
  pythonPath,
  recorder,
  release as newRelease,
  scratch,
  uvFolder as folderOfUv,
  writeFiles,
} from "./python/support.ts";

// Packages come over the network.
setDefaultTimeout(240_000);
afterAll(cleanUp);

const SMALL = "itsdangerous==2.2.0\n";

let caches: Promise<string> | undefined;

/** A release as its user has one, but for what takes time: a package is fetched once in this file, and not compiled. */
const release: typeof newRelease = async (files, options) => {
  const place = await newRelease(files, options);
  const folder = await (caches ??= scratch());
  const quick = { PIP_CACHE_DIR: join(folder, "pip"), UV_CACHE_DIR: join(folder, "uv"), PIP_NO_COMPILE: "1" };
  Object.assign(place.env, quick);
  return place;
};

let shared: Promise<{ place: Place; runtime: Runtime; infos: string[] }> | undefined;

/** A release with SMALL installed, and files with the names of standard modules: what several tests begin with. */
const installed = () =>
  (shared ??= (async () => {
    const trap = "raise SystemExit('the app was imported')";
    const place = await release({ "requirements.txt": SMALL, "pip.py": trap, "logging.py": trap, "venv.py": trap });
    const { io, infos } = recorder();
    return { place, runtime: await python.install(place, io), infos };
  })());

const uvFolder = async () => folderOfUv(async () => `${(await installed()).runtime.dependencies}/bin/python`);

/** What `python -c` prints in a runtime. */
async function told(place: Place, runtime: Runtime, code: string): Promise<string> {
  const PATH = [...runtime.path, place.env["PATH"]].join(":");
  const env = { ...place.env, ...runtime.env, PATH };
  return (await run(["sh", "-c", 'exec python3 -c "$1"', "sh", code], { env, cwd: place.release })).text;
}

const versionOf = (name: string) => `import importlib.metadata as m; print(m.version('${name}'))`;
const thrown = (promise: Promise<unknown>): Promise<DpError> =>
  promise.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: DpError) => error,
  );
const venvs = (place: Place) => readdir(join(place.base, "venvs"));
/** The programs that were run, without dp's questions about versions. */
const work = (argvs: string[][]) => argvs.filter((argv) => !argv.includes("-c") && !argv.includes("--version"));

test("no dependencies: no venv, nothing is run but the question for the version", async () => {
  const place = await release({ "main.py": "print(1)", "requirements.txt": "# none\n" });
  const { io, infos, argvs } = recorder();
  const runtime = await python.install(place, io);
  expect(runtime.dependencies).toBeNull();
  expect(runtime.env).toEqual({ PYTHONUNBUFFERED: "1" });
  expect(argvs.filter((argv) => argv.includes("venv") || argv.includes("pip"))).toEqual([]);
  expect(infos).toEqual([expect.stringMatching(/^no dependencies, python 3\.\d+\.\d+$/)]);
  expect(await told(place, runtime, "print('runs')")).toBe("runs");
});

test("files of the app with the names of standard modules do not disturb the installer", async () => {
  const { place, runtime, infos } = await installed();
  expect(infos).toEqual([expect.stringMatching(/^installing requirements\.txt with pip, python 3\./)]);
  expect(await readdir(join(runtime.dependencies!, "bin"))).toContain("pip");
  expect((await run([`${runtime.dependencies}/bin/pip`, "--version"], { env: place.env })).text).toStartWith("pip ");
});

test("variables that change what is installed change the venv, those that only say how do not", async () => {
  const { place, runtime } = await installed();
  const { dependencies } = runtime;
  const patient = { ...place, env: { ...place.env, PIP_TIMEOUT: "99", APP_KEY: "x" } };
  expect((await python.install(patient, recorder().io)).dependencies).toBe(dependencies);
  const early = { ...place, env: { ...place.env, PIP_PRE: "1" } };
  const other = (await python.install(early, recorder().io)).dependencies;
  expect(other).not.toBe(dependencies);
  expect(await python.prune(place, [runtime], recorder().io)).toEqual([other!]);
});

test("a build that was killed half way is wiped and done again; a marker without its folder counts for nothing", async () => {
  const { place, runtime: first } = await installed();
  const { dependencies } = first;
  await rm(`${dependencies}.json`);
  await writeFile(join(dependencies!, "half"), "");
  const again = recorder();
  const runtime = await python.install(place, again.io);
  expect(again.infos[0]).toStartWith("installing");
  expect(await readdir(dependencies!)).not.toContain("half");
  expect(await told(place, runtime, versionOf("itsdangerous"))).toBe("2.2.0");

  await rm(dependencies!, { recursive: true });
  const third = recorder();
  await python.install(place, third.io);
  expect(third.infos[0]).toStartWith("installing");
});

test("an unchanged set costs nothing, a changed one gets a venv of its own, prune removes what no release uses", async () => {
  const { place: first, runtime: before } = await installed();
  expect(await told(first, before, versionOf("itsdangerous"))).toBe("2.2.0");
  expect(before).toMatchObject({ path: [`${before.dependencies}/bin`], env: { VIRTUAL_ENV: before.dependencies! } });
  const marker = await lstat(`${before.dependencies}.json`);
  const folder = await lstat(before.dependencies!);

  const second = await release(
    { "requirements.txt": SMALL, "main.py": "print(2)" },
    { base: first.base, id: "2-bbbbbbb" },
  );
  const two = recorder();
  expect(await python.install(second, two.io)).toEqual(before);
  expect(work(two.argvs)).toEqual([]);
  expect(two.infos).toEqual([expect.stringMatching(/^dependencies unchanged \(venv [0-9a-f]{16}\)$/)]);
  expect(await lstat(`${before.dependencies}.json`)).toMatchObject({ ino: marker.ino, mtimeMs: marker.mtimeMs });
  expect(await lstat(before.dependencies!)).toMatchObject({ ino: folder.ino, mtimeMs: folder.mtimeMs });

  const third = await release({ "requirements.txt": `${SMALL}# changed\n` }, { base: first.base, id: "3-ccccccc" });
  const after = await python.install(third, recorder().io);
  expect(after.dependencies).not.toBe(before.dependencies);

  await mkdir(join(first.base, "venvs", "mine"));
  expect(await python.prune(first, [after], recorder().io)).toEqual([before.dependencies!]);
  const key = after.dependencies!.split("/").at(-1)!;
  expect((await venvs(first)).sort()).toEqual([key, `${key}.json`, "mine"].sort());
  expect(await python.prune(first, [after], recorder().io)).toEqual([]);
  expect(await told(third, after, versionOf("itsdangerous"))).toBe("2.2.0");
  // The first one's environment is gone.
  shared = Promise.resolve({ place: third, runtime: after, infos: [] });
});

test("a failing requirement shows pip's own words, leaves nothing, and the next install works", async () => {
  const place = await release({ "requirements.txt": "itsdangerous==0.0.999\n" });
  const error = await thrown(python.install(place, recorder().io));
  expect(error.exit).toBe("command");
  expect(error.lines.join("\n")).toContain("No matching distribution found for itsdangerous==0.0.999");
  expect(await venvs(place)).toEqual([]);

  // The same key: a time limit that nothing can keep, then one that it can.
  const next = await release({ "requirements.txt": SMALL }, { base: place.base, id: "2-bbbbbbb" });
  const late = await thrown(python.install({ ...next, timeout: 1 }, recorder().io));
  expect(late).toMatchObject({ exit: "command", message: expect.stringContaining("did not end within") });
  expect(await venvs(place)).toEqual([]);
  expect(await told(next, await python.install(next, recorder().io), versionOf("itsdangerous"))).toBe("2.2.0");
});

const SETUPTOOLS = 'requires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"';
const FLIT = 'requires = ["flit_core==3.12.0"]\nbuild-backend = "flit_core.buildapi"';

/** A package; flit builds one in a tenth of the time. */
const PACKAGE = (version: string, build = FLIT) => ({
  "pyproject.toml": `[project]\nname = "mine"\ndescription = "mine"\nversion = "${version}"\n[build-system]\n${build}\n`,
  "mine/__init__.py": "",
});

test("what is installed from the release itself is never shared", async () => {
  const files = (version: string) =>
    Object.fromEntries(Object.entries(PACKAGE(version)).map(([path, text]) => [`libs/${path}`, text]));
  const one = await release({ "requirements.txt": "./libs\n", ...files("1.0") });
  const two = await release({ "requirements.txt": "./libs\n", ...files("2.0") }, { base: one.base, id: "2-bbbbbbb" });
  const before = await python.install(one, recorder().io);
  const after = await python.install(two, recorder().io);
  expect(before.dependencies).toBe(join(one.base, "venvs/release-1-aaaaaaa"));
  expect(after.dependencies).toBe(join(one.base, "venvs/release-2-bbbbbbb"));
  expect(await told(one, before, versionOf("mine"))).toBe("1.0");
  expect(await told(two, after, versionOf("mine"))).toBe("2.0");
  expect(await python.prune(one, [after], recorder().io)).toEqual([before.dependencies!]);
});

test("pyproject.toml: its dependencies alone are shared, a package is built into a venv of its own", async () => {
  const plain = await release({
    "pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndependencies = ["itsdangerous==2.2.0"]\n',
  });
  const shared = await python.install(plain, recorder().io);
  expect(shared.dependencies).toMatch(/\/[0-9a-f]{16}$/);
  expect(await told(plain, shared, versionOf("itsdangerous"))).toBe("2.2.0");
  const packed = await release(PACKAGE("3.0", SETUPTOOLS));
  const own = await python.install(packed, recorder().io);
  expect(own.dependencies).toEndWith("/release-1-aaaaaaa");
  expect(await told(packed, own, versionOf("mine"))).toBe("3.0");
});

const LOCKED =
  '[project]\nname = "hello"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["jinja2<4", "colorama; sys_platform == \'win32\'"]\n[dependency-groups]\ndev = ["itsdangerous"]\n';

/** A pyproject.toml with the lock that uv makes of it. */
async function lockedFiles(): Promise<Record<string, string>> {
  const folder = await scratch();
  await writeFiles(folder, { "pyproject.toml": LOCKED });
  const env = { ...handedOn(), PATH: `${await uvFolder()}:${await pythonPath()}`, HOME: folder };
  await run(["uv", "lock"], { env, cwd: folder, timeout: 120_000 });
  return { "pyproject.toml": LOCKED, "uv.lock": await readFile(join(folder, "uv.lock"), "utf8") };
}

const INSTALLED =
  "import importlib.metadata as m; print(sorted(d.name.lower() + ' ' + d.version for d in m.distributions() if d.name not in ('pip', 'setuptools')))";

test("uv.lock is installed exactly, by uv where it is, else by pip, and a wrong hash stops it", async () => {
  const files = await lockedFiles();
  const slow = await release(files);
  const byPip = recorder();
  const withPip = await python.install(slow, byPip.io);
  expect(byPip.infos[0]).toStartWith("installing uv.lock with pip");

  const fast = await release(files, { base: slow.base, id: "2-bbbbbbb" });
  fast.env["PATH"] = `${await uvFolder()}:${fast.env["PATH"]}`;
  const byUv = recorder();
  const withUv = await python.install(fast, byUv.io);
  expect(byUv.infos[0]).toStartWith("installing uv.lock with uv");
  expect(withUv.dependencies).not.toBe(withPip.dependencies);
  const again = recorder();
  expect(await python.install(fast, again.io)).toEqual(withUv);
  expect(work(again.argvs)).toEqual([]);

  const version = (name: string) => new RegExp(`name = "${name}"\nversion = "(.*)"`).exec(files["uv.lock"]!)![1];
  const expected = `['jinja2 ${version("jinja2")}', 'markupsafe ${version("markupsafe")}']`;
  expect(await told(slow, withPip, INSTALLED)).toBe(expected);
  expect(await told(fast, withUv, INSTALLED)).toBe(expected);

  const forged = files["uv.lock"]!.replace(/sha256:[0-9a-f]{8}/g, "sha256:00000000");
  const other = await release({ ...files, "uv.lock": forged }, { base: slow.base, id: "3-ccccccc" });
  const error = await thrown(python.install(other, recorder().io));
  expect(error.lines.join("\n")).toContain("THESE PACKAGES DO NOT MATCH THE HASHES");
});

test("a lock whose app is a package: the app is installed too, into a venv of its own, with uv and with pip", async () => {
  const folder = await scratch();
  const head = '[project]\nname = "mine"\nversion = "5.0"\nrequires-python = ">=3.9"\n';
  const project = `${head}dependencies = ["itsdangerous==2.2.0"]\n[build-system]\n${SETUPTOOLS}\n`;
  await writeFiles(folder, { "pyproject.toml": project, "mine/__init__.py": "" });
  const withUv = `${await uvFolder()}:${await pythonPath()}`;
  await run(["uv", "lock"], { env: { ...handedOn(), PATH: withUv, HOME: folder }, cwd: folder, timeout: 120_000 });
  const files = {
    "pyproject.toml": project,
    "mine/__init__.py": "",
    "uv.lock": await readFile(join(folder, "uv.lock"), "utf8"),
  };
  for (const PATH of [withUv, await pythonPath()]) {
    const place = await release(files);
    place.env["PATH"] = PATH;
    const runtime = await python.install(place, recorder().io);
    expect(runtime.dependencies).toEndWith("/release-1-aaaaaaa");
    expect(await told(place, runtime, versionOf("mine"))).toBe("5.0");
    expect(await told(place, runtime, versionOf("itsdangerous"))).toBe("2.2.0");
  }
});

test("with uv, requirements and packages go the same way", async () => {
  const PATH = `${await uvFolder()}:${await pythonPath()}`;
  const place = await release({ "requirements.txt": SMALL });
  place.env["PATH"] = PATH;
  const runtime = await python.install(place, recorder().io);
  expect(await told(place, runtime, versionOf("itsdangerous"))).toBe("2.2.0");
  const packed = await release(PACKAGE("4.0"), { base: place.base, id: "2-bbbbbbb" });
  packed.env["PATH"] = PATH;
  expect(await told(packed, await python.install(packed, recorder().io), versionOf("mine"))).toBe("4.0");
  const failing = await release(
    { "requirements.txt": "itsdangerous==0.0.999\n" },
    { base: place.base, id: "3-ccccccc" },
  );
  failing.env["PATH"] = PATH;
  const error = await thrown(python.install(failing, recorder().io));
  expect(error.lines.join("\n")).toContain("there is no version of itsdangerous==0.0.999");
});

test("a python without venv says which package to install", async () => {
  const folder = await scratch();
  await writeFile(join(folder, "python3"), `#!/bin/sh\necho '["/usr/bin/python3.11", [3, 11, 2], true, false]'\n`, {
    mode: 0o755,
  });
  const place = await release({ "requirements.txt": SMALL }, { env: { PATH: folder } });
  const error = await thrown(python.install(place, recorder().io));
  expect(error).toMatchObject({ exit: "host", hint: "apt install python3.11-venv" });
});

test("the definition is read from the commit, whatever lies in the release's folder", async () => {
  const work = await scratch();
  await writeFiles(work, { "requirements.txt": "# nothing\n", "main.py": "print(1)" });
  const git = (...argv: string[]) =>
    run(["git", "-C", work, "-c", "user.name=a", "-c", "user.email=a@example.com", ...argv]);
  await git("init", "-q");
  await git("add", ".");
  await git("commit", "-q", "-m", "first");
  const sha = (await git("rev-parse", "HEAD")).text;
  const place = await release(
    { "requirements.txt": "itsdangerous==0.0.999\n" },
    { tree: commitTree(join(work, ".git"), sha) },
  );
  expect((await python.install(place, recorder().io)).dependencies).toBeNull();
});

// Debian has www-data; only root can become it.
test("links to a python from elsewhere are kept as long as a release uses them", async () => {
  const place = await release({ "requirements.txt": SMALL });
  const only = await scratch();
  await writeFile(join(only, "python"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  const links = await release(
    { "main.py": "" },
    { base: place.base, id: "2-bbbbbbb", env: { PATH: `${only}:/usr/bin:/bin` } },
  );
  const bare = await python.install(links, recorder().io);
  expect((await readdir(bare.path[0]!)).sort()).toEqual(["python", "python3"]);
  expect(await python.prune(place, [bare], recorder().io)).toEqual([]);
  expect(await python.prune(place, [], recorder().io)).toHaveLength(1);
  expect(await venvs(place)).toEqual([]);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a command as a manager does, and answers the first page that it serves. */
async function firstPage(place: Place, runtime: Runtime, command: string): Promise<string> {
  const port = await freePort();
  const env = {
    ...place.env,
    ...runtime.env,
    PATH: [...runtime.path, place.env["PATH"]].join(":"),
    PORT: `${port}`,
    DP_HOST: "127.0.0.1",
  };
  const child = Bun.spawn(["sh", "-c", command], {
    cwd: place.release,
    env,
    detached: true,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const deadline = Date.now() + 60_000;
  try {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
      if (answer) return await answer.text();
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`no page: ${await new Response(child.stderr).text()}`);
      await Bun.sleep(50);
    }
  } finally {
    process.kill(-child.pid, "SIGKILL");
    await child.exited;
  }
}

const FLASK = 'from flask import Flask\napp = Flask(__name__)\n@app.get("/")\ndef page():\n    return "from flask"\n';
const STARLETTE =
  'from starlette.applications import Starlette\nfrom starlette.responses import PlainTextResponse\nfrom starlette.routing import Route\nasync def page(request):\n    return PlainTextResponse("from starlette")\napp = Starlette(routes=[Route("/", page)])\n';

test.each([
  ["flask\ngunicorn\n", { "app.py": FLASK }, 'gunicorn --bind "$DP_HOST:$PORT" app:app', "from flask"],
  [
    "starlette\nuvicorn\n",
    { "src/main.py": STARLETTE },
    'uvicorn main:app --app-dir src --host "$DP_HOST" --port "$PORT"',
    "from starlette",
  ],
])("%j: the detected command serves", async (requirements, files, command, page) => {
  const place = await release({ "requirements.txt": requirements, ...(files as Record<string, string>) });
  const runtime = await python.install(place, recorder().io);
  expect(await python.command(place, runtime)).toBe(command);
  expect(await firstPage(place, runtime, command)).toBe(page);
  expect(await python.detect(place.tree)).toMatchObject({ command, because: "requirements.txt" });
});

test("a script without dependencies serves with python3, and a server that is not installed is asked for", async () => {
  const server =
    'import http.server, os\nhttp.server.HTTPServer((os.environ["DP_HOST"], int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()\n';
  const place = await release({ "main.py": server, "index.html": "from a script" });
  const runtime = await python.install(place, recorder().io);
  expect(await firstPage(place, runtime, await python.command(place, runtime))).toBe("from a script");

  const asgi = await release({ "main.py": STARLETTE });
  expect(await thrown(python.command(asgi, runtime))).toMatchObject({
    exit: "config",
    hint: expect.stringContaining("add uvicorn"),
  });
});

test.each([
  [{ "main.py": "print(1)" }, { command: "python3 main.py", because: "main.py" }],
  [
    { Procfile: "web: x", "requirements.txt": "flask" },
    { command: null, because: "requirements.txt" },
  ],
  [
    { "pyproject.toml": '[project]\ndependencies = ["Flask", "gunicorn"]', "app.py": FLASK },
    { because: "pyproject.toml", command: 'gunicorn --bind "$DP_HOST:$PORT" app:app' },
  ],
  [
    { Pipfile: "", "lib.py": "" },
    { command: null, because: "Pipfile" },
  ],
  [{ "package.json": "{}", "tools/a.py": "" }, null],
])("detect %j", async (files, expected) => {
  const folder = await scratch();
  await writeFiles(folder, files as Record<string, string>);
  expect(await python.detect(folderTree(folder))).toEqual(expected);
});
