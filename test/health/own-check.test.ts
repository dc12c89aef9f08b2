// The word by which the relay knows dp's own requests: it reaches nobody but the relay's user, whoever holds the port.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerConfig } from "../../lib/config/types.ts";
import relay from "../../lib/fronts/relay.ts";
import { HEADER, ownCheck, passOf } from "../../lib/health/own-check.ts";
import { probe } from "../../lib/health/probe.ts";
import { startProber } from "../../lib/health/prober.ts";
import { listenerUids } from "../../lib/host/process/listener.ts";
import { places } from "../../lib/paths.ts";
import { until } from "../support/box-host.ts";
import { freePort } from "../support/port.ts";
import { type RawListener, rawListener } from "../support/raw-listener.ts";

const isRoot = process.getuid?.() === 0;
const STRANGER = 64_101;
const check = { path: "/health", timeout: 20_000 } as Parameters<typeof ownCheck>[1];
const before = process.env["DP_ROOT"];
const started: RawListener[] = [];
let folder: string;
let word: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dp-word-"));
  process.env["DP_ROOT"] = folder;
  mkdirSync(places("shop").base, { recursive: true });
  await passOf({ places: places("shop") });
  word = readFileSync(join(places("shop").base, "check.key"), "utf8");
});
afterEach(async () => {
  for (const process of started.splice(0)) await process.stop();
});
afterAll(() => {
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true, force: true });
});

const appAt = (port: number) => {
  const server = { host: "0.0.0.0", port } as ServerConfig;
  return { front: relay, places: places("shop"), server };
};

/** A server of the relay's user; `words` are those that it got. */
function relayAt(port: number) {
  const words: (string | null)[] = [];
  const server = Bun.serve({
    hostname: "0.0.0.0",
    port,
    fetch({ headers }) {
      words.push(headers.get(HEADER));
      return new Response("ok");
    },
  });
  return { words, stop: () => server.stop(true) };
}

/** The port in the hands of another user. */
async function thiefAt(port: number): Promise<RawListener> {
  const thief = rawListener(STRANGER);
  started.push(thief);
  expect(await thief.call(`listen ${port}`)).toBe("ok");
  return thief;
}

/** The next request that it gets, whole. */
async function requestAt(thief: RawListener): Promise<string> {
  expect(await thief.call("accept")).toBe("ok");
  let text = "";
  await until("the request is there", async () => {
    text += JSON.parse(await thief.call("read")) as string;
    return text.includes("\r\n\r\n");
  });
  return text;
}

test("the relay's user gets it", async () => {
  const port = await freePort();
  const { words, stop } = relayAt(port);
  expect([...listenerUids(port)]).toEqual([process.getuid!()]);
  expect((await probe(await ownCheck(appAt(port), check), port)).isHealthy).toBe(true);
  expect(words).toEqual([word]);
  await stop();
});

test("nobody gets it while nobody listens, nor from a front that has no maintenance", async () => {
  const port = await freePort();
  expect(listenerUids(port).size).toBe(0);
  expect(await ownCheck(appAt(port), check)).toEqual(check);
  const { stop } = relayAt(port);
  const { maintain: _, ...other } = relay;
  expect(await ownCheck({ ...appAt(port), front: other }, check)).toEqual(check);
  await stop();
});

describe.skipIf(!isRoot)("another user who holds the public port", () => {
  test("is asked without it", async () => {
    const port = await freePort();
    const thief = await thiefAt(port);
    expect([...listenerUids(port)]).toEqual([STRANGER]);
    const asked = probe(await ownCheck(appAt(port), check), port);
    const request = await requestAt(thief);
    expect(request).toStartWith("GET /health HTTP/1.1\r\n");
    expect(request.toLowerCase()).not.toContain(HEADER.toLowerCase());
    expect(request).not.toContain(word);
    await thief.call(`write ${JSON.stringify("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")}`);
    expect((await asked).status).toBe(200);
  });

  test("does not get it from probe requests under way when it takes the port over", async () => {
    const port = await freePort();
    const { words, stop } = relayAt(port);
    const prober = startProber(appAt(port), check);
    await until("dp asks", () => words.length >= 3);
    await stop();
    const thief = await thiefAt(port);
    const request = await requestAt(thief);
    expect(new Set(words)).toEqual(new Set([word]));
    expect(request).toContain("GET /health");
    expect(request).not.toContain(word);
    const ended = prober.stop();
    await thief.stop();
    expect((await ended).failed).toBeGreaterThan(0);
  });
});
