// What decides about an environment is part of its name: variables in requirements, settings files; files as Windows writes them.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import python from "../../../lib/apps/python.ts";
import type { Place } from "../../../lib/contracts/app-type.ts";
import { run } from "../../../lib/host/run.ts";
import { cleanUp, recorder, release as newRelease, scratch, uvFolder } from "./support.ts";

// Packages come over the network.
setDefaultTimeout(240_000);
afterAll(cleanUp);

let caches: Promise<string> | undefined;

/** A release of the same app, if `before` is one, whose packages are fetched once in this file. */
async function release(files: Record<string, string>, settings: Record<string, string> = {}, before?: Place) {
  const place = await newRelease(files, before ? { base: before.base, id: "2-bbbbbbb" } : {});
  const folder = await (caches ??= scratch());
  const quick = { PIP_CACHE_DIR: join(folder, "pip"), UV_CACHE_DIR: join(folder, "uv"), PIP_NO_COMPILE: "1" };
  Object.assign(place.env, quick, settings);
  return place;
}

async function installed(place: Place): Promise<{ said: string[]; venv: string; version: string }> {
  const { io, infos } = recorder();
  const venv = (await python.install(place, io)).dependencies!;
  const code = "import importlib.metadata as m; print(m.version('itsdangerous'))";
  return { said: infos, venv, version: (await run([`${venv}/bin/python`, "-I", "-c", code])).text };
}

const withUv = async (place: Place) => {
  const folder = await uvFolder(async () => (await run(["python3", "-c", "import sys; print(sys.executable)"])).text);
  place.env["PATH"] = `${folder}:${place.env["PATH"]}`;
  return place;
};

test("a variable that requirements.txt names makes another environment", async () => {
  const files = { "requirements.txt": "itsdangerous==${ITS_VERSION} # ${OTHER}\n" };
  const one = await release(files, { ITS_VERSION: "2.1.2" });
  const first = await installed(one);
  expect([first.version, first.said[0]]).toEqual(["2.1.2", expect.stringContaining("with pip,")]);
  const second = await installed(await release(files, { ITS_VERSION: "2.2.0", UNNAMED: "x" }, one));
  expect([second.version, second.venv === first.venv]).toEqual(["2.2.0", false]);
  const back = await installed(await release(files, { ITS_VERSION: "2.1.2", UNNAMED: "y" }, one));
  expect([back.venv, back.said]).toEqual([first.venv, [expect.stringContaining("dependencies unchanged")]]);
});

test.each([["pip"], ["uv"]])("%s: a file that a variable names counts with all that it says", async (tool) => {
  const files = {
    "requirements.txt": "-r ${WHICH}.txt\n",
    "old.txt": "itsdangerous==2.1.2\n",
    "new.txt": "itsdangerous==2.2.0\n",
  };
  const prepared = (place: Place) => (tool === "uv" ? withUv(place) : place);
  const one = await prepared(await release(files, { WHICH: "old" }));
  const first = await installed(one);
  expect([first.version, first.said[0]]).toEqual(["2.1.2", expect.stringContaining(`with ${tool},`)]);
  const second = await installed(await prepared(await release(files, { WHICH: "new" }, one)));
  expect([second.version, second.venv === first.venv]).toEqual(["2.2.0", false]);
});

test("a variable without a value stays as it is written, in pip's own words", async () => {
  const place = await release({ "requirements.txt": "itsdangerous==${ITS_VERSION}\n" }, { ITS_VERSION: "" });
  const failing = python.install(place, recorder().io);
  await expect(failing).rejects.toMatchObject({
    exit: "command",
    lines: expect.arrayContaining([expect.stringContaining("itsdangerous==${ITS_VERSION}")]),
  });
});

test("a file that a variable names is in the commit, or the deploy says which one is not", async () => {
  const place = await release({ "requirements.txt": "-r ${WHICH}.txt\n" }, { WHICH: "nowhere" });
  await expect(python.install(place, recorder().io)).rejects.toThrow("-r nowhere.txt: no such file in the commit");
});

test("settings files of pip and uv make another environment; credentials and the way to the index do not", async () => {
  const files = { "requirements.txt": "itsdangerous==2.2.0\n" };
  const one = await release(files);
  const conf = async (path: string, text: string) => {
    const file = join(one.env["HOME"]!, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    return (await installed(await release(files, { PIP_CONFIG_FILE: join(one.env["HOME"]!, "own.conf") }, one))).venv;
  };
  const first = await conf("own.conf", "[global]\ntimeout = 60\n");
  expect(await conf("own.conf", "[global]\ntimeout = 90\nproxy =\n")).toBe(first);
  const other = await conf("own.conf", "[global]\ntimeout = 90\nprefer-binary = true\n");
  const users = await conf(".config/pip/pip.conf", "[global]\nno-color = true\n");
  const legacy = await conf(".pip/pip.conf", "[global]\nno-color = true\n");
  const ofUv = await conf(".config/uv/uv.toml", 'index-strategy = "first-index"\n');
  expect(new Set([first, other, users, legacy, ofUv]).size).toBe(5);
});

/** As Windows PowerShell 5 writes it, and its twin of the other order. */
const wide = (text: string, order: "le" | "be") => {
  const bytes = Buffer.from(`\uFEFF${text}`, "utf16le");
  return order === "le" ? bytes : bytes.swap16();
};

test.each([
  ["UTF-16 LE", wide("itsdangerous==2.2.0\r\n", "le")],
  ["UTF-16 BE", wide("itsdangerous==2.2.0\r\n", "be")],
  ["UTF-8 with a mark", Buffer.from("\uFEFFitsdangerous==2.2.0\r\n")],
])("requirements.txt in %s is installed, by pip and by uv", async (_, bytes) => {
  const wished = async (place: Place) => {
    await writeFile(join(place.folder, "requirements.txt"), bytes);
    await writeFile(join(place.folder, ".python-version"), wide("3\r\n", "le"));
    return place;
  };
  const place = await wished(await release({}));
  expect((await installed(place)).version).toBe("2.2.0");
  // uv reads UTF-16 of this machine's own order.
  if (bytes[0] === 0xfe) return;
  expect((await installed(await withUv(await wished(await release({}, {}, place))))).version).toBe("2.2.0");
});

test.each([
  ["a mark and half a character", Buffer.from([0xff, 0xfe, 0x41]), /^requirements\.txt: not UTF-8 text$/],
  ["bytes of another encoding", Buffer.from("# Gr\xfc\xdfe\n", "latin1"), /^requirements\.txt: not UTF-8 text$/],
])("requirements.txt with %s is refused", async (_, bytes, message) => {
  const place = await release({});
  await writeFile(join(place.folder, "requirements.txt"), bytes);
  await expect(python.install(place, recorder().io)).rejects.toMatchObject({
    exit: "config",
    message: expect.stringMatching(message),
    hint: expect.stringContaining("save it as UTF-8"),
  });
});

test("a file that others read as UTF-8 is refused by name when it is UTF-16", async () => {
  const place = await release({});
  await writeFile(join(place.folder, "pyproject.toml"), wide("[project]\n", "le"));
  await expect(python.install(place, recorder().io)).rejects.toThrow("pyproject.toml: UTF-16, but must be UTF-8");
});
