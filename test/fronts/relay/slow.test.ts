// Slow clients of every kind, by the attack's own script and in real time: each is ended, and told why where it asked for something.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { plainEnv } from "../../../lib/host/run.ts";
import { type Scripted, scripted } from "./support/apps.ts";
import { type TestRelay, startRelay } from "./support/relay.ts";

const SCRIPT = join(import.meta.dir, "../../fixtures/attack/slow.py");

// By the name that the script gives each: when it may end at the latest, in seconds, and what it gets.
const ENDS: Record<string, [limit: number, answer: RegExp]> = {
  "head drip 1 byte/s": [60, /^b'HTTP\/1\.1 408 /],
  "header drip complete lines": [60, /^b'HTTP\/1\.1 408 /],
  "body drip 1 byte/5s": [60, /^b'HTTP\/1\.1 408 /],
  "chunk drip": [60, /^b'HTTP\/1\.1 408 /],
  idle: [110, /^b''$/],
  "idle after answer": [110, /^b'HTTP\/1\.1 200 OK/],
  "no body at all": [60, /^b'HTTP\/1\.1 408 /],
  "empty lines before": [60, /^b'HTTP\/1\.1 400 /],
};

const python = Bun.which("python3");

describe.skipIf(python === null)(`slow clients${python === null ? " (skipped: no python3)" : ""}`, () => {
  let relay: TestRelay;
  let app: Scripted;
  beforeAll(async () => {
    relay = await startRelay();
    app = scripted((visit) => {
      if (visit.got.startsWith("GET ")) visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  afterAll(async () => {
    app?.stop();
    await relay?.stop();
  });

  test("are ended, all of them", async () => {
    const port = await relay.add("web", app.port);
    const child = Bun.spawn([python!, SCRIPT, String(port)], { env: plainEnv(), stdio: ["ignore", "pipe", "inherit"] });
    const text = await child.stdout.text();
    console.log(text.trimEnd());
    const ends = new Map(
      [...text.matchAll(/^(.*?) +ended after +([\d.]+) s: (.*)$/gm)].map(([, name, time, answer]) => [
        name!,
        { time: Number(time), answer: answer! },
      ]),
    );
    expect([...ends.keys()].toSorted()).toEqual(Object.keys(ENDS).toSorted());
    // The script gives up after 130 s: whatever has ended by then was ended by the relay.
    for (const [name, { time, answer }] of ends) {
      const [limit, expected] = ENDS[name]!;
      expect([name, time < limit]).toEqual([name, true]);
      expect(answer).toMatch(expected);
    }
    expect((await relay.front.status("web")).routes[0]!.connections).toBe(0);
  }, 180_000);
});
