// Whose a socket is, asked of the real kernel about real sockets of other users.
import { afterEach, expect, test } from "bun:test";
import { isListening } from "../../../lib/host/process/listener.ts";
import { connectionUid, holderUid, listenerUid, tellsOwners } from "../../../lib/host/process/socket-owner.ts";
import { freePort } from "../../support/port.ts";
import { type RawListener, rawListener } from "../../support/raw-listener.ts";

const isRoot = process.getuid?.() === 0;
const own = process.getuid!();
const [ONE, OTHER] = [isRoot ? 64_101 : own, isRoot ? 64_102 : own];
const started: RawListener[] = [];
const open: Bun.Socket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.terminate();
  for (const process of started.splice(0)) await process.stop();
});

function raw(uid: number): RawListener {
  const listener = rawListener(isRoot ? uid : undefined);
  started.push(listener);
  return listener;
}

async function connect(port: number, hostname = "127.0.0.1"): Promise<Bun.Socket> {
  const socket = await Bun.connect({ hostname, port, socket: { data: () => undefined } });
  open.push(socket);
  return socket;
}

const ends = (socket: Bun.Socket, port: number, address = "127.0.0.1") =>
  [
    { address, port },
    { address, port: socket.localPort },
  ] as const;

test("this kernel tells", () => expect(tellsOwners()).toBe(true));

test("a port that nobody listens on is nobody's", async () => {
  expect(listenerUid("127.0.0.1", await freePort())).toBeNull();
  expect(listenerUid("::1", await freePort())).toBeNull();
});

test.each([
  ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
  ["every IPv4 address", "0.0.0.0", "127.0.0.1"],
  ["every address", "::", "127.0.0.1"],
  ["every address, asked by IPv6", "::", "::1"],
  ["::1", "::1", "::1"],
  ["an IPv4 address in IPv6's way", "127.0.0.1", "::ffff:127.0.0.1"],
])("a listening socket on %s is its user's", (_, hostname, asked) => {
  const listener = Bun.listen({ hostname, port: 0, socket: { data: () => undefined } });
  expect(listenerUid(asked, listener.port)).toBe(own);
  listener.stop(true);
});

test.each(["127.0.0.1", "0.0.0.0", "::"])("the process that listens on %s is found by its socket", async (hostname) => {
  const listener = Bun.listen({ hostname, port: 0, socket: { data: () => undefined } });
  expect(isListening(process.pid, listener.port)).toBe(true);
  expect(isListening(process.ppid, listener.port)).toBe(false);
  listener.stop(true);
  expect(isListening(process.pid, listener.port)).toBe(false);
});

test("a socket that a connection to 127.0.0.1 does not reach does not count beside one that it does", () => {
  const other = Bun.spawn(["python3", "-c", LISTENS], { stdin: "pipe", stdout: "pipe" });
  const reading = other.stdout.getReader();
  return reading.read().then(async ({ value }) => {
    const port = Number(new TextDecoder().decode(value));
    const own = Bun.listen({ hostname: "127.0.0.2", port, socket: { data: () => undefined } });
    expect([isListening(other.pid, port), isListening(process.pid, port)]).toEqual([true, false]);
    own.stop(true);
    other.kill();
    await other.exited;
  });
});
const LISTENS = `import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
print(server.getsockname()[1], flush=True)
sys.stdin.read()`;

test.skipIf(!isRoot)("another user's socket is that user's, before it accepts and after", async () => {
  const port = await freePort();
  const app = raw(ONE);
  expect(await app.call(`listen ${port}`)).toBe("ok");
  expect(listenerUid("127.0.0.1", port)).toBe(ONE);
  const socket = await connect(port);
  expect(connectionUid(...ends(socket, port))).toBe(ONE);
  expect(await app.call("accept")).toBe("ok");
  expect(connectionUid(...ends(socket, port))).toBe(ONE);
  // The client's own end.
  expect(connectionUid(...(ends(socket, port).toReversed() as [never, never]))).toBe(own);
});

test.skipIf(!isRoot)("a connection stays its owner's when the port has another one", async () => {
  const port = await freePort();
  const thief = raw(OTHER);
  await thief.call(`listen ${port}`);
  const socket = await connect(port);
  await thief.call("accept");
  await thief.call("unlisten");
  const app = raw(ONE);
  expect(await app.call(`listen ${port}`)).toBe("ok");
  expect(listenerUid("127.0.0.1", port)).toBe(ONE);
  expect(connectionUid(...ends(socket, port))).toBe(OTHER);
  // It answered, and has gone: nobody is at that end any more, whoever listens now.
  await thief.call('write "HTTP/1.1 200 OK\\r\\n\\r\\n"');
  await thief.call("close");
  expect(connectionUid(...ends(socket, port))).toBeNull();
});

test.skipIf(!isRoot)("a connection that is not made before its first byte is the listening socket's", async () => {
  const port = await freePort();
  const app = raw(ONE);
  await app.call(`listen ${port}`);
  expect(await app.call("defer")).toBe("ok");
  const socket = await connect(port);
  expect(connectionUid(...ends(socket, port))).toBe(ONE);
  expect(holderUid(...ends(socket, port))).toBeNull();
  socket.write("GET");
  await app.call("accept");
  expect(holderUid(...ends(socket, port))).toBe(ONE);
});

test("a connection that was never there is nobody's", async () => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const [local, remote] = [
    { address: "127.0.0.1", port: listener.port },
    { address: "127.0.0.1", port: await freePort() },
  ];
  expect(connectionUid(local, remote)).toBeNull();
  listener.stop(true);
});

test("over IPv6 as well", async () => {
  const listener = Bun.listen({ hostname: "::1", port: 0, socket: { data: () => undefined } });
  const socket = await connect(listener.port, "::1");
  expect(connectionUid(...ends(socket, listener.port, "::1"))).toBe(own);
  listener.stop(true);
});
