// The control socket as a client finds it that is slow, strange, or gone before its answer.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTROL_SIZE } from "../../../lib/fronts/relay/limits.ts";
import { type TestRelay, startRelay, until } from "./support/relay.ts";

let relay: TestRelay;
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(() => relay?.stop());

/** A connection to the control socket: what came, and whether the relay has ended it. */
async function caller({ isSlow = false } = {}) {
  const chunks: Buffer[] = [];
  let hasEnded = false;
  let left = Buffer.alloc(0);
  const flush = (socket: Bun.Socket) => void (left = left.subarray(Math.max(0, socket.write(left))));
  const socket = await Bun.connect({
    unix: join(relay.folder, "control.sock"),
    allowHalfOpen: true,
    socket: {
      open: (self) => void (isSlow && self.pause()),
      data: (_, chunk) => void chunks.push(Buffer.from(chunk)),
      drain: flush,
      end: (self) => void ((hasEnded = true), self.end()),
      close: () => void (hasEnded = true),
      error() {},
    },
  });
  return {
    socket,
    write(bytes: string | Buffer) {
      left = Buffer.concat([left, Buffer.from(bytes as string)]);
      flush(socket);
    },
    /** All that came until the relay has ended the connection. */
    async whole() {
      await until("the relay ends the connection", () => hasEnded);
      return Buffer.concat(chunks).toString();
    },
  };
}

const STATUS = '{"do":"status"}\n';
const listOf = (text: string) => (JSON.parse(text) as { ok: { routes: { app: string }[] } }).ok.routes;

test("a line may come in pieces, and what follows it is ignored", async () => {
  const { write, whole } = await caller();
  const line = Buffer.from('{"do":"status","app":"mä€"}\n{"do":"nonsense"}\n');
  for (const byte of line) {
    write(Buffer.of(byte));
    await relay.front.isRunning();
  }
  expect(listOf(await whole())).toEqual([]);
});

test("a client that ends its own side after its line gets its answer", async () => {
  const { write, socket, whole } = await caller();
  write(STATUS);
  socket.shutdown();
  expect(listOf(await whole())).toEqual([]);
});

test.each([
  ["ends its side without a line", (socket: Bun.Socket) => socket.shutdown()],
  ["has sent half a line, and ends", (socket: Bun.Socket) => (socket.write('{"do":'), socket.shutdown())],
])("a client that %s is let go", async (_name, act) => {
  const { socket, whole } = await caller();
  act(socket);
  expect(await whole()).toBe("");
});

test("a line that is no command is an error, and one without an end is cut off", async () => {
  const strange = await caller();
  strange.write("GET / HTTP/1.1\n");
  expect(JSON.parse(await strange.whole())).toEqual({ error: expect.any(String) });
  const endless = await caller();
  endless.write("x".repeat(CONTROL_SIZE + 1));
  expect(await endless.whole()).toBe("");
  expect(await relay.front.isRunning()).toBe(true);
});

test("clients that are gone before their answer do no harm", async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => caller()));
  for (const { write, socket } of all) {
    write(STATUS);
    socket.terminate();
  }
  expect(await relay.front.isRunning()).toBe(true);
});

test("an answer that the kernel does not take at once comes whole, also to a client that reads late", async () => {
  const routes = Array.from({ length: 2_000 }, (_, i) => ({
    app: `app-${i}-${"x".repeat(500)}`,
    listen: { host: "127.0.0.1", port: 1 },
    protocol: "http",
    trustedProxies: [],
    target: null,
  }));
  await relay.kill("SIGTERM");
  writeFileSync(join(relay.folder, "routes.json"), JSON.stringify({ version: 1, routes }), { mode: 0o600 });
  await relay.start();
  const late = await caller({ isSlow: true });
  late.write(STATUS);
  // Others are served meanwhile.
  const at = await caller();
  at.write(STATUS);
  const text = await at.whole();
  expect(text.length).toBeGreaterThan(1024 * 1024);
  expect(new Set(listOf(text).map(({ app }) => app)).size).toBe(routes.length);
  late.socket.resume();
  expect((await late.whole()).length).toBeGreaterThan(1024 * 1024);
});
