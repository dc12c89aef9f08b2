// One client address gets so many connections and no more, and the others theirs.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { addConnection, clientOf, removeConnection } from "../../../lib/fronts/relay/addresses.ts";
import { makeApp, relay } from "../../../lib/fronts/relay/app.ts";
import type { App } from "../../../lib/fronts/relay/types.ts";
import { CONNECTIONS_PER_ADDRESS } from "../../../lib/fronts/relay/limits.ts";
import { listen, unlisten } from "../../../lib/fronts/relay/listening.ts";
import { type Scripted, freePort, scripted } from "./support/apps.ts";
import { until } from "./support/relay.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8::6", "2001:db8:0:0"],
  ["2001:db8:1:2::", "2001:db8:1:2"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["::", "0:0:0:0"],
])("%s is the client %s", (address, client) => expect(clientOf(address)).toBe(client));

test("connections are counted by client, until they end", () => {
  expect(["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1"].map(addConnection)).toEqual([0, 1, 0, 0]);
  removeConnection("2001:db8::1");
  expect(addConnection("2001:db8::3")).toBe(1);
  for (const address of ["2001:db8::2", "2001:db8::3", "2001:db8:0:1::1", "192.0.2.1"]) removeConnection(address);
  expect(addConnection("2001:db8::1")).toBe(0);
  removeConnection("2001:db8::1");
});

test.each(["127.0.0.1", "127.8.8.8", "::1"])("%s is this machine itself, and not counted", (address) => {
  expect([addConnection(address), addConnection(address)]).toEqual([0, 0]);
});

/** An address of this machine by which it is a stranger to itself. */
const own = Object.values(networkInterfaces())
  .flat()
  .find((at) => at?.family === "IPv4" && !at.internal)?.address;
if (own === undefined) console.log("no network: that the relay counts real connections is not tested");

let script: Scripted;
let app: App;
let port: number;
const opened: Bun.Socket<{ text: string }>[] = [];
beforeAll(async () => {
  script = scripted((visit) => visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  port = await freePort();
  const target = { id: "1-aaaaaaa", port: script.port };
  app = makeApp({ app: "crowd", listen: { host: "0.0.0.0", port }, protocol: "http", target, trustedProxies: [] });
  listen(app);
});
afterAll(() => {
  for (const socket of opened) socket.terminate();
  unlisten(app, false);
  script?.stop();
});

async function open(hostname: string): Promise<Bun.Socket<{ text: string }>> {
  const data = (socket: Bun.Socket<{ text: string }>, chunk: Buffer) => void (socket.data.text += chunk.toString());
  const socket = await Bun.connect({ hostname, port, data: { text: "" }, socket: { data } });
  opened.push(socket);
  return socket;
}

async function answerOn(socket: Bun.Socket<{ text: string }>): Promise<string> {
  socket.write("GET / HTTP/1.1\r\nHost: crowd\r\n\r\n");
  await until("an answer", () => socket.data.text.includes("\r\n\r\n"));
  return socket.data.text;
}

test.skipIf(own === undefined)("beyond the cap a client is told so, others and trusted proxies are not", async () => {
  const first = await open(own!);
  while (opened.length < CONNECTIONS_PER_ADDRESS) await open(own!);
  await until("all are there", () => app.clients.size === CONNECTIONS_PER_ADDRESS);

  expect(await answerOn(await open(own!))).toMatch(/^HTTP\/1\.1 503 [^]*this address has too many connections/);
  expect(await answerOn(await open("127.0.0.1"))).toStartWith("HTTP/1.1 200 ");
  expect(await answerOn(first)).toStartWith("HTTP/1.1 200 ");

  app.route = { ...app.route, trustedProxies: [own!] };
  expect(await answerOn(await open(own!))).toStartWith("HTTP/1.1 200 ");
  app.route = { ...app.route, trustedProxies: [] };

  for (const socket of opened.splice(0)) socket.terminate();
  await until("all are gone", () => app.clients.size === 0);
  expect(relay.connections).toBe(0);
  expect(await answerOn(await open(own!))).toStartWith("HTTP/1.1 200 ");
});
