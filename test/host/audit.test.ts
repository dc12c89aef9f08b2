// The audit log as a file: whole lines, whoever writes at once, bounded, and nothing lost without a word.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { append, audit, auditFiles, resultOf } from "../../lib/host/audit.ts";
import { auditLines } from "../../lib/commands/audit.ts";

let folder: string;
let file: string;
const before = process.env["DP_ROOT"];
const line = { app: "shop", what: "lock", by: "ann", result: "ok", code: 0 } as const;
let warned: string[];
const warn = (message: string) => void warned.push(message);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-audit-"));
  process.env["DP_ROOT"] = folder;
  file = auditFiles().at(-1)!;
  warned = [];
});
afterEach(() => {
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});
const linesIn = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n");

test("makes its folder, and adds a line with the time", async () => {
  audit(line, warn);
  audit({ ...line, what: "unlock" }, warn);
  const found = await auditLines("shop", { lines: 9 }, warn);
  expect(found.map(({ what }) => what)).toEqual(["lock", "unlock"]);
  expect(Math.abs(Date.parse(found[0]!.time) - Date.now())).toBeLessThan(600_000);
  expect(warned).toEqual([]);
});

test("half a line, of a disk that was full, is told and spoils no other", async () => {
  audit(line, warn);
  writeFileSync(file, `${readFileSync(file, "utf8")}{"time":"20`);
  audit({ ...line, what: "unlock" }, warn);
  expect((await auditLines(undefined, { lines: 9 }, warn)).map(({ what }) => what)).toEqual(["lock", "unlock"]);
  expect(warned).toEqual(["1 lines of the audit log cannot be read"]);
});

test("what several processes write at once is all there, over files that are put aside", async () => {
  const program = `
    const { append } = await import(${JSON.stringify(resolve(import.meta.dir, "../../lib/host/audit.ts"))});
    for (let n = 0; n < 200; n++)
      append(process.argv[1], process.argv[2] + "-" + n + " " + "x".repeat(100) + "\\n", 30_000, console.log);
  `;
  audit(line, warn);
  const writers = ["a", "b", "c", "d"].map((name) =>
    Bun.spawn([process.execPath, "-e", program, file, name], { stdout: "pipe" }),
  );
  expect(await Promise.all(writers.map(({ exited }) => exited))).toEqual([0, 0, 0, 0]);
  const all = auditFiles().filter((path) => existsSync(path));
  expect(all.length).toBeGreaterThan(2);
  const words = all.flatMap(linesIn).filter((text) => text.endsWith(` ${"x".repeat(100)}`));
  const wanted = ["a", "b", "c", "d"].flatMap((name) => Array.from({ length: 200 }, (_, n) => `${name}-${n}`));
  expect(words.map((text) => text.split(" ")[0]!).sort()).toEqual(wanted.sort());
});

test("the oldest lines make room with a word, and no more than five files are kept", () => {
  for (let n = 1; n <= 5; n++) append(file, `${n}\n`, 1, warn);
  expect(warned).toEqual([
    `the audit log is full and its oldest lines are removed: keep copies of ${file}.1 elsewhere`,
  ]);
  audit(line, warn);
  expect(readdirSync(join(file, "..")).length).toBe(5);
  expect(auditFiles().map((path) => linesIn(path)[0])).toEqual(["2", "3", "4", "5", expect.stringContaining("shop")]);
});

test("a link in its place is not followed", () => {
  audit(line, warn);
  rmSync(file);
  symlinkSync(join(folder, "elsewhere"), file);
  audit(line, warn);
  expect(warned).toEqual([`the audit log misses a line, ELOOP: ${file}`]);
  expect(existsSync(join(folder, "elsewhere"))).toBe(false);
});

test("what a code means", () => {
  expect([0, 1, 5, 6, 7, 9, 130, 143].map(resultOf)).toEqual([
    ...(["ok", "failed", "refused", "failed", "failed", "failed", "stopped", "stopped"] as const),
  ]);
});
