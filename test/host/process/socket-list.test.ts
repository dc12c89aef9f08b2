// Every listening socket, as the kernel lists them: the same that /proc/net/tcp has.
import { afterEach, expect, test } from "bun:test";
import { listeningIn } from "../../../lib/host/process/listener.ts";
import { listedSockets } from "../../../lib/host/process/socket-list.ts";

const opened: Bun.TCPSocketListener[] = [];
afterEach(() => {
  for (const listener of opened.splice(0)) listener.stop(true);
});

test.each([
  ["127.0.0.1", [127, 0, 0, 1]],
  ["0.0.0.0", [0, 0, 0, 0]],
  ["::1", [...Array.from({ length: 15 }, () => 0), 1]],
])("a socket that listens on %s is among them, and gone once it is closed", (hostname, address) => {
  const listener = Bun.listen({ hostname, port: 0, socket: { data: () => undefined } });
  opened.push(listener);
  const { port } = listener;
  const found = () =>
    listedSockets()?.filter((socket) => socket.port === port && socket.address.join() === address.join());
  expect(found()).toMatchObject([{ uid: process.getuid!() }]);
  expect(listeningIn(process.pid)).toContainEqual({ port, address: hostname });
  listener.stop(true);
  expect(found()).toEqual([]);
});

test("those on one port can be asked for alone", () => {
  const [first, second] = ["127.0.0.1", "::1"].map((hostname) => {
    const listener = Bun.listen({ hostname, port: 0, socket: { data: () => undefined } });
    opened.push(listener);
    return listener;
  });
  for (const { port } of [first!, second!]) {
    expect(listedSockets(port)).toEqual(listedSockets()!.filter((socket) => socket.port === port));
    expect(listedSockets(port)).toHaveLength(1);
  }
  first!.stop(true);
  expect(listedSockets(first!.port)).toEqual([]);
});

test("more of them than one answer has room for are all there", () => {
  const ports = Array.from({ length: 400 }, () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    opened.push(listener);
    return listener.port;
  });
  const listed = new Set(listedSockets()?.map(({ port }) => port));
  expect(ports.filter((port) => !listed.has(port))).toEqual([]);
});
