// The interpreter: which python on PATH is taken, and what is said when none fits.
import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../../lib/host/program.ts";
import { findInterpreter } from "../../../lib/apps/python/interpreter.ts";
import { interpreterFolder } from "../../../lib/apps/python/links.ts";
import { run } from "../../../lib/host/run.ts";
import { cleanUp, pythonPath, recorder, release, scratch } from "./support.ts";

afterAll(cleanUp);

/** A folder of programs that answer the probe like a python of that version; "broken" answers like a shim that cannot. */
async function pythons(programs: Record<string, string>): Promise<string> {
  const folder = await scratch();
  for (const [name, version] of Object.entries(programs)) {
    const file = join(folder, name);
    const parts = version.replace("rc", "").split(".").join(", ");
    const answer = JSON.stringify([file, "VERSION", !version.endsWith("rc"), true]).replace('"VERSION"', `[${parts}]`);
    const script =
      version === "broken"
        ? 'echo "shim: $0: no such version" >&2; exit 127'
        : `echo '${version.startsWith("[") ? version : answer}'`;
    await writeFile(file, `#!/bin/sh\n${script}\n`);
    await chmod(file, 0o755);
  }
  return folder;
}

const LINUX: Record<string, string> = {
  python3: "3.11.2",
  "python3.11": "3.11.2",
  "python3.9": "3.9.18",
  "python3.13": "3.13.0",
};

test.each<[string, Record<string, string>, Record<string, string>, string]>([
  ["the newest of all", LINUX, {}, "3.13.0"],
  ["9 is older than 11", { python3: "3.9.1", "python3.11": "3.11.0" }, {}, "3.11.0"],
  [".python-version", LINUX, { ".python-version": "3.11\n" }, "3.11.2"],
  [".python-version before runtime.txt", LINUX, { ".python-version": "3.9", "runtime.txt": "python-3.11.2" }, "3.9.18"],
  ["runtime.txt", LINUX, { "runtime.txt": "python-3.11.2" }, "3.11.2"],
  ["requires-python", LINUX, { "pyproject.toml": '[project]\nrequires-python = ">=3.8,<3.13"' }, "3.11.2"],
  ["a broken shim is passed over", { "python3.13": "broken", python3: "3.11.2" }, {}, "3.11.2"],
  ["what is cut is none", { "python3.13": "[1,", python3: "3.11.2" }, {}, "3.11.2"],
  ["what says something else is none", { "python3.13": "[[]]", python3: "3.11.2" }, {}, "3.11.2"],
  ["python 2 is none", { python: "2.7.18", python3: "3.9.1" }, {}, "3.9.1"],
  ["a release candidate comes last", { "python3.14": "3.14.0rc", python3: "3.11.2" }, {}, "3.11.2"],
  [
    "other programs are none",
    { "python3-config": "3.14.0", "python3.11-dbg": "3.14.1", python3: "3.11.2" },
    {},
    "3.11.2",
  ],
])("taken: %s", async (_, programs, files, version) => {
  const place = await release(files, { env: { PATH: `relative/bin:${await pythons(programs)}` } });
  const found = await findInterpreter(place, recorder().io);
  expect(found.version.join(".")).toBe(version);
});

test("of two that are equally new the first on PATH is taken", async () => {
  const [first, second] = [await pythons({ python3: "3.11.2" }), await pythons({ python3: "3.11.2" })];
  const place = await release({}, { env: { PATH: `${first}:${second}` } });
  expect((await findInterpreter(place, recorder().io)).executable).toBe(`${first}/python3`);
});

test("two names of one program are asked once", async () => {
  const folder = await pythons({ "python3.11": "3.11.2" });
  await symlink("python3.11", join(folder, "python3"));
  const { io, argvs } = recorder();
  await findInterpreter(await release({}, { env: { PATH: folder } }), io);
  expect(argvs).toHaveLength(1);
});

test("what a python has answered is known until its file, its rights or the note change", async () => {
  const PATH = await pythons({ "python3.11": "3.11.2", "python3.13": "3.13.0" });
  const place = await release({}, { env: { PATH } });
  const asked = async () => {
    const { io, argvs } = recorder();
    expect((await findInterpreter(place, io)).version.join(".")).toBe("3.13.0");
    return argvs.length;
  };
  expect(await asked()).toBe(2);
  expect(await asked()).toBe(0);
  await chmod(join(PATH, "python3.11"), 0o700);
  expect(await asked()).toBe(1);
  await chmod(PATH, 0o711);
  expect(await asked()).toBe(2);
  await writeFile(join(PATH, "python3.13"), await readFile(join(PATH, "python3.13")));
  expect(await asked()).toBe(1);
  for (const text of ["[", '{"": 1}', "null"]) {
    await writeFile(join(place.base, "pythons.json"), text);
    expect(await asked()).toBe(2);
  }
  await rm(join(place.base, "pythons.json"));
  expect(await asked()).toBe(2);
  expect(await asked()).toBe(0);
  const other = recorder();
  await findInterpreter({ ...place, user: userInfo().username }, other.io).catch(() => undefined);
  expect(other.argvs).toHaveLength(2);
});

test("a python without venv is asked each time: the package may come, and changes nothing of the program", async () => {
  const PATH = await pythons({ python3: '["/usr/bin/env", [3, 11, 2], true, false]' });
  const place = await release({}, { env: { PATH } });
  for (const _ of [1, 2]) {
    const { io, argvs } = recorder();
    expect((await findInterpreter(place, io)).hasVenv).toBe(false);
    expect(argvs).toHaveLength(1);
  }
});

