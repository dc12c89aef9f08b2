// uv.lock and its form for pip: which packages, under which markers, and what only uv can do.
import { expect, test } from "bun:test";
import { readDefinition } from "../../../lib/apps/python/definition.ts";
import { pinnedRequirements } from "../../../lib/apps/python/pinned.ts";
import { parsePyproject } from "../../../lib/apps/python/pyproject.ts";
import { locksLocal, parseUvLock } from "../../../lib/apps/python/uv-lock.ts";
import { memoryTree } from "./support.ts";

const INDEX = '{ registry = "https://index.example/simple" }';
const ROOT = 'name = "hello"\nversion = "1"\nsource = { virtual = "." }';
const plain = parsePyproject("");

/** A locked package from the index, with one wheel. */
const locked = (name: string, version: string, rest = "", source = INDEX) =>
  `[[package]]\nname = "${name}"\nversion = "${version}"\nsource = ${source}\n${rest}\nwheels = [{ hash = "sha256:${name}${version}" }]\n`;
const lock = (...packages: string[]) => `version = 1\nrevision = 3\n${packages.join("\n")}`;
const root = (dependencies: string, rest = "") => `[[package]]\n${ROOT}\ndependencies = [${dependencies}]\n${rest}\n`;
const pin = (text: string, project = plain) => pinnedRequirements(parseUvLock(text), project).trimEnd().split("\n");

test("what the app reaches is pinned with all its hashes, and nothing else", () => {
  const text = lock(
    root('{ name = "a" }', '[package.dev-dependencies]\ndev = [{ name = "tool" }]'),
    locked("a", "1.0", 'dependencies = [{ name = "b" }]\nsdist = { hash = "sha256:src" }'),
    locked("b", "2.0", 'dependencies = [{ name = "a" }]'),
    locked("tool", "9.0"),
  );
  expect(pin(text)).toEqual(["a==1.0 --hash=sha256:src --hash=sha256:a1.0", "b==2.0 --hash=sha256:b2.0"]);
});

test("markers add up along a way, and a way without one wins", () => {
  const a = `dependencies = [{ name = "c", marker = "os_name == 'nt'" }, { name = "d" }]`;
  const roots = `{ name = "a", marker = "python_version < '3.12'" }, { name = "b" }`;
  const text = lock(
    root(roots),
    locked("a", "1", a),
    locked("b", "1", 'dependencies = [{ name = "d" }]'),
    locked("c", "1"),
    locked("d", "1"),
  );
  expect(pin(text)).toEqual([
    "a==1 ; (python_version < '3.12') --hash=sha256:a1",
    "b==1 --hash=sha256:b1",
    "c==1 ; (os_name == 'nt') and (python_version < '3.12') --hash=sha256:c1",
    "d==1 --hash=sha256:d1",
  ]);
});

test("two ways with markers are joined by or", () => {
  const roots = `{ name = "a", marker = "os_name == 'nt'" }, { name = "a", marker = "os_name == 'posix'" }`;
  expect(pin(lock(root(roots), locked("a", "1")))).toEqual([
    "a==1 ; (os_name == 'nt') or (os_name == 'posix') --hash=sha256:a1",
  ]);
});

test("a package locked in two versions keeps both, each under its marker", () => {
  const edge = (version: string, marker: string) =>
    `{ name = "a", version = "${version}", source = ${INDEX}, marker = "${marker}" }`;
  const roots = `${edge("1", "python_full_version < '3.10'")}, ${edge("2", "python_full_version >= '3.10'")}`;
  expect(pin(lock(root(roots), locked("a", "1"), locked("a", "2")))).toEqual([
    "a==1 ; (python_full_version < '3.10') --hash=sha256:a1",
    "a==2 ; (python_full_version >= '3.10') --hash=sha256:a2",
  ]);
});

test("an extra brings its own dependencies, and only where it is asked for", () => {
  const extras = '[package.optional-dependencies]\nasync = [{ name = "b" }]\nother = [{ name = "c" }]\n';
  const a = `${locked("a", "1")}${extras}`;
  const packages = [a, locked("b", "1"), locked("c", "1")];
  expect(pin(lock(root('{ name = "a", extra = ["async"] }'), ...packages))).toEqual([
    "a==1 --hash=sha256:a1",
    "b==1 --hash=sha256:b1",
  ]);
  expect(pin(lock(root('{ name = "a" }'), ...packages))).toEqual(["a==1 --hash=sha256:a1"]);
});

