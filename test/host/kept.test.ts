// A program that is kept running, and the variables that it finds at each start.
import { afterEach, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { endKept, startKept, stateOf, type Kept } from "../../lib/host/daemon/kept.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { until } from "../managers/contract.ts";
import { ownRoot } from "../support/own-root.ts";

const folder = ownRoot("dp-kept-");
let kept: Kept | null = null;
afterEach(async () => {
  if (kept !== null) await endKept(kept);
  kept = null;
});

test("variables are read at each start, and may be missing", async () => {
  const at = (name: string) => join(folder(), name);
  kept = { stem: at("kept"), instance: { app: "kept", id: "0" }, marker: `kept@0:${folder()}`, stopTimeout: 5_000 };
  const variables = at("it's variables");
  const argv = ["/bin/sh", "-c", `env > '${at("new")}' && mv '${at("new")}' '${at("env")}' && exec sleep 1000`];
  const seen = async () => {
    await until("the environment", () => existsSync(at("env")));
    const text = readFileSync(at("env"), "utf8");
    rmSync(at("env"));
    return /^LATE=(.*)$/m.exec(text)?.[1] ?? null;
  };
  const again = async () => {
    const main = (await until("it runs", async () => (await stateOf(kept!))?.main))!;
    process.kill(main.pid, "SIGKILL");
    return seen();
  };
  writeFileSync(variables, "LATE=first\n");
  await startKept(kept, { argv, env: plainEnv(), user: null, restartDelay: 10, log: at("log"), variables });
  expect(await seen()).toBe("first");
  writeFileSync(variables, "LATE=second\n");
  expect(await again()).toBe("second");
  rmSync(variables);
  expect(await again()).toBeNull();
}, 30_000);
