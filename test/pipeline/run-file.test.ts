// The run file: dp's own, whole, and refused when anybody else could have written it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import * as v from "valibot";
import { create, factOf, load, save, type Run } from "../../lib/pipeline/run-file.ts";
import { DpError } from "../../lib/errors.ts";
import { fact } from "../../lib/pipeline/facts.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-context-"));
  path = join(folder, "1-aaaaaaa.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

const EMPTY: Run = { version: 1, facts: {}, journal: {} };
const refusal = async (at = path) => {
  const error: unknown = await load(at).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DpError);
  expect((error as DpError).exit).toBe("run");
  return error as DpError;
};

test("what is saved is what is read, in a file for its owner alone", async () => {
  const run: Run = {
    version: 1,
    facts: { app: "shop", nested: { list: [1, null, "ä"] } },
    journal: { read: { state: "ok", startedAt: "2026-03-01T12:00:00Z", took: 12 } },
    result: { state: "failed", code: 7, error: "no", endedAt: "2026-03-01T12:00:01Z" },
  };
  const umask = process.umask(0);
  await save(path, run);
  process.umask(umask);
  expect(await load(path)).toEqual(run);
  expect(lstatSync(path).mode & 0o7777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["1-aaaaaaa.json"]);
});

test("the order of the journal is kept", async () => {
  const entry = { state: "ok", startedAt: "x" } as const;
  await save(path, { ...EMPTY, journal: { swap: entry, clone: entry, read: entry } });
  expect(Object.keys((await load(path)).journal)).toEqual(["swap", "clone", "read"]);
});

test("a run file is made once", async () => {
  await create(path, { app: "shop" });
  await expect(create(path, { app: "other" })).rejects.toThrow("exists already");
  expect((await load(path)).facts).toEqual({ app: "shop" });
});

describe("refused:", () => {
  test("a file that is not there", async () => {
    const error = await refusal();
    expect(error.message).toContain("no such run file");
    expect(error.hint).toContain("dp begin");
  });

  test.each([0o620, 0o602, 0o666])("mode %o", async (mode) => {
    await save(path, EMPTY);
    chmodSync(path, mode);
    const error = await refusal();
    expect(error.hint).toBe(`chmod 600 ${path}`);
  });

  test.skipIf(process.getuid!() !== 0)("a file that belongs to another user", async () => {
    await save(path, EMPTY);
    chownSync(path, 1, 1);
    expect((await refusal()).message).toContain("must belong to you");
  });

  test("a link, even to a sound context", async () => {
    await save(join(folder, "sound.json"), EMPTY);
    symlinkSync("sound.json", path);
    expect((await refusal()).message).toContain("cannot be read (ELOOP)");
  });

  test("a folder", async () => {
    mkdirSync(path, { mode: 0o700 });
    expect((await refusal()).message).toContain("not a file");
  });

  test.each([
    ["", "not JSON"],
    ['{"version":1,"facts":{', "not JSON"],
    ["null", "version undefined"],
    ["[]", "version undefined"],
    ['{"version":2,"facts":{},"journal":{}}', "version 2, but this dp reads version 1"],
    ['{"version":"1","facts":{},"journal":{}}', 'version "1"'],
    ['{"version":1,"journal":{}}', "not a run file"],
    ['{"version":1,"facts":[],"journal":{}}', "not a run file"],
    ['{"version":1,"facts":null,"journal":{}}', "not a run file"],
    ['{"version":1,"facts":{},"journal":{},"more":1}', "not a run file"],
    ['{"version":1,"facts":{},"journal":{"read":{"state":"done","startedAt":"x"}}}', "not a run file"],
    ['{"version":1,"facts":{},"journal":{},"result":{"state":"good"}}', "not a run file"],
  ])("%s", async (text, words) => {
    writeFileSync(path, text, { mode: 0o600 });
    expect((await refusal()).message).toContain(words);
  });

  test.each([
    ["read", "null"],
    ["read.state", "[]"],
    ["read", '"ok"'],
    ["read.startedAt", '{"state":"ok"}'],
    ["read.startedAt", '{"state":"ok","startedAt":1}'],
    ["read.state", '{"startedAt":"x"}'],
    ["read.took", '{"state":"ok","startedAt":"x","took":"12"}'],
    ["read.took", '{"state":"ok","startedAt":"x","took":null}'],
    ["read.error", '{"state":"ok","startedAt":"x","error":1}'],
    ["read.more", '{"state":"ok","startedAt":"x","took":1,"more":1}'],
  ])("whose journal is wrong at %s: %s", async (place, entry) => {
    const good = '"clone":{"state":"ok","startedAt":"x","took":1,"error":"e"}';
    writeFileSync(path, `{"version":1,"facts":{},"journal":{${good},"read":${entry}}}`, { mode: 0o600 });
    expect((await refusal()).lines[0]).toStartWith(`journal.${place}: `);
  });

  test("with the place of what is wrong", async () => {
    writeFileSync(path, '{"version":1,"facts":{},"journal":{"read":{"state":"done","startedAt":"x"}}}', {
      mode: 0o600,
    });
    expect((await refusal()).lines[0]).toStartWith("journal.read.state: ");
  });
});

const WRITER = `
  const { save } = await import(${JSON.stringify(resolve("lib/pipeline/run-file.ts"))});
  for (let turn = 0; ; turn++) {
    await save(process.argv[1], { version: 1, facts: { text: "x".repeat(100000 + turn) }, journal: {} });
    if (turn === 0) console.log("writing");
  }
`;

test("a writer that is killed leaves a whole context", async () => {
  for (let round = 0; round < 5; round++) {
    const writer = Bun.spawn([process.execPath, "-e", WRITER, path], { stdout: "pipe", env: {} });
    await writer.stdout.getReader().read();
    for (let reads = 0; reads < 3 * round; reads++) await load(path);
    writer.kill("SIGKILL");
    await writer.exited;
    expect(String((await load(path)).facts["text"]).length).toBeGreaterThanOrEqual(100_000);
  }
}, 60_000);

test("a fact is parsed, and its lack is told from its being wrong", () => {
  const run: Run = { ...EMPTY, facts: { app: "shop", port: "8000" } };
  expect(factOf(run, "app", fact.app)).toBe("shop");
  expect(() => factOf(run, "base", fact.base)).toThrow('fact "base" is missing');
  expect(() => factOf(run, "port", fact.port)).toThrow('fact "port" is wrong');
  expect(() => factOf(run, "toString", v.string())).toThrow(DpError);
});