test("the default groups of pyproject.toml count, dev never does", () => {
  const groups = '[package.dev-dependencies]\ndev = [{ name = "tool" }]\nprod = [{ name = "a" }]';
  const text = lock(root("", groups), locked("a", "1"), locked("tool", "1"));
  const project = parsePyproject('[tool.uv]\ndefault-groups = ["dev", "prod"]');
  expect(pin(text, project)).toEqual(["a==1 --hash=sha256:a1"]);
  expect(pin(text)).toEqual([""]);
});

test("an index that pyproject.toml declares is named to pip when the lock uses it", () => {
  const project = parsePyproject(
    '[[tool.uv.index]]\nurl = "https://own.example/simple/"\n[[tool.uv.index]]\nurl = "https://unused.example"\n',
  );
  const text = lock(root('{ name = "a" }'), locked("a", "1", "", '{ registry = "https://own.example/simple" }'));
  expect(pin(text, project)[0]).toBe("--extra-index-url https://own.example/simple/");
});

test.each([
  ["git", '{ git = "https://git.example/a?rev=main#abc" }', "a from git"],
  ["url", '{ url = "https://files.example/a.whl" }', "a from url"],
  ["a path", '{ path = "a.whl" }', "a from path"],
  ["a member of the workspace", '{ editable = "packages/a" }', "a from editable"],
])("%s needs uv", (_, source, message) => {
  const text = lock(root('{ name = "a" }'), locked("a", "1", "", source));
  expect(() => pin(text)).toThrow(expect.objectContaining({ exit: "host", message: expect.stringContaining(message) }));
});

test("a package without hashes needs uv, and so does a workspace without a root", () => {
  const bare = `[[package]]\nname = "a"\nversion = "1"\nsource = ${INDEX}\n`;
  expect(() => pin(lock(root('{ name = "a" }'), bare))).toThrow("a without a hash");
  expect(() => pin(lock(locked("a", "1")))).toThrow("a workspace without a package of its own");
});

test("a dependency that is not locked is an error of the lock", () => {
  expect(() => pin(lock(root('{ name = "a" }')))).toThrow("uv.lock: a is needed and not locked");
});

// 30 packages that all need each other under markers of their own: ways must not multiply without end.
test("a dense graph of markers ends", () => {
  const names = Array.from({ length: 30 }, (_, index) => `p${index}`);
  const edges = names
    .map((name, index) => `{ name = "${name}", marker = "python_version != '3.${index % 4}'" }`)
    .join(", ");
  const text = lock(root(edges), ...names.map((name) => locked(name, "1", `dependencies = [${edges}]`)));
  expect(pin(text)).toHaveLength(30);
});

test.each([
  ['{ virtual = "." }', false],
  ['{ registry = "https://index.example/simple" }', false],
  ['{ git = "https://git.example/a" }', false],
  ['{ url = "https://files.example/a.whl" }', false],
  ['{ editable = "." }', true],
  ['{ directory = "vendor/a" }', true],
  ['{ virtual = "packages/a" }', true],
  ['{ path = "a.whl" }', true],
  ['{ registry = "wheels" }', true],
])("source %s is local: %p", (source, isLocal) => {
  expect(locksLocal(parseUvLock(lock(locked("a", "1", "", source))))).toBe(isLocal);
});

test.each([
  ["version = 2", "uv.lock: version"],
  ["version = 1\n[[package]]\nname = 3", "uv.lock: package.0.name"],
  ["version = ", "uv.lock: TOML Parse error"],
])("%j is refused", (text, message) => {
  expect(() => parseUvLock(text)).toThrow(message);
});

test("uv.lock comes before requirements.txt, and needs its pyproject.toml", async () => {
  const text = lock(root('{ name = "a" }'), locked("a", "1"));
  const both = memoryTree({ "uv.lock": text, "pyproject.toml": "", "requirements.txt": "flask" });
  expect(await readDefinition(both)).toMatchObject({ from: "uv.lock", isLocal: false, names: new Set(["a"]) });
  await expect(readDefinition(memoryTree({ "uv.lock": text }))).rejects.toThrow("uv.lock needs the pyproject.toml");
});

test("a lock of nothing but the app installs nothing", async () => {
  const tree = memoryTree({ "uv.lock": lock(root("")), "pyproject.toml": '[project]\nname = "hello"' });
  expect(await readDefinition(tree)).toBeNull();
});

const ofProject = (dependencies: string[], packages: string[]) =>
  memoryTree({
    "uv.lock": lock(...packages),
    "pyproject.toml": `[project]\nname = "hello"\ndependencies = ${JSON.stringify(dependencies)}`,
  });
