// `dp runtimes`: a real node out of npm's registry, a real python by uv, found by apps afterwards; and what is said when not.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findInterpreter } from "../../lib/apps/python/interpreter.ts";
import { run } from "../../lib/host/run.ts";
import * as ofNode from "../apps/node/support.ts";
import * as ofPython from "../apps/python/support.ts";
import { dp } from "../support/core-server.ts";
import { nodeSandbox } from "../support/node-run.ts";
import { registry } from "../support/npm-registry.ts";
import { pythonMirror, type Mirror } from "../support/python-mirror.ts";

// What is fetched comes over the network.
setDefaultTimeout(400_000);

let root = "";
let mirror: Mirror;
beforeAll(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "dp-runtimes-")));
  mirror = await pythonMirror();
});
afterAll(async () => {
  await mirror.stop();
  rmSync(root, { recursive: true });
  await ofPython.cleanUp();
});

const system = "/usr/bin:/bin";

/** `dp` on a server of its own, with these variables. */
async function typed(words: readonly string[], env: Record<string, string>, at = root) {
  const own = { ...ofNode.handedOn(), ...ofPython.handedOn(), PATH: system, HOME: root, DP_ROOT: at, ...env };
  const child = Bun.spawn([...dp, ...words], { env: own, stdin: "ignore", stdout: "pipe", stderr: "pipe", cwd: "/" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

interface Row {
  name: string;
  version: string;
  program: string;
  apps: string[];
}
const rows = async (at = root) => JSON.parse((await typed(["runtimes", "--json"], {}, at)).stdout) as Row[];
const left = (path: string) => readdirSync(join(root, "opt/dp-runtimes", path)).filter((name) => !name.startsWith("."));

test("an app that wants another node is told the command, which brings it: the next push is live on it", async () => {
  const box = await nodeSandbox();
  try {
    Object.assign(box.env, ofNode.handedOn());
    const server = `require("http").createServer((q, r) => r.end(process.version)).listen(process.env.PORT, "127.0.0.1")`;
    const files = {
      "server.js": server,
      "deploy.yml": `name: ${box.app}\ntype: node\nhealthCheck: /\n`,
      ".nvmrc": "18\n",
    };
    await box.commit(files);
    const refused = await box.push();
    expect(refused.text).toMatch(/the app wants node 18 \(\.nvmrc\), this server has /);
    const command = /dp (runtimes install node 18), or change \.nvmrc/.exec(refused.text)![1]!;
    const came = await box.dp(...command.split(" "));
    expect(`${came.code} ${came.text}`).toMatch(/^0 [^]*node 18\.\d+\.\d+ is there for all apps: /);
    expect((await box.push()).text).toContain("live: ");
    const version = await box.answer();
    expect(version).toStartWith("v18.");
    const [row] = (await rows(box.root)).filter(({ apps }) => apps.includes(box.app));
    expect(row).toMatchObject({ name: "node", version: version.slice(1) });
    expect(row!.program).toBe(join(box.root, "opt/dp-runtimes/node", version.slice(1), "bin/node"));

    // npm came with it, nobody but its owner can change it, and a second time nothing is done.
    const bin = join(box.root, "opt/dp-runtimes/node", version.slice(1), "bin");
    expect((await run([join(bin, "npm"), "--version"], { env: { PATH: bin, HOME: "/" } })).text).toStartWith("10.");
    expect(statSync(join(bin, "node")).mode & 0o777).toBe(0o755);
    const again = await box.dp(...command.split(" "));
    expect([again.code, again.text]).toEqual([0, expect.stringContaining("is there already")]);
    expect(readdirSync(join(box.root, "opt/dp-runtimes/node"))).toEqual([version.slice(1)]);
  } finally {
    await box.stop();
  }
});

test("without npm dp's own bun fetches it; without a registry it says what must be reachable, and nothing is left", async () => {
  const tools = join(root, "tools");
  mkdirSync(tools);
  for (const name of ["sh", "chmod", "sync"]) symlinkSync(Bun.which(name)!, join(tools, name));
  const refused = await typed(["runtimes", "install", "node", "20"], {
    PATH: tools,
    npm_config_registry: "http://127.0.0.1:9/",
  });
  expect([refused.code, refused.stderr]).toEqual([6, expect.stringContaining("bun could not fetch node-linux-")]);
  expect(refused.stderr).toContain("npm's registry must be reachable");
  expect(left("node")).toEqual([]);

  const from = await registry(await brokenNode());
  try {
    const broken = await typed(["runtimes", "install", "node", "20"], {
      PATH: tools,
      npm_config_registry: `${from.url}/`,
    });
    expect([broken.code, broken.stderr]).toEqual([
      8,
      expect.stringContaining("node came, and does not run on this server"),
    ]);
    expect(broken.stderr).toContain("  node: no\n");
    expect(broken.stderr).not.toContain("glibc");
    expect(from.asked).toHaveLength(2);
  } finally {
    await from.stop();
  }
  expect(readdirSync(join(root, "opt/dp-runtimes/node"))).toEqual([]);
});

test.each([
  [
    "error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory",
    "→ apt-get install libatomic1, then type it again",
  ],
  [
    "error while loading shared libraries: libodd.so.2: cannot open shared object file: No such file or directory",
    "→ install the package that has libodd.so.2, then type it again",
  ],
  ["/lib/x86_64-linux-gnu/libc.so.6: version GLIBC_2.38 not found", "→ it needs glibc, and newer versions a newer one"],
])("a node that says %s", async (said, hint) => {
  const tools = mkdtempSync(join(root, "tools-"));
  for (const name of ["sh", "chmod", "sync"]) symlinkSync(Bun.which(name)!, join(tools, name));
  const from = await registry(await brokenNode(said));
  try {
    const env = { PATH: tools, HOME: tools, npm_config_registry: `${from.url}/` };
    const { code, stderr } = await typed(["runtimes", "install", "node", "20"], env);
    expect([code, stderr]).toEqual([8, expect.stringContaining(said)]);
    expect(stderr).toContain(hint);
  } finally {
    await from.stop();
  }
});

test("of an open range the newest long-term node comes, and a newer one where the registry has none or it is named", async () => {
  const at = join(root, "long-term");
  const came = await typed(["runtimes", "install", "node", ">=20"], { HOME: join(root, "long-home") }, at);
  expect(`${came.code} ${came.stdout}${came.stderr}`).toMatch(/^0 [^]*node 24\.\d+\.\d+ is there for all apps/);

  const tools = join(root, "range-tools");
  mkdirSync(tools);
  for (const name of ["sh", "chmod", "sync"]) symlinkSync(Bun.which(name)!, join(tools, name));
  for (const [version, range, fetched] of [
    ["26.1.0", ">=20", ">=20"],
    ["26.1.0", "26", "26"],
    ["22.1.0", ">=20 || 18", ">=20 22.x"],
  ] as const) {
    const from = await registry({ ...(await brokenNode()), version });
    try {
      const env = { PATH: tools, HOME: tools, npm_config_registry: `${from.url}/` };
      const { stdout, stderr } = await typed(["runtimes", "install", "node", range], env, at);
      expect(`${stdout}${stderr}`).toContain("node came, and does not run on this server");
      const lines = stdout.split("\n").filter((line) => line.startsWith("fetching "));
      expect(lines.at(-1)).toBe(`fetching node-linux-${process.arch}@${fetched} with bun`);
    } finally {
      await from.stop();
    }
  }
});

test("without npm the registry and the certificate of ~/.npmrc count, also for the npm that dp's bun brings", async () => {
  const [tools, home, at] = [join(root, "own-tools"), join(root, "own-home"), join(root, "own-server")];
  for (const folder of [tools, home]) mkdirSync(folder);
  for (const name of ["sh", "chmod", "sync", "openssl"]) symlinkSync(Bun.which(name)!, join(tools, name));
  const request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"];
  await run([...request, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key", "-out", "cert"], { cwd: home });
  const [key, cert] = [await Bun.file(join(home, "key")).text(), await Bun.file(join(home, "cert")).text()];
  const from = await registry(await brokenNode(), { tls: { key, cert } });
  const asked = async (npmrc: string) => {
    writeFileSync(join(home, ".npmrc"), npmrc);
    const env = { PATH: tools, HOME: home, npm_config_registry: "", npm_config_cafile: "" };
    return (await typed(["runtimes", "install", "node", "20"], env, at)).stderr;
  };
  try {
    expect(await asked(`registry=${from.url}/\n`)).toContain("bun could not fetch");
    expect(from.asked).toEqual([]);
    expect(await asked(`registry=${from.url}/\ncafile=cert\n`)).toContain("node came, and does not run");
    expect(from.asked).toHaveLength(2);
  } finally {
    await from.stop();
  }
});

test("without npm a node comes whose npm bun cannot fetch as it is: npm 11, complete, with the server's settings", async () => {
  const [tools, at] = [join(root, "few-tools"), join(root, "few-server")];
  mkdirSync(tools);
  for (const name of ["sh", "chmod", "sync"]) symlinkSync(Bun.which(name)!, join(tools, name));
  const came = await typed(["runtimes", "install", "node", "24"], { PATH: tools, HOME: join(root, "few-home") }, at);
  expect(`${came.code} ${came.stdout}${came.stderr}`).toMatch(
    /^0 [^]*fetching npm@11 with npm[^]*is there for all apps/,
  );
  const [version] = readdirSync(join(at, "opt/dp-runtimes/node"));
  const place = join(at, "opt/dp-runtimes/node", version!);
  const env = { PATH: `${place}/bin`, HOME: "/" };
  expect((await run([join(place, "bin/npm"), "--version"], { env })).text).toStartWith("11.");
  expect((await run([join(place, "bin/npm"), "config", "get", "globalconfig"], { env })).text.trim()).toBe(
    join(place, "etc/npmrc"),
  );
  expect(readlinkSync(join(place, "etc/npmrc"))).toBe("/etc/npmrc");
});

/** A package that is called like node's and has a program that ends with 1. */
async function brokenNode(said = "no") {
  const folder = join(root, "broken");
  mkdirSync(join(folder, "package/bin"), { recursive: true });
  const name = `node-linux-${process.arch}`;
  writeFileSync(join(folder, "package/package.json"), JSON.stringify({ name, version: "20.0.0" }));
  writeFileSync(join(folder, "package/bin/node"), `#!/bin/sh\necho "node: ${said}" >&2\nexit 127\n`, { mode: 0o755 });
  await run(["tar", "-czf", "broken.tgz", "package"], { cwd: folder });
  return { name, version: "20.0.0", bin: {}, archive: Buffer.from(await Bun.file(join(folder, "broken.tgz")).bytes()) };
}

test("python: uv, fetched by pip, brings it from a mirror; apps find it when PATH has none that fits", async () => {
  const [minor] = /^\d+\.\d+/.exec(mirror.version)!;
  const PATH = await ofPython.pythonPath();
  const came = await typed(["runtimes", "install", "python", minor], { ...mirror.env, PATH });
  expect(`${came.code} ${came.stdout}${came.stderr}`).toMatch(/^0 fetching uv with pip\n[^]*is there for all apps: /);
  expect(came.stdout).toContain(`python ${mirror.version} is there for all apps: ${root}/opt/dp-runtimes/python/`);
  const [row] = (await rows()).filter(({ program }) => program.startsWith(root));
  expect(row).toMatchObject({ name: "python", version: mirror.version, apps: [] });
  expect(statSync(row!.program).mode & 0o022).toBe(0);

  const before = process.env["DP_ROOT"];
  process.env["DP_ROOT"] = root;
  try {
    const place = await ofPython.release({ ".python-version": minor }, { env: { PATH: "/nowhere", HOME: "/" } });
    const found = await findInterpreter(place, ofPython.recorder().io);
    expect([found.executable, found.hasVenv]).toEqual([row!.program, true]);
    const wants = await ofPython.release(
      { ".python-version": "python-3.7\n" },
      { env: { PATH: "/nowhere", HOME: "/" } },
    );
    await expect(findInterpreter(wants, ofPython.recorder().io)).rejects.toMatchObject({
      message: `the app wants python python-3.7 (.python-version), this server has ${mirror.version}`,
      hint: "dp runtimes install python 3.7, or change .python-version",
    });
  } finally {
    if (before === undefined) delete process.env["DP_ROOT"];
    else process.env["DP_ROOT"] = before;
  }
});

test("python: a version that uv does not know, a mirror that has it no more, no python to fetch uv with", async () => {
  const uv = await ofPython.uvFolder(
    async () => (await run(["python3", "-c", "import sys; print(sys.executable)"])).text,
  );
  const env = { ...mirror.env, PATH: `${uv}:${system}` };
  const other = join(root, "other");
  const unknown = await typed(["runtimes", "install", "python", "3.3"], env, other);
  expect([unknown.code, unknown.stderr]).toEqual([6, expect.stringContaining("→ uv python list shows what there is")]);
  mirror.close();
  const gone = await typed(["runtimes", "install", "python", mirror.version], env, other);
  expect([gone.code, gone.stderr]).toEqual([
    6,
    expect.stringContaining("UV_PYTHON_INSTALL_MIRROR=URL dp runtimes install"),
  ]);
  expect(gone.stderr).toContain("404");
  const none = await typed(["runtimes", "install", "python", "3.12"], { PATH: "/nowhere" }, other);
  expect([none.code, none.stderr]).toEqual([
    8,
    expect.stringContaining("there is no uv, and no python3 to fetch it with"),
  ]);
  expect(none.stderr).toContain("apt install python3-venv");
  expect((await rows(other)).filter(({ program }) => program.startsWith(root))).toEqual([]);
});

// Debian has www-data; only root can become it.
test.skipIf(process.getuid?.() !== 0)("without the right to write there it is typed as root", async () => {
  const closed = mkdtempSync(join(tmpdir(), "dp-closed-"));
  await run(["chmod", "755", closed]);
  const argv = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "--", ...dp];
  const env = { PATH: process.env["PATH"]!, HOME: "/nonexistent", DP_ROOT: closed };
  const came = await run([...argv, "runtimes", "install", "node", "20"], { env, check: false });
  rmSync(closed, { recursive: true });
  expect([came.code, came.text]).toEqual([
    8,
    expect.stringMatching(/cannot write into .*\(EACCES\)\n.*run it as root/),
  ]);
});

test.each([
  ["ruby 3", 'dp installs node and python, not "ruby"'],
  ["nodejs 20", 'dp installs node and python, not "nodejs"'],
  ["node", "dp runtimes install needs NAME and VERSION"],
  ["node latest", '"latest" is not a version of node'],
  ["node file:/etc", '"file:/etc" is not a version of node'],
  ["python 2.7", '"2.7" is not a version of python'],
  ["python ../3", '"../3" is not a version of python'],
])("dp runtimes install %s: exit code 2, and what to type", async (words, message) => {
  const { code, stderr } = await typed(["runtimes", "install", ...words.split(" ")], {}, join(root, "unused"));
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  expect(stderr).toMatch(/→ .*(dp runtimes install (node|python) \d|did you mean)/);
});

test("it lists what is on the server's PATH, as a table too", async () => {
  const listed = (await typed(["runtimes"], {}, join(root, "unused"))).stdout.split("\n");
  expect(listed[0]).toMatch(/^(RUNTIME +VERSION +PROGRAM +APPS|no node and no python yet)/);
});
