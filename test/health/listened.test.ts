// Waiting for many ports at a time, more than the kernel is asked for at one look.
import { afterEach, expect, test } from "bun:test";
import { untilListened } from "../../lib/health/listened.ts";
import { freePort } from "../support/core-server.ts";

const LONG = 30_000;
const listeners: { stop(now: boolean): void }[] = [];
afterEach(() => listeners.splice(0).forEach((listener) => listener.stop(true)));
const listen = (port: number) =>
  listeners.push(Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }));

test("each is told when somebody listens on its port, whichever comes first", async () => {
  const ports = await Promise.all(Array.from({ length: 15 }, freePort));
  const waits = ports.map((port) => untilListened(port, LONG));
  for (const at of [14, 0, 7]) {
    listen(ports[at]!);
    await waits[at];
  }
  const isOver = await Promise.race([waits[3]!.then(() => true), Bun.sleep(50).then(() => false)]);
  expect(isOver).toBe(false);
  ports.forEach((port, at) => [14, 0, 7].includes(at) || listen(port));
  const begun = performance.now();
  await Promise.all(waits);
  expect(performance.now() - begun).toBeLessThan(LONG);
}, 60_000);

test("nobody listens: after the time it returns all the same", async () => {
  const ports = await Promise.all(Array.from({ length: 6 }, freePort));
  const over = await Promise.all(ports.map((port) => untilListened(port, 20).then(() => port)));
  expect(over).toEqual(ports);
});
