// One client address gets so many connections and no more, and the others theirs.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { networkInterfaces } from "node:os";
import { admit, clientOf, dismiss, partyKey } from "../../../lib/fronts/relay/addresses.ts";
import { makeApp, relay } from "../../../lib/fronts/relay/app.ts";
import type { App } from "../../../lib/fronts/relay/types.ts";
import { CONNECTIONS_PER_CLIENT } from "../../../lib/fronts/relay/limits.ts";
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

test("clients are counted until they are gone", () => {
  const parties = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1"].map((at) => admit(partyKey(at, null)));
  expect(parties.map(({ count }) => count)).toEqual([2, 2, 1, 1]);
  expect(parties[0]).toBe(parties[1]!);
  for (const party of parties) dismiss(party);
  const again = admit("192.0.2.1");
  expect([again.count, again === parties[3]]).toEqual([1, false]);
  dismiss(again);
});

test.each([
  ["127.0.0.1", 33, "uid 33"],
  ["192.0.2.1", 33, "uid 33"],
  ["127.0.0.1", null, "this machine"],
  ["127.8.8.8", null, "this machine"],
  ["::1", null, "this machine"],
  ["192.0.2.1", null, "192.0.2.1"],
] as const)("%s of user %p counts as %s", (address, uid, key) => expect(partyKey(address, uid)).toBe(key));

/** An address of this machine by which it is a stranger to itself. */
const own = Object.values(networkInterfaces())
  .flat()
  .find((at) => at?.family === "IPv4" && !at.internal)?.address;
if (own === undefined) console.log("no network: that the relay counts real connections is not tested");

let script: Scripted;
let app: App;
let port: number;
const opened: Socket[] = [];
beforeAll(async () => {
  script = scripted((visit) => visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  port = await freePort();
  const target = { id: "1-aaaaaaa", port: script.port };
  app = makeApp({ app: "crowd", listen: { host: "127.0.0.1", port }, protocol: "http", target, trustedProxies: [] });
  listen(app);
});
afterAll(() => {
  for (const socket of opened) socket.destroy();
  unlisten(app, false);
  script?.stop();
});

/** A connection from an address of this machine. */
async function open(localAddress: string): Promise<{ text: string; socket: Socket }> {
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  const opening = { text: "", socket };
  socket.on("data", (chunk) => void (opening.text += chunk.toString()));
  socket.on("error", () => undefined);
  await once(socket, "connect");
  opened.push(socket);
  return opening;
}

async function answerOn(opening: Awaited<ReturnType<typeof open>>): Promise<string> {
  opening.socket.write("GET / HTTP/1.1\r\nHost: crowd\r\n\r\n");
  await until("an answer", () => opening.text.includes("\r\n\r\n"));
  return opening.text;
}

test.skipIf(own === undefined)("beyond the cap a client is told so, others and trusted proxies are not", async () => {
  const first = await open(own!);
  while (opened.length < CONNECTIONS_PER_CLIENT) await open(own!);
  await until("all are there", () => app.clients.size === CONNECTIONS_PER_CLIENT);

  expect(await answerOn(await open(own!))).toMatch(/^HTTP\/1\.1 503 [^]*this address has too many connections/);
  expect(await answerOn(await open("127.0.0.1"))).toStartWith("HTTP/1.1 200 ");
  expect(await answerOn(first)).toStartWith("HTTP/1.1 200 ");

  app.route = { ...app.route, trustedProxies: [own!] };
  expect(await answerOn(await open(own!))).toStartWith("HTTP/1.1 200 ");
  app.route = { ...app.route, trustedProxies: [] };

  for (const socket of opened.splice(0)) socket.destroy();
  await until("all are gone", () => app.clients.size === 0);
  expect(relay.connections).toBe(0);
  expect(await answerOn(await open(own!))).toStartWith("HTTP/1.1 200 ");
});
