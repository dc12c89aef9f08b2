// install.sh, run for real into a temp HOME: what it installs, replaces, refuses and removes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
} from "node:fs";
import { statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { inTerminal } from "./support/typed.ts";

const project = resolve(import.meta.dir, "..");
const version = (await Bun.file(join(project, "package.json")).json()).version as string;
/** What `dp --version` prints of the project: its version, and the commit where git knows it. */
const described = Bun.spawnSync(["git", "-C", project, "describe", "--always", "--dirty", "--exclude=*"]);
const commit = existsSync(join(project, ".git")) && described.success ? described.stdout.toString().trim() : null;
const spoken = (text: string) => `dp ${text}${commit === null ? "" : ` (${commit})`}\n`;
// The installation takes a Bun; it must be the program itself, whatever PATH leads to.
const environment = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", DP_BUN: process.execPath };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-install-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function runProgram(argv: string[], env: Record<string, string> = {}, cwd = folder) {
  const child = Bun.spawn(argv, {
    cwd,
    env: { ...environment, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, out, err };
}

/** Runs an install.sh, the project's unless told otherwise, into a prefix below the test's folder. */
const install = (prefix: string, argv: string[] = [], env: Record<string, string> = {}, source = project) =>
  runProgram([join(source, "install.sh"), "--prefix", join(folder, prefix), ...argv], {
    HOME: join(folder, "home"),
    ...env,
  });

/** Everything below a folder that is not a folder. */
function filesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
}

const HARDENED = ["--no-env-file", "--config=/dev/null", "--tsconfig-override=/dev/null", "--no-install"];

/** The first line that comes in one of the streams. */
async function firstLine(streams: ReadableStream<Uint8Array>[]): Promise<string> {
  const readers = streams.map((stream) => stream.getReader());
  const chunk = await Promise.race(readers.map((reader) => reader.read()));
  for (const reader of readers) reader.releaseLock();
  return new TextDecoder().decode(chunk.value);
}

/** What a supervisor is told of a job that runs once. */
function jobSpec(line: string) {
  const script = join(folder, "old.sh");
  writeFileSync(script, line);
  return {
    ...{ app: "shop", id: "1-abcdef0.cron.once", folder, script, env: { PATH: "/usr/bin:/bin" } },
    ...{ user: null, uid: process.getuid!(), stopTimeout: 1000, restartDelay: null },
    ...{ log: join(folder, "old.log"), state: join(folder, "old.state.json") },
  };
}

describe("an installation", () => {
  // A space and a quote: the wrapper is a shell script with this path in it.
  const prefix = "pre fix's";
  const dp = () => join(folder, prefix, "bin/dp");
  beforeAll(async () => {
    const done = await install(prefix);
    expect(done.err).toContain(`dp ${version} is installed`);
    expect(done.code).toBe(0);
  });

  test("answers by both names", async () => {
    for (const name of ["dp", "deploy-paradigm"]) {
      const answer = await runProgram([join(folder, prefix, "bin", name), "--version"]);
      expect(answer).toEqual({ code: 0, out: spoken(version), err: "" });
    }
  });

  test("its steps, run by hand, need no Bun on PATH", async () => {
    for (const file of ["steps/swap.ts", "bin/dp"]) {
      const path = join(folder, prefix, "share/dp", file);
      const answer = await runProgram(["/usr/bin/env", "-i", "PATH=/usr/bin:/bin", path, "--version"]);
      expect(answer.err).not.toContain("No such file");
      expect(answer.code).toBe(file === "bin/dp" ? 0 : 2);
    }
  });

  test("shells find their completions, and what somebody else put there stays", async () => {
    const share = join(folder, prefix, "share");
    const files = ["bash-completion/completions/dp", "zsh/site-functions/_dp", "fish/vendor_completions.d/dp.fish"];
    for (const file of files)
      expect(await Bun.file(join(share, file)).text()).toMatch(/^# Completion of dp for \w+; written by dp/m);
    writeFileSync(join(share, files[0]!), "# mine\n");
    expect((await install(prefix)).err).toContain("left alone");
    expect(await Bun.file(join(share, files[0]!)).text()).toBe("# mine\n");
    rmSync(join(share, files[0]!));
    await install(prefix);
  });

  test("says how to reach it when it is not on PATH, and only then", async () => {
    const bin = join(folder, prefix, "bin");
    expect((await install(prefix)).err).toContain("not in your PATH");
    expect((await install(prefix, [], { PATH: `${environment.PATH}:${bin}` })).err).not.toContain("not in your PATH");
  });

  test("neither the current folder nor the environment gets code into dp", async () => {
    const evil = join(folder, "evil");
    mkdirSync(evil);
    const trace = join(folder, "trace");
    writeFileSync(join(evil, "evil.ts"), `require("node:fs").appendFileSync(${JSON.stringify(trace)}, "ran\\n");`);
    writeFileSync(join(evil, "bunfig.toml"), `preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n`);
    writeFileSync(join(evil, ".env"), `BUN_OPTIONS=--preload=./evil.ts\nDP_ROOT=relative\n`);
    // The trap works: plain bun walks into it.
    await runProgram([process.execPath, "-e", "0"], {}, evil);
    expect(existsSync(trace)).toBe(true);
    rmSync(trace);
    for (const env of [{}, { BUN_OPTIONS: `--preload=${evil}/evil.ts` }, { BUN_BE_BUN: "1" }] as Record<
      string,
      string
    >[]) {
      const answer = await runProgram([dp(), "--version"], env, evil);
      expect(answer).toEqual({ code: 0, out: spoken(version), err: "" });
    }
    expect(existsSync(trace)).toBe(false);
  });

  test("what dp writes into hooks and units outlives the next installations", async () => {
    const tree = join(folder, prefix, "share/dp");
    const script = `console.log(JSON.stringify((await import(${JSON.stringify(join(tree, "lib/host/self.ts"))})).SELF))`;
    const answer = await runProgram([join(tree, "bun/bin/bun"), "--no-install", "-e", script]);
    const paths = (JSON.parse(answer.out) as string[]).filter((word) => word.startsWith("/"));
    expect(paths).toEqual([join(tree, "bundle/dp")]);
  });

  test("is one program, which starts by its own bytecode", async () => {
    const program = join(folder, prefix, "share/dp/bundle/dp");
    const head = Buffer.alloc(4);
    const file = openSync(program, "r");
    readSync(file, head);
    closeSync(file);
    expect(head.toString("latin1")).not.toStartWith("#!");
    const { out, err } = await runProgram([dp(), "--version"], { BUN_JSC_verboseDiskCache: "1" });
    expect(out + err).toContain("Cache hit");
    expect(await runProgram([program, "--version"])).toEqual({ code: 0, out: spoken(version), err: "" });
  });

  test("by the path of bin/dp it starts from one file, by the bytecode of this very text and this very Bun", async () => {
    const tree = join(folder, prefix, "share/dp");
    const bundle = join(tree, "bundle/dp.js");
    const byPath = [join(tree, "bun/bin/bun"), ...HARDENED, join(tree, "bin/dp"), "--version"];
    const start = (env: Record<string, string> = {}) => runProgram(byPath, env);
    const hits = async () => {
      const { out, err } = await start({ BUN_JSC_verboseDiskCache: "1" });
      return (out + err).match(/Cache hit/g)?.length ?? 0;
    };
    expect(await hits()).toBeGreaterThan(0);
    const whole = readFileSync(bundle, "utf8");
    try {
      writeFileSync(bundle, whole.replace(`"${version}"`, `"9.9.9"`));
      expect(await hits()).toBe(0);
      expect((await start()).out).toBe(spoken("9.9.9"));
      writeFileSync(bundle, whole);
      expect(await hits()).toBeGreaterThan(0);
      rmSync(`${bundle}.jsc`);
      expect(await start()).toEqual({ code: 0, out: spoken(version), err: "" });
    } finally {
      writeFileSync(bundle, whole);
    }
  });

  test("programs that run long are compiled later, by variables that its Bun knows", async () => {
    const tree = join(folder, prefix, "share/dp");
    const file = join(tree, "bundle/variables");
    expect(readFileSync(file, "utf8")).toMatch(/^(?:BUN_JSC_\w+=\w+\n)+$/);
    const script = `console.log(JSON.stringify((await import(${JSON.stringify(join(tree, "lib/host/compilers.ts"))})).variables()))`;
    const ask = async () => {
      const { out } = await runProgram([join(tree, "bun/bin/bun"), "--no-install", "-e", script]);
      return JSON.parse(out) as Record<string, string>;
    };
    const env = await ask();
    expect(Object.keys(env)).not.toEqual([]);
    expect(await runProgram([join(tree, "bundle/dp"), "--version"], env)).toEqual({
      code: 0,
      out: spoken(version),
      err: "",
    });
    renameSync(file, `${file}.away`);
    try {
      expect(await ask()).toEqual({});
    } finally {
      renameSync(`${file}.away`, file);
    }
  });

  test("has everything in that file: each step, app type, manager and front is found by its name", async () => {
    const root = { DP_ROOT: join(folder, "nowhere") };
    const steps = readdirSync(join(project, "steps")).map((name) => name.replace(".ts", ""));
    const listed = (await runProgram([dp(), "step"], root)).out;
    for (const step of steps) expect(listed).toMatch(new RegExp(`^${step} +\\S`, "m"));
    const text = readFileSync(join(folder, prefix, "share/dp/bundle/dp.js"), "utf8");
    for (const kind of ["apps", "managers", "fronts"])
      for (const name of readdirSync(join(project, "lib", kind)).filter((file) => file.endsWith(".ts")))
        expect(text).toContain(`/lib/${kind}/${name}": () =>`);
  });

  test("its other programs, typed by hand, tell what they need", async () => {
    const typed = (path: string) => runProgram([dp(), "program", path]);
    for (const path of ["fronts/relay/process.ts", "apps/static/process.ts", "host/supervisor/supervisor.ts"]) {
      const { code, out, err } = await typed(`lib/${path}`);
      expect([path, code, out + err]).toEqual([path, 2, expect.stringMatching(/usage: \w+\.ts [A-Z]+\n$/)]);
    }
    expect((await typed("lib/nothing.ts")).err).toContain('unknown command "program"');
  });

  test("dp doctor names the program that is gone, which hooks start", async () => {
    const tree = join(folder, prefix, "share/dp");
    const program = join(tree, "bundle/dp");
    const ask = [join(tree, "bun/bin/bun"), ...HARDENED, join(tree, "bin/dp"), "doctor"];
    const root = { DP_ROOT: join(folder, "nowhere") };
    renameSync(program, `${program}.away`);
    try {
      expect((await runProgram(ask, root)).out).toContain(`${program}, which dp starts, is missing`);
    } finally {
      renameSync(`${program}.away`, program);
    }
    expect((await runProgram(ask, root)).out).not.toContain("is missing");
  });

  test("knows the commit that it was built from; without git it is the version alone", async () => {
    expect(readFileSync(join(folder, prefix, "share/dp/.commit"), "utf8").trim()).toBe(commit ?? "");
    // A copy of the sources in somebody else's repository: whose commit is none of dp's.
    const around = join(folder, "around");
    const copy = join(around, "dp");
    mkdirSync(copy, { recursive: true });
    await runProgram(["git", "-c", "init.defaultBranch=main", "init", around]);
    for (const part of ["bin", "lib", "templates", "package.json"])
      cpSync(join(project, part), join(copy, part), { recursive: true });
    symlinkSync(join(project, "node_modules"), join(copy, "node_modules"));
    const answer = await runProgram([process.execPath, ...HARDENED, join(copy, "bin/dp"), "--version"]);
    expect(answer).toEqual({ code: 0, out: `dp ${version}\n`, err: "" });
    const clone = await runProgram([process.execPath, ...HARDENED, join(project, "bin/dp"), "--version"]);
    expect(clone).toEqual({ code: 0, out: spoken(version), err: "" });
  });

  test("starts what dp 0.1.0 and 0.2.0 have named in units and guards, by the old paths", async () => {
    const tree = join(folder, prefix, "share/dp");
    const start = (path: string, ...argv: string[]) =>
      Bun.spawn([join(tree, "bun/bin/bun"), ...HARDENED, join(tree, path), ...argv], {
        env: environment,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
    for (const [path, says] of [
      ["lib/relay/process.ts", "the relay runs with 0 apps"],
      ["lib/static/process.ts", "the static server runs with 0 sites"],
    ] as const) {
      const daemon = start(path, join(folder, `${path.split("/")[1]}-by-old-path`));
      try {
        expect(await firstLine([daemon.stdout, daemon.stderr])).toContain(says);
      } finally {
        daemon.kill("SIGTERM");
      }
      expect([path, await daemon.exited]).toEqual([path, 0]);
    }
    const spec = join(folder, "old-spec.json");
    writeFileSync(spec, JSON.stringify(jobSpec("echo by the old path")));
    const supervisor = start("lib/builtin/supervisor.ts", spec);
    expect([await supervisor.exited, await supervisor.stderr.text()]).toEqual([0, ""]);
    expect(readFileSync(join(folder, "old.log"), "utf8")).toContain("by the old path");
    const later = start("bundle/supervisor.js", spec);
    expect([await later.exited, await later.stderr.text()]).toEqual([0, ""]);
  });

  test("prints the pages of its own folder", async () => {
    const { code, out } = await runProgram([dp(), "help", "shared-files"]);
    expect([code, out]).toEqual([0, expect.stringMatching(/^Shared files\n=+\n/)]);
    expect((await runProgram([dp(), "help", "topics"])).out).toMatch(/^rollback +Rollback$/m);
  });

  test("is closed to writing by others, whatever the umask, and holds no development packages", async () => {
    const done = await runProgram([
      "sh",
      "-c",
      'umask 0; exec "$@"',
      "sh",
      join(project, "install.sh"),
      "--prefix",
      join(folder, "open"),
    ]);
    expect(done.code).toBe(0);
    const tree = join(folder, "open/share/dp");
    for (const path of [...filesBelow(tree), tree]) {
      const mode = statSync(path).mode & 0o777;
      expect([path, mode === 0o755 || mode === 0o644]).toEqual([path, true]);
    }
    expect(
      readdirSync(join(tree, "node_modules"))
        .filter((name) => !name.startsWith("."))
        .sort(),
    ).toEqual(Object.keys((await Bun.file(join(project, "package.json")).json()).dependencies).sort());
  });
});

describe("a changed source", () => {
  // A small source of its own: what dp is does not matter here, only that it moves.
  const source = () => join(folder, "source");
  const setVersion = (text: string) => writeFileSync(join(source(), "lib/main.js"), `console.log("dp ${text}");\n`);
  beforeAll(() => {
    mkdirSync(join(source(), "bin"), { recursive: true });
    mkdirSync(join(source(), "lib/bundle"), { recursive: true });
    mkdirSync(join(source(), "templates"));
    cpSync(join(project, "templates/start.sh"), join(source(), "templates/start.sh"));
    writeFileSync(join(source(), "package.json"), `{ "name": "dp", "version": "1.0.0", "dependencies": {} }\n`);
    writeFileSync(join(source(), "bin/dp"), `import "../lib/main.js";\n`);
    writeFileSync(join(source(), "install.sh"), readFileSync(join(project, "install.sh")));
    chmodSync(join(source(), "install.sh"), 0o755);
  });

  test("replaces the tree by one rename, keeps the one before, and drops older ones that nobody runs", async () => {
    const trees = join(folder, "upgrade/share/dp.d");
    const seen: string[] = [];
    for (const text of ["one", "two", "three"]) {
      setVersion(text);
      expect((await install("upgrade", [], {}, source())).code).toBe(0);
      expect((await runProgram([join(folder, "upgrade/bin/dp")])).out).toBe(`dp ${text}\n`);
      seen.push(readlinkSync(join(folder, "upgrade/share/dp")).split("/")[1]!);
    }
    expect(
      readdirSync(trees)
        .filter((name) => name !== ".lock")
        .sort(),
    ).toEqual(seen.slice(1).sort());
  });

  test("a dp that runs keeps its tree, however often it is replaced", async () => {
    writeFileSync(join(source(), "lib/late.js"), `console.log("late one");\n`);
    writeFileSync(
      join(source(), "lib/main.js"),
      `console.log("up"); process.stdin.once("data", async () => { await import("./late.js"); process.exit(); });\n`,
    );
    expect((await install("running", [], {}, source())).code).toBe(0);
    const old = Bun.spawn([join(folder, "running/bin/dp")], { env: environment, stdin: "pipe", stdout: "pipe" });
    try {
      const reader = old.stdout.getReader();
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("up\n");
      for (const text of ["two", "three"]) {
        writeFileSync(join(source(), "lib/late.js"), `console.log("late ${text}");\n`);
        expect((await install("running", [], {}, source())).code).toBe(0);
      }
      old.stdin.write("go\n");
      await old.stdin.flush();
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("late one\n");
      expect(await old.exited).toBe(0);
    } finally {
      old.kill("SIGKILL");
    }
  });

  test("an installation that fails leaves the one before in place", async () => {
    setVersion("good");
    expect((await install("broken", [], {}, source())).code).toBe(0);
    setVersion("bad");
    const packages = `{ "name": "dp", "version": "1.0.0", "dependencies": { "missing": "file:./nowhere" } }\n`;
    const whole = readFileSync(join(source(), "package.json"));
    writeFileSync(join(source(), "package.json"), packages);
    try {
      const failed = await install("broken", [], {}, source());
      expect([failed.code, failed.err]).toEqual([6, expect.stringContaining("packages could not be installed")]);
    } finally {
      writeFileSync(join(source(), "package.json"), whole);
    }
    expect((await runProgram([join(folder, "broken/bin/dp")])).out).toBe("dp good\n");
    expect(readdirSync(join(folder, "broken/share/dp.d")).filter((name) => name !== ".lock")).toHaveLength(1);
  });

  test("a dp that cannot be made one program starts from its sources, and that is said", async () => {
    const bundler = join(source(), "lib/bundle/bundle.ts");
    const broken = {
      "does not end well": `console.error("no bundle today"); process.exitCode = 1;`,
      "makes one that does not start": `await Bun.write(process.argv[2] + "/dp.js", "throw new Error('broken')");`,
      "makes one that is not dp": `await Bun.write(process.argv[2] + "/dp.js", "console.log('else')");`,
    };
    writeFileSync(join(source(), "bin/dp"), `import "../lib/cli.ts";\n`);
    writeFileSync(join(source(), "lib/cli.ts"), `console.log("dp 1.0.0");\n`);
    try {
      for (const [what, text] of Object.entries(broken)) {
        writeFileSync(bundler, text);
        const done = await install(what, [], {}, source());
        expect([done.code, done.err]).toEqual([0, expect.stringContaining("starts from its sources")]);
        expect((await runProgram([join(folder, what, "bin/dp")])).out).toBe("dp 1.0.0\n");
        const tree = join(folder, what, "share/dp");
        expect(readdirSync(tree).filter((name) => name.startsWith("bundle"))).toEqual(["bundle"]);
        // What hooks and units name is there all the same.
        expect(readdirSync(join(tree, "bundle")).sort()).toEqual(["dp", "supervisor.js"]);
        expect((await runProgram([join(tree, "bundle/dp")])).out).toBe("dp 1.0.0\n");
        expect(readdirSync(join(tree, "bin"))).toEqual(["dp"]);
      }
    } finally {
      rmSync(bundler);
      rmSync(join(source(), "lib/cli.ts"));
      writeFileSync(join(source(), "bin/dp"), `import "../lib/main.js";\n`);
    }
  });

  test("a second run says that there is nothing to do", async () => {
    setVersion("same");
    const bun = { DP_BUN: "", PATH: `${dirname(process.execPath)}:${environment.PATH}` };
    expect((await install("same", [], bun, source())).code).toBe(0);
    const before = readlinkSync(join(folder, "same/share/dp"));
    expect(await install("same", [], bun, source())).toMatchObject({
      code: 0,
      err: expect.stringContaining("is up to date"),
    });
    expect(readlinkSync(join(folder, "same/share/dp"))).toBe(before);
  });

  test("--uninstall leaves no file, and may be repeated", async () => {
    expect((await install("away", [], {}, source())).code).toBe(0);
    expect(filesBelow(join(folder, "away")).length).toBeGreaterThan(4);
    expect(await install("away", ["--uninstall"], {}, source())).toMatchObject({
      code: 0,
      err: expect.stringContaining("is removed"),
    });
    expect(filesBelow(join(folder, "away"))).toEqual([]);
    expect(existsSync(join(folder, "away/share/dp.d"))).toBe(false);
    expect(await install("away", ["--uninstall"], {}, source())).toMatchObject({
      code: 0,
      err: expect.stringContaining("nothing to remove"),
    });
  });

  test.each([
    ["bin/dp", "file"],
    ["share/dp", "folder"],
    ["bin/deploy-paradigm", "link"],
  ])("somebody else's %s is refused, neither replaced nor removed", async (path, kind) => {
    const prefix = `taken-${kind}`;
    const taken = join(folder, prefix, path);
    mkdirSync(dirname(taken), { recursive: true });
    if (kind === "folder") mkdirSync(taken);
    else if (kind === "link") symlinkSync("/bin/true", taken);
    else writeFileSync(taken, "#!/bin/sh\n");
    for (const argv of [[], ["--uninstall"]]) {
      const refused = await install(prefix, argv, {}, source());
      expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("not from install.sh")]);
    }
    expect(filesBelow(join(folder, prefix))).toEqual(kind === "folder" ? [] : [taken]);
  });
});

test.each([
  [["--bogus"], {}, 2, "unknown argument: --bogus"],
  [["--prefix"], {}, 2, "--prefix needs a folder"],
  [["--prefix="], {}, 2, "--prefix needs a folder"],
  [["--prefix", "--uninstall"], {}, 2, "--prefix needs a folder"],
  [["--prefix", "/nowhere/a", "--prefix=/nowhere/b"], {}, 2, "--prefix /nowhere/a and --prefix /nowhere/b contradict"],
  [["--uninstall", "--demo"], {}, 2, "--uninstall and --demo contradict each other"],
  [["--bun", "--uninstall", "--prefix", "/nowhere"], {}, 2, "--bun and --uninstall contradict each other"],
  [["--test", "test/paths.test.ts", "--uninstall"], {}, 2, "--test and --uninstall contradict each other"],
  [[], { DP_BUN: "/bin/false" }, 8, "DP_BUN=/bin/false is not a Bun"],
])("%p is refused with exit code and reason", async (argv, env, code, text) => {
  const refused = await runProgram(
    [join(project, "install.sh"), ...(code === 8 ? ["--prefix", join(folder, "none")] : []), ...argv],
    env,
  );
  expect([refused.code, refused.err]).toEqual([code, expect.stringContaining(text)]);
});

test("without git it says so", async () => {
  const bin = join(folder, "no-git");
  mkdirSync(bin);
  for (const name of ["sh", "dirname", "id", "cat", "sed"]) symlinkSync(Bun.which(name)!, join(bin, name));
  const refused = await install("no-git-prefix", [], { PATH: bin });
  expect([refused.code, refused.err]).toEqual([8, expect.stringContaining("git is not installed")]);
});

test("without any way to a Bun it names the choices", async () => {
  const bin = join(folder, "no-bun");
  mkdirSync(bin);
  const tools = [
    "sh",
    "git",
    "dirname",
    "basename",
    "id",
    "cat",
    "sed",
    "head",
    "mkdir",
    "readlink",
    "mktemp",
    "cp",
    "rm",
    "uname",
  ];
  for (const name of tools) symlinkSync(Bun.which(name)!, join(bin, name));
  const source = join(folder, "bare");
  mkdirSync(source);
  writeFileSync(join(source, "install.sh"), readFileSync(join(project, "install.sh")), { mode: 0o755 });
  writeFileSync(join(source, "package.json"), `{ "version": "1.0.0" }\n`);
  const refused = await install("no-bun-prefix", [], { PATH: bin, DP_BUN: "" }, source);
  expect([refused.code, refused.err]).toEqual([8, expect.stringContaining("DP_BUN=/path/to/bun")]);
  expect(filesBelow(join(folder, "no-bun-prefix")).map((path) => path.slice(folder.length))).toEqual([
    "/no-bun-prefix/share/dp.d/.lock",
  ]);
});

describe("on a laptop", () => {
  /** A folder of programs as macOS has them: none of GNU's own options, and several are not there at all. */
  function likeMacOs(): string {
    const bin = join(folder, "mac");
    mkdirSync(bin);
    const same = [
      "basename",
      "bash",
      "cat",
      "chmod",
      "cp",
      "cut",
      "dirname",
      "env",
      "find",
      "git",
      "grep",
      "head",
      "id",
    ];
    for (const name of [
      ...same,
      "ln",
      "mkdir",
      "mktemp",
      "perl",
      "readlink",
      "rm",
      "rmdir",
      "sh",
      "sort",
      "tail",
      "tr",
    ])
      symlinkSync(Bun.which(name)!, join(bin, name));
    const limited = (name: string, option: string) =>
      `#!/bin/sh\nfor word; do case $word in ${option}) echo "${name}: illegal option $word" >&2; exit 64 ;; esac; done\nexec ${Bun.which(name)} "$@"\n`;
    writeFileSync(join(bin, "mv"), limited("mv", "-T"), { mode: 0o755 });
    writeFileSync(join(bin, "sed"), limited("sed", "-i*"), { mode: 0o755 });
    writeFileSync(join(bin, "uname"), '#!/bin/sh\n[ "$1" = -m ] && echo arm64 || echo Darwin\n', { mode: 0o755 });
    const sum = `#!/bin/sh\n[ "$1 $2" = "-a 256" ] && shift 2 || exit 64\nexec ${Bun.which("sha256sum")} "$@"\n`;
    writeFileSync(join(bin, "shasum"), sum, { mode: 0o755 });
    return bin;
  }

  test("needs no program that only Linux has, and is up to date the second time", async () => {
    const env = { PATH: likeMacOs() };
    const first = await install("mac-prefix", [], env);
    expect([first.code, first.err]).toEqual([0, expect.stringContaining("is installed in")]);
    const again = await install("mac-prefix", [], env);
    expect([again.code, again.err]).toEqual([0, expect.stringContaining("has replaced")]);
    const dp = join(folder, "mac-prefix/bin/dp");
    expect((await runProgram([dp, "--version"], env)).out).toBe(spoken(version));
    expect(readFileSync(join(folder, "mac-prefix/share/dp/.installed"), "utf8")).toMatch(/^[0-9a-f]{16}\n$/);
    expect((await install("mac-prefix", ["--uninstall"], env)).code).toBe(0);
    expect(existsSync(dp)).toBe(false);
  });

  test("dp rollback keeps the terminal, in which ssh may have to ask", async () => {
    const clone = join(folder, "clone");
    mkdirSync(clone);
    Bun.spawnSync(["git", "init", "--quiet", clone]);
    Bun.spawnSync(["git", "-C", clone, "remote", "add", "production", "root@server:/var/repos/shop.git"]);
    const ssh = join(folder, "asking-ssh");
    writeFileSync(ssh, "#!/bin/sh\n[ \"$1\" = -G ] || { : >/dev/tty && echo 'it can ask'; }\n", { mode: 0o755 });
    expect((await install("laptop-prefix")).code).toBe(0);
    const typed = inTerminal(
      [join(folder, "laptop-prefix/bin/dp"), "rollback"],
      { ...environment, GIT_SSH: ssh },
      clone,
    );
    expect([await typed.done, typed.shown()]).toEqual([0, "it can ask\n"]);
  });
});
