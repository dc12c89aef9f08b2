// The watch after the switch: what ends it sooner, and that it catches what a watch of the whole time catches.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { DpError } from "../../lib/errors.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { proofOf, watchRelease } from "../../lib/health/proof.ts";
import { waitUntilHealthy } from "../../lib/health/health.ts";
import { openApp } from "../../lib/release/app.ts";
import { candidateOf } from "../../lib/release/instances.ts";
import { endInstances, io, makeApp, useServer, type App } from "../support/core-server.ts";
import { makeLive } from "../support/core-release.ts";

const MIB = 2 ** 20;
const probes = (requests: number, failed = 0) => ({ requests, failed, longestGap: 0 });

describe("a release has proved itself", () => {
  /** Looks every 250 ms of 3 s; answers when it is proven, or null. */
  const provenAt = (requestsEach: number, failedAt: number | null, memory: (ms: number) => number): number | null => {
    const isProven = proofOf(3_000);
    for (let ms = 0, look = 0; ms < 3_000; ms += 250, look++) {
      const failed = failedAt !== null && ms >= failedAt ? 1 : 0;
      if (isProven(ms, probes(look * requestsEach, failed), memory(ms))) return ms;
    }
    return null;
  };
  const flat = () => 60 * MIB;

  test.each<[string, number, number | null, (ms: number) => number, number | null]>([
    ["after half of the time, when all is well", 14, null, flat, 1_500],
    ["later, when its answers are slow", 10, null, flat, 2_000],
    ["never, when they are slower still", 5, null, flat, null],
    ["never, once a request has failed", 14, 250, flat, null],
    ["after half of it, when it grew only at its start", 14, null, (ms) => (ms < 500 ? 30 : 90) * MIB, 1_500],
    ["after half of it, when it grows by next to nothing", 14, null, (ms) => 60 * MIB + ms * 1024, 1_500],
    ["never, while its memory grows", 14, null, (ms) => 60 * MIB + ms * 20 * 1024, null],
    ["never, while that of a large one grows", 14, null, (ms) => 2_000 * MIB + ms * 200 * 1024, null],
  ])("%s", (_, requests, failedAt, memory, expected) => {
    expect(provenAt(requests, failedAt, memory)).toBe(expected);
  });
});

/** An app that is well until it is told to begin: then it does what FAULT says. */
const source = (fault: string) => `
const leaked = [];
let begun = 0, asked = 0;
const fault = {
  crash: () => setTimeout(() => process.exit(3), 1_000),
  leak: () => setInterval(() => {
    const ms = performance.now() - begun;
    while (leaked.length * 4 < ms / 20) leaked.push(Buffer.alloc(4 << 20, 1));
    if (ms > 2_200) process.exit(137);
  }, 20),
}[${JSON.stringify(fault)}];
Bun.serve({ hostname: process.env.DP_HOST, port: process.env.PORT, fetch: ({ url }) => {
  if (url.endsWith("/begin")) { begun = performance.now(); fault?.(); return new Response("begun"); }
  asked += begun > 0;
  // Two watches ask in turns: with an even number all errors would be those of one of them.
  const fails = ${JSON.stringify(fault)} === "errors" && asked % 21 === 13;
  return new Response("", { status: fails ? 500 : 200 });
} });
`;

/** What both watches of one release came to, at the same time. */
interface Row {
  fault: string;
  /** Whether the watch of the whole time, as before, saw the fault. */
  whole: boolean;
  now: boolean;
  took: number;
  requests: number;
  failed: number;
}

const TIME = 3_000;
const TRIES = 4;

describe("against the faults of the load tests", () => {
  useServer();
  const apps: App[] = [];
  let rows: Row[];

  async function row(fault: string): Promise<Row> {
    const { app, candidate, pid, begin } = await serving(fault);
    await begin();
    const watch = (isWhole: boolean) =>
      watchRelease(app, candidate, pid, { time: TIME, isWhole }, io).catch((error: DpError) => error.exit);
    const [whole, now] = await Promise.all([watch(true), watch(false)]);
    const seen = typeof now === "string" ? { took: 0, probes: probes(0) } : now;
    const { requests, failed } = seen.probes;
    return { fault, whole: typeof whole === "string", now: typeof now === "string", took: seen.took, requests, failed };
  }

  /** A release that serves, and its candidate. */
  async function serving(fault: string) {
    const made = await makeApp();
    apps.push(made);
    const { id } = await makeLive(made, 1, { source: source(fault) });
    const app = await openApp(made.app);
    const candidate = candidateOf(app, id, CHECK, made.port);
    const { pid } = await waitUntilHealthy(candidate, io);
    return { made, app, candidate, pid, begin: () => fetch(`http://127.0.0.1:${made.port}/begin`) };
  }
  const CHECK = { path: "/", timeout: 5_000, startTimeout: 30_000, interval: 50 };

  beforeAll(async () => {
    rows = [];
    for (const fault of ["none", "crash", "errors", "leak"])
      rows.push(...(await Promise.all(Array.from({ length: TRIES }, () => row(fault)))));
    console.table(rows.map(({ took, ...rest }) => ({ ...rest, seconds: (took / 1000).toFixed(1) })));
  }, 120_000);
  afterAll(async () => {
    for (const { app } of apps) await endInstances(app);
  });
  const of = (fault: string) => rows.filter((one) => one.fault === fault);

  test("a release that is well passes, in half of the time when enough of its answers were seen by then", () => {
    for (const { whole, now, took, requests } of of("none")) {
      expect([whole, now]).toEqual([false, false]);
      expect(took).toBeGreaterThanOrEqual(TIME / 2);
      if (took >= TIME) expect(requests).toBeLessThan(200); // a machine too busy for an early proof
    }
  });

  test.each(["crash", "leak"])("each one with a %s is caught, as by a watch of the whole time", (fault) => {
    for (const { whole, now } of of(fault)) expect([whole, now]).toEqual([true, true]);
  });

  test("one that fails one answer in twenty is caught, or watched as long as before", () => {
    for (const { now, took, failed } of of("errors")) {
      if (now) continue;
      expect(failed).toBeGreaterThan(0);
      expect(took).toBe(TIME);
    }
  });

  test("a crash ends the watch at once, while its own request still waits for an answer", async () => {
    const { app, candidate, pid, begin } = await serving("crash");
    // A front that holds requests back until somebody answers.
    const socket = { data: () => undefined };
    const holding = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
    const told: string[] = [];
    const fronted = { ...app, server: { ...app.server, port: holding.port } };
    try {
      await begin();
      const log = makeIo({ ...silentLog, warn: (text) => void told.push(text) });
      const watch = watchRelease(fronted, candidate, pid, { time: TIME }, log);
      await expect(watch).rejects.toMatchObject({ exit: "unhealthy" });
      expect(told).toEqual([
        expect.stringMatching(/^live for \d\.\d s; of 1 requests of dp's own 0 failed, 1 had no answer yet$/),
      ]);
    } finally {
      holding.stop(true);
    }
  });
});
