// What pm2 starts for an app in fork mode, without pm2: it tells the times, and passes on how the app ended.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseLine } from "../../../lib/managers/pm2/logs.ts";
import { isAlive } from "../../../lib/host/process/process.ts";
import { render, shellQuote, template } from "../../../lib/host/template.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-watcher-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs an app to its end, `awk` being what that script does; answers the exit code and the log. */
async function watch(name: string, app: string, awk?: string): Promise<{ code: number; log: string[] }> {
  const place = join(folder, name);
  const tools = join(place, "tools");
  mkdirSync(tools, { recursive: true });
  if (awk !== undefined) writeFileSync(join(tools, "awk"), `#!/bin/sh\n${awk}\n`);
  if (awk !== undefined) chmodSync(join(tools, "awk"), 0o755);
  writeFileSync(join(place, "app.sh"), app);
  const values = {
    ...{ log: shellQuote(join(place, "log")), script: shellQuote(join(place, "app.sh")), marker: shellQuote(place) },
    ...{ tries: "50", delay: "0", clean: "0", limit: "10485760" },
  };
  const text = render(await template("pm2.sh"), values).replace(/^PATH=/m, `PATH=${tools}:`);
  writeFileSync(join(place, "watcher.sh"), text);
  const child = Bun.spawn(["/bin/sh", join(place, "watcher.sh")], { stdio: ["ignore", "ignore", "ignore"] });
  const code = await child.exited;
  return { code, log: readFileSync(join(place, "log"), "utf8").split("\n") };
}

const isTimed = (line: string) => parseLine(line)[1] !== null;

test("what an app said before it ended is there, however slowly the programs start that tell the times", async () => {
  const { code, log } = await watch(
    "slow",
    "seq 1 2000; printf end; exit 3",
    `sleep 0.5; exec ${Bun.which("awk")} "$@"`,
  );
  expect(code).toBe(3);
  expect(log.slice(0, -1).every(isTimed)).toBe(true);
  expect(log.map((line) => parseLine(line)[0])).toEqual([
    ...Array.from({ length: 2_000 }, (_, at) => `${at + 1}`),
    "end",
    "",
  ]);
});

test("a process that is none of the app's, and holds its output, is not waited for", async () => {
  const pid = join(folder, "pid");
  // Until it has become sleep it has the app's environment, and is ended as one of the app's.
  const isSleep = '[ "$(cat /proc/$!/comm)" = sleep ]';
  const app = `echo one; env -i sleep 1000 & echo $! > ${pid}; until ${isSleep}; do :; done; echo two; exit 200`;
  const { code, log } = await watch("held", app);
  const left = Number(readFileSync(pid, "utf8"));
  expect([code, isAlive(left)]).toEqual([1, true]);
  process.kill(left, "SIGKILL");
  expect(log.map((line) => parseLine(line)[0])).toEqual(["one", "two", ""]);
});

test("where nothing can tell the time the lines are there without one", async () => {
  const { code, log } = await watch("none", String.raw`printf '%s\n' '  a \ b' ' c '; printf end; exit 0`, "exit 1");
  expect([code, log]).toEqual([199, ["  a \\ b", " c ", "end"]]);
});
