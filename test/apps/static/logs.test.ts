// The one log of the static server, as `dp logs` has it for one release: its lines and no other's, with their times.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { makeIo, silentLog } from "../../../lib/host/io.ts";
import manager from "../../../lib/apps/static/manager.ts";
import { staticLog } from "../../../lib/apps/static/service.ts";

const before = process.env["DP_ROOT"];
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-static-"));
  process.env["DP_ROOT"] = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});

async function linesOf(lines: number) {
  const found: [string, string | null | undefined][] = [];
  const onLine = (line: string, time?: string | null) => void found.push([line, time]);
  await manager.logs({ app: "shop", id: "2-bbbbbbb" }, { lines, follow: false, onLine }, makeIo(silentLog));
  return found;
}

test("without a log there is nothing", async () => {
  expect(await linesOf(10)).toEqual([]);
});

test("each line has its time, and is the release's own", async () => {
  mkdirSync(dirname(staticLog()), { recursive: true });
  const said = [
    "2026-03-01T12:00:00.000Z the static server runs with 0 sites, pid 7",
    "2026-03-01T12:00:01.000Z shop@1-aaaaaaa: serves /old",
    "2026-03-01T12:00:02.000Z shop@2-bbbbbbb: serves /new",
    "2026-03-01T12:00:03.000Z blog@2-bbbbbbb: GET /shop@2-bbbbbbb: forged",
    "2026-03-01T12:00:04.000Z shop@2-bbbbbbb: stopped",
  ];
  writeFileSync(staticLog(), `${said.join("\n")}\n`);
  const all = [
    ["serves /new", "2026-03-01T12:00:02.000Z"],
    ["stopped", "2026-03-01T12:00:04.000Z"],
  ] as const;
  expect(await linesOf(10)).toEqual(all.map((line) => [...line]));
  expect(await linesOf(1)).toEqual([[...all[1]]]);
  expect(await linesOf(0)).toEqual([]);
});