const DIST = (...names: string[]) =>
  `[package.metadata]\nrequires-dist = [${names.map((name) => `{ name = "${name}", specifier = ">=1" }`).join(", ")}]`;

test.each([
  ["nothing but the app", ["Flask_Login>=0.6"], [root("")], "flask-login"],
  [
    "other packages",
    ["a", "gunicorn[gevent]>=20", "b==2"],
    [root('{ name = "a" }', DIST("a")), locked("a", "1")],
    "gunicorn, b",
  ],
  ["an extra", ["a"], [root("", DIST("a\", marker = \"extra == 'x'"))], "a"],
  ["what no marker excludes", ["b; os_name == 'nt'"], [root('{ name = "a" }', DIST("a")), locked("a", "1")], "b"],
])("a lock of %s that pyproject.toml has outgrown is refused", async (_, dependencies, packages, missing) => {
  await expect(readDefinition(ofProject(dependencies, packages))).rejects.toMatchObject({
    exit: "config",
    message: `uv.lock is out of date: pyproject.toml has ${missing}, which is not in it`,
    hint: "uv lock, commit, push",
  });
});

test.each([
  ["names in another spelling", ["A.b[x]>=1"], [root('{ name = "a-b" }', DIST("a-b")), locked("a-b", "1")]],
  ["a lock without metadata", ["a"], [root('{ name = "a" }'), locked("a", "1")]],
  ["a package for elsewhere", ["a; sys_platform == 'win32'"], [root("", DIST("a"))]],
  ["a package for elsewhere, without metadata", ["a; sys_platform == 'win32'"], [root("")]],
  ["a package of the lock that is needed no more", [], [root('{ name = "a" }', DIST("a")), locked("a", "1")]],
])("a lock is current: %s", async (_, dependencies, packages) => {
  const definition = await readDefinition(ofProject(dependencies, packages));
  expect(definition?.from).toBe(packages.length > 1 ? "uv.lock" : undefined);
});

test("the lock of a workspace is asked for what its member names", async () => {
  const member = memoryTree({ "pyproject.toml": '[project]\nname = "hello"\ndependencies = ["a", "b"]' });
  const text = lock(
    root('{ name = "a" }', DIST("a")).replace('"."', '"apps/hello"'),
    locked("a", "1"),
    locked("b", "1"),
  );
  const workspace = { lock: text, pyproject: "" };
  await expect(readDefinition(member, {}, workspace)).rejects.toThrow("pyproject.toml has b, which is not in it");
});

test("a lock that was made from other dependencies than those that are written is taken as it is", async () => {
  const own = '[[tool.uv.dependency-metadata]]\nname = "hello"\nrequires-dist = []';
  const pyproject = `[project]\nname = "hello"\ndependencies = ["a"]\n${own}`;
  expect(await readDefinition(memoryTree({ "uv.lock": lock(root("")), "pyproject.toml": pyproject }))).toBeNull();
});

test.each([
  ["only tools configured", { "pyproject.toml": "[tool.black]\nline-length = 100" }, null],
  ["no dependencies", { "pyproject.toml": '[project]\nname = "a"' }, null],
  [
    "dependencies",
    { "pyproject.toml": '[project]\ndependencies = ["flask"]' },
    { from: "pyproject.toml", isLocal: false },
  ],
  [
    "a package",
    { "pyproject.toml": '[project]\ndependencies = ["flask"]\n[build-system]\nrequires = []' },
    { isLocal: true },
  ],
  [
    "a package that uv shall not build",
    {
      "pyproject.toml":
        '[project]\ndependencies = ["flask"]\n[build-system]\nrequires = []\n[tool.uv]\npackage = false',
    },
    { isLocal: false },
  ],
  [
    "requirements first",
    { "pyproject.toml": '[project]\ndependencies = ["a"]', "requirements.txt": "b" },
    { from: "requirements.txt" },
  ],
  ["requirements beside Pipfile", { Pipfile: "", "requirements.txt": "b" }, { from: "requirements.txt" }],
])("definition: %s", async (_, files, expected) => {
  const definition = await readDefinition(memoryTree(files as unknown as Record<string, string>));
  if (expected === null) expect(definition).toBeNull();
  else expect(definition).toMatchObject(expected as object);
});

test.each(["poetry.lock", "Pipfile", "Pipfile.lock", "pylock.toml"])(
  "%s alone is refused with what to type",
  async (path) => {
    const tree = memoryTree({ [path]: "", "pyproject.toml": '[project]\ndependencies = ["a"]' });
    await expect(readDefinition(tree)).rejects.toMatchObject({
      exit: "config",
      hint: expect.stringContaining("requirements.txt"),
    });
  },
);
