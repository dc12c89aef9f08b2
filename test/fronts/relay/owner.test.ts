// Nobody but the app's own user answers for it: another user on its port gets no request, and its answers go nowhere.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Target } from "../../../lib/contracts/front.ts";
import { isHeard } from "../../../lib/fronts/relay/owner.ts";
import { freePort } from "../../support/port.ts";
import { type RawListener, rawListener } from "../../support/raw-listener.ts";
import { type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

const [APP, THIEF] = [64_101, 64_102];
const GET = "GET / HTTP/1.1\r\nHost: web\r\nCookie: session=1\r\nConnection: close\r\n\r\n";
const ANSWER = (text: string) =>
  `write ${JSON.stringify(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`)}`;

test("the kernel tells whether a connection would be in vain, but not where a container engine may forward it", async () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const [heard, free] = [
    { id: "1-aaaaaaa", port: server.port },
    { id: "1-aaaaaaa", port: await freePort() },
  ];
  expect([heard, free, { ...free, uid: APP }, { ...free, uid: 0 }].map(isHeard)).toEqual([true, false, false, null]);
  server.stop(true);
  expect(isHeard(heard)).toBe(false);
});

// Another user's process can be started by root alone.
describe.skipIf(process.getuid?.() !== 0)("the owner of an app's port", () => {
  let relay: TestRelay;
  const started: RawListener[] = [];
  beforeAll(async () => {
    relay = await startRelay();
  });
  afterEach(async () => {
    for (const process of started.splice(0)) await process.stop();
  });
  afterAll(() => relay?.stop());

  async function listening(uid: number, port: number): Promise<RawListener> {
    const process = rawListener(uid);
    started.push(process);
    expect(await process.call(`listen ${port}`)).toBe("ok");
    return process;
  }

  /** A route for an app that its own user listens for on a port, at least by right. */
  async function route(app: string, more: { protocol?: "tcp"; uid?: number } = {}) {
    const target: Target = { id: "1-aaaaaaa", port: await freePort(), uid: more.uid ?? APP };
    return { port: await relay.add(app, null, { target, protocol: more.protocol ?? "http" }), at: target.port };
  }

  test("the app's own user is served, whether it accepts before the request or after", async () => {
    const { port, at } = await route("own");
    const app = await listening(APP, at);
    const client = await rawClient(port);
    client.write(GET);
    expect(await app.call("accept")).toBe("ok");
    await until("the request", async () => (await app.call("read")).includes("session=1"));
    await app.call(ANSWER("the app"));
    await app.call("close");
    expect((await client.until("the app")).text).toStartWith("HTTP/1.1 200 OK");
    client.close();
  });

  test("another user on its port gets nothing, and the client gets 502", async () => {
    const { port, at } = await route("stolen");
    const thief = await listening(THIEF, at);
    const { text } = await raw(port, GET);
    expect(text).toStartWith("HTTP/1.1 502 ");
    expect(text).toContain(`stolen: its port ${at} is held by another user`);
    expect([await thief.call("accept"), await thief.call("read")]).toEqual(["ok", '""']);
    expect(relay.log()).toContain(
      `stolen: port ${at} of 1-aaaaaaa is held by uid ${THIEF} (uid ${THIEF}), not by uid ${APP}: answered 502`,
    );
    expect((await relay.front.status("stolen")).routes[0]!.failed).toBe(1);
  });

  test("one that accepts and answers at once is not believed", async () => {
    const { port, at } = await route("eager");
    const thief = await listening(THIEF, at);
    const pending = raw(port, GET);
    void thief.call("accept").then(() => thief.call(ANSWER("stolen")));
    const { text } = await pending;
    expect(text).toStartWith("HTTP/1.1 502 ");
    expect(text).not.toContain("stolen");
  });

  test("a connection that is kept for others is no way round the check of a new one", async () => {
    const { port, at } = await route("pooled");
    const app = await listening(APP, at);
    const client = await rawClient(port);
    client.write(GET);
    await app.call("accept");
    await app.call(ANSWER("the app"));
    expect((await client.until("the app")).text).toStartWith("HTTP/1.1 200 OK");
    await app.call("unlisten");
    const thief = await listening(THIEF, at);
    // With a body it gets a connection of its own.
    const { text } = await raw(
      port,
      GET.replace("GET", "POST").replace("Connection", "Content-Length: 0\r\nConnection"),
    );
    expect(text).toStartWith("HTTP/1.1 502 ");
    expect([await thief.call("accept"), await thief.call("read")]).toEqual(["ok", '""']);
  });

  test("the app is served again as soon as the port is its own", async () => {
    const { port, at } = await route("back");
    const thief = await listening(THIEF, at);
    expect((await raw(port, GET)).text).toStartWith("HTTP/1.1 502 ");
    await thief.stop();
    const client = await rawClient(port);
    client.write(GET);
    const app = await listening(APP, at);
    await app.call("accept");
    await app.call(ANSWER("the app"));
    expect((await client.until("the app")).text).toStartWith("HTTP/1.1 200 OK");
    client.close();
  });

  test("a connection of a route without HTTP is reset before a byte of it is sent", async () => {
    const { port, at } = await route("plain", { protocol: "tcp" });
    const thief = await listening(THIEF, at);
    const ending = await rawClient(port).then(
      async (client) => {
        client.write("a secret");
        return (await client.until(() => false)).ending;
      },
      () => "reset", // before it was ready
    );
    expect(ending).toBe("reset");
    expect([await thief.call("accept"), await thief.call("read")]).toEqual(["ok", '""']);
  });

  test("root's own processes are no exception, unless the route says root", async () => {
    const strict = await route("strict");
    await listening(0, strict.at);
    expect((await raw(strict.port, GET)).text).toStartWith("HTTP/1.1 502 ");
    const engine = await route("engine", { uid: 0 });
    const proxy = await listening(0, engine.at);
    const client = await rawClient(engine.port);
    client.write(GET);
    await proxy.call("accept");
    await proxy.call(ANSWER("a container"));
    expect((await client.until("a container")).text).toStartWith("HTTP/1.1 200 OK");
    client.close();
    await proxy.stop();
    await listening(THIEF, engine.at);
    expect((await raw(engine.port, GET)).text).toStartWith("HTTP/1.1 502 ");
  });

  test("the uid outlives a restart of the relay", async () => {
    const { port, at } = await route("kept");
    await relay.kill("SIGKILL");
    await relay.start();
    await listening(THIEF, at);
    expect((await raw(port, GET)).text).toStartWith("HTTP/1.1 502 ");
  });
});