test.each(["versions", "installs/python"])(
  "behind slow shims the pythons in %s count, and no shim runs",
  async (home) => {
    const root = await scratch();
    const shims = join(root, "shims");
    const ran = join(root, "ran");
    await mkdir(shims);
    for (const name of ["python", "python3", "python3.11", "python3.13"]) {
      await writeFile(join(shims, name), `#!/bin/sh\necho ran >>${ran}\nsleep 60\n`, { mode: 0o755 });
    }
    for (const version of ["3.11.4", "3.13.1", "my-env"]) {
      await mkdir(join(root, home, version), { recursive: true });
      await rename(
        await pythons({ python3: version === "my-env" ? "3.14.0" : version }),
        join(root, home, version, "bin"),
      );
    }
    const plain = await pythons({ python3: "3.12.0" });
    const taken = async (files: Record<string, string>) => {
      const place = await release(files, { env: { PATH: `${shims}:${plain}:/usr/bin:/bin` } });
      return (await findInterpreter(place, recorder().io)).version.join(".");
    };
    expect(await taken({})).toBe("3.13.1");
    expect(await taken({ ".python-version": "3.11" })).toBe("3.11.4");
    expect(await taken({ ".python-version": "3.12" })).toBe("3.12.0");
    expect(existsSync(ran)).toBe(false);
  },
);

test("a shim is asked when nothing else fits, and not remembered: its answer depends on more than its file", async () => {
  const shims = join(await scratch(), "shims");
  await rename(await pythons({ python3: "3.10.1" }), shims);
  const plain = await pythons({ python3: "3.12.0" });
  const place = await release({ ".python-version": "3.10" }, { env: { PATH: `${shims}:${plain}` } });
  const counts: number[] = [];
  for (const _ of [1, 2]) {
    const { io, argvs } = recorder();
    expect((await findInterpreter(place, io)).version.join(".")).toBe("3.10.1");
    counts.push(argvs.length);
  }
  expect(counts).toEqual([2, 1]);
});

test("none that fits: the wish, its file and what is installed are named", async () => {
  const PATH = await pythons(LINUX);
  const place = await release({ ".python-version": "3.12\n" }, { env: { PATH } });
  await expect(findInterpreter(place, recorder().io)).rejects.toMatchObject({
    exit: "host",
    message: "the app wants python 3.12 (.python-version), this server has 3.11.2, 3.13.0, 3.9.18",
  });
});

test("a program whose own interpreter is missing is passed over", async () => {
  const PATH = await pythons({ python3: "3.11.2" });
  await writeFile(join(PATH, "python3.13"), "#!/no/such/shell\n", { mode: 0o755 });
  const found = await findInterpreter(await release({}, { env: { PATH } }), recorder().io);
  expect(found.version.join(".")).toBe("3.11.2");
});

test("a PATH without any python says what to install", async () => {
  const place = await release({}, { env: { PATH: await scratch() } });
  await expect(findInterpreter(place, recorder().io)).rejects.toMatchObject({
    exit: "host",
    hint: expect.stringContaining("apt install python3"),
  });
});

test("a linked .python-version is refused", async () => {
  const place = await release({});
  await symlink("/etc/passwd", join(place.release, ".python-version"));
  await expect(findInterpreter(place, recorder().io)).rejects.toThrow(".python-version: a symbolic link");
});

test("a real python tells its version and its own file", async () => {
  const place = await release({ "json.py": "raise SystemExit('the app was imported')" });
  const found = await findInterpreter(place, recorder().io);
  const told = await run([found.executable, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]);
  expect(told.text).toBe(found.version.join("."));
});

test("programs are found by PATH alone, in its order, never in a relative folder", async () => {
  const folder = await pythons({ tool: "1.0.0" });
  await mkdir(join(folder, "python3"));
  expect(await findProgram("python3", folder)).toBeNull();
  expect(await findProgram("tool", `relative:${folder}/missing:${folder}`)).toBe(join(folder, "tool"));
  expect(await findProgram("tool", "/nowhere")).toBeNull();
});

test("without a venv both names lead to the chosen interpreter, and a second release finds the same folder", async () => {
  const real = (await findInterpreter(await release({}), recorder().io)).executable;
  const only = await scratch();
  await symlink(real, join(only, "python3"));
  const place = await release({}, { env: { PATH: `${only}:${(await pythonPath()).split(":").slice(1).join(":")}` } });
  const interpreter = { executable: real, version: [3, 11, 2] as const, isFinal: true, hasVenv: true };
  const { io } = recorder();
  const folder = await interpreterFolder({ ...place, env: { PATH: only } }, interpreter, io);
  for (const name of ["python", "python3"]) {
    const told = await run([join(folder!, name), "-c", "import sys, os; print(os.path.realpath(sys.executable))"]);
    expect(told.text).toBe(real);
  }
  const again = recorder();
  expect(await interpreterFolder({ ...place, env: { PATH: only } }, interpreter, again.io)).toBe(folder);
  expect(again.argvs).toEqual([]);
  await symlink(real, join(only, "python"));
  expect(await interpreterFolder({ ...place, env: { PATH: only } }, interpreter, io)).toBeNull();
});
