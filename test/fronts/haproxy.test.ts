import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import haproxy from "../../lib/fronts/haproxy.ts";
import { filesOf, haproxyProgram } from "../../lib/fronts/haproxy/places.ts";
import { stopSupervised } from "../../lib/fronts/haproxy/supervised.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { freePort } from "../support/port.ts";
import { frontContract } from "./contract.ts";

const io = makeIo(silentLog);

// In a server of its own it is a service of systemd: test/fronts/haproxy/box.test.ts.
const isInside = process.env["DP_TEST_INSIDE"] === "1";
const before = process.env["DP_ROOT"];
let folder: string;
const why = haproxyProgram() === null ? "haproxy is not installed" : null;
// A run must not go green by skipping.
if (why !== null && process.env["CI"] === "true" && process.getuid!() === 0) throw new Error(why);

beforeAll(() => {
  if (isInside) return;
  folder = mkdtempSync(join(tmpdir(), "dp-haproxy-"));
  chmodSync(folder, 0o755);
  process.env["DP_ROOT"] = folder;
});

afterAll(() => {
  if (isInside) return;
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});

describe.skipIf(why !== null)(`the contract${why === null ? "" : ` (skipped: ${why})`}`, () => {
  frontContract(() => ({ front: haproxy }));

  test.skipIf(isInside)("a file of it that somebody changed is told, and setup writes it again", async () => {
    const port = await freePort();
    const route = { app: "drifts", listen: { host: "127.0.0.1", port }, protocol: "http" as const, trustedProxies: [] };
    try {
      await haproxy.setup(route, io);
      expect(await haproxy.drift!()).toEqual([]);
      const { config, folder: own } = filesOf();
      appendFileSync(config, "# by hand\n");
      expect(await haproxy.drift!()).toEqual([`the configuration of HAProxy in ${own} is not as this dp writes it`]);
      await haproxy.setup(route, io);
      expect(readFileSync(config, "utf8")).not.toContain("# by hand");
      expect(await haproxy.drift!()).toEqual([]);
      await stopSupervised();
      expect(await haproxy.drift!()).toEqual(["HAProxy does not run"]);
    } finally {
      await haproxy.remove("drifts", io);
    }
  });
});
