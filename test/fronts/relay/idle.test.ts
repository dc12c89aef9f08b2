// WebSockets that wait: an app may have thousands of them, and the next app is served all the same.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { filesIn, pooledIn, roomIn, shareIn } from "../../../lib/fronts/relay/capacity.ts";
import { CONNECTIONS } from "../../../lib/fronts/relay/limits.ts";
import { type Scripted, scripted } from "./support/apps.ts";
import { startCrowd } from "./support/crowd.ts";
import { type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

const FILES = 7000;
const GET = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
const UPGRADE = "GET /ws HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

let relay: TestRelay;
let app: Scripted;
beforeAll(async () => {
  relay = await startRelay({}, FILES);
  app = scripted((visit) => {
    if (visit.got.startsWith("GET /ws") && visit.got.endsWith("\r\n\r\n"))
      visit.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    else if (visit.got.startsWith("GET / ")) visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    else if (visit.got.endsWith("hello")) visit.write("hello");
  });
});
afterAll(async () => {
  app?.stop();
  await relay?.stop();
});

test("more than 2,048 WebSockets of one app are held, as many as the open files allow, and another app still gets in", async () => {
  const [chat, web] = [await relay.add("chat", app.port), await relay.add("web", app.port)];
  const share = shareIn(roomIn(FILES, 2), 2);
  expect(share).toBeGreaterThan(2048);
  const tunnels = async () => (await relay.front.status("chat")).routes[0]!.inFlight["1-aaaaaaa"]?.tunnels ?? 0;
  const one = await rawClient(chat);
  one.write(UPGRADE);
  await one.until("\r\n\r\n");
  const crowd = await startCrowd(chat, share - 1, UPGRADE);
  try {
    await until("all are held", async () => (await tunnels()) === share);
    expect((await raw(chat, GET)).text).toMatch(/^HTTP\/1.1 503 [^]*chat: it has too many connections/);
    for (let i = 0; i < 10; i++) expect((await raw(web, GET)).text).toStartWith("HTTP/1.1 200 ");
    one.write("hello");
    await one.until(/\r\n\r\nhello$/);
    expect([(await crowd.look()).open, await tunnels()]).toEqual([share - 1, share]);
  } finally {
    await crowd.stop();
    one.reset();
    // The app hears of their FIN, and would keep its own side open.
    for (const visit of app.visits) visit.reset();
  }
  await until("all are gone", async () => (await tunnels()) === 0);
  expect((await raw(chat, GET)).text).toStartWith("HTTP/1.1 200 ");
}, 60_000);

test.each([
  [1024, 1, 287],
  [20_000, 1, 9182],
  [65_536, 1, CONNECTIONS],
  [65_536, 1000, CONNECTIONS],
  [64, 1, 1],
])("with %d open files and %d apps there is room for %d connections", (files, apps, room) => {
  expect(roomIn(files, apps)).toBe(room);
  expect(roomIn(files, apps) * 2 + pooledIn(files) + apps).toBeLessThan(Math.max(files, 70));
});

test("an app has all of the room only while it is alone", () => {
  expect([shareIn(1000, 0), shareIn(1000, 1), shareIn(1000, 2)]).toEqual([1000, 1000, 750]);
});

test("the limit of open files is read as the kernel writes it", () => {
  expect(
    filesIn(
      "Max processes             96283    96283    processes\nMax open files            1024     20000    files\n",
    ),
  ).toBe(1024);
  expect(filesIn("Max open files            unlimited    unlimited    files\n")).toBe(Number.POSITIVE_INFINITY);
});
