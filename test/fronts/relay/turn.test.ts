// Many messages in one turn of the event loop: they are sent together at its end, and each still reaches its own side,
// whole and in order, whatever else happens in that turn.
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { conclude } from "../../../lib/fronts/relay/ending.ts";
import { TURN_MOST, TURN_SIZE } from "../../../lib/fronts/relay/limits.ts";
import { drop, end, isEmpty, type Outlet, send, sendTogether, unused } from "../../../lib/fronts/relay/outlet.ts";
import type { Client } from "../../../lib/fronts/relay/types.ts";
import { processEntry } from "../../../lib/host/process/process.ts";
import { type Scripted, type Visit, scripted } from "./support/apps.ts";
import { type RawClient, type TestRelay, rawClient, startRelay, until } from "./support/relay.ts";

/** Clients at a time: several times what one turn sends at once. */
const CLIENTS = 40;

describe("a turn", () => {
  const endOfTurn = () => new Promise<void>((done) => void setImmediate(done));
  /** An outlet whose socket takes all, or at most that many bytes of each write. */
  function outlet(name: string, log: string[], most = Infinity): Outlet {
    const socket = {
      write(buffer: Buffer, start = 0, size = buffer.length) {
        const taken = Math.min(size, most);
        log.push(`${name} ${buffer.toString("latin1", start, start + taken)}`);
        return taken;
      },
      shutdown: () => void log.push(`${name} FIN`),
      end: () => void log.push(`${name} closed`),
      terminate: () => void log.push(`${name} reset`),
    };
    return { ...unused(0), socket: socket as unknown as Bun.Socket<unknown> };
  }
  const together = (to: Outlet, text: string) => sendTogether(to, Buffer.from(text), 0, text.length);

  test("the first is sent at once, the others at its end, in their order", async () => {
    const log: string[] = [];
    const [a, b, c] = ["a", "b", "c"].map((name) => outlet(name, log)) as [Outlet, Outlet, Outlet];
    together(a, "1");
    together(b, "2");
    sendTogether(c, Buffer.from("(3)"), 1, 2);
    expect(log).toEqual(["a 1"]);
    expect([a, b, c].every(isEmpty)).toBe(true);
    await endOfTurn();
    expect(log).toEqual(["a 1", "b 2", "c 3"]);
    together(c, "4");
    expect(log.at(-1)).toBe("c 4");
    await endOfTurn();
    expect(log).toHaveLength(4);
  });

  test.each<[string, (to: Outlet) => void, string[]]>([
    ["more", (to) => send(to, Buffer.from("more"), 0, 4), ["b late", "b more"]],
    ["the next that could wait", (to) => together(to, "next"), ["b late", "b next"]],
    ["a FIN", end, ["b late", "b FIN"]],
    ["a close", (to) => drop(to, false), ["b late", "b closed"]],
    ["a reset", (to) => drop(to, true), ["b late", "b reset"]],
    ["the other side's close", (to) => void (to.socket = null), []],
  ])("what waits goes before %s", async (_name, then, expected) => {
    const log: string[] = [];
    const [first, other] = [outlet("a", log), outlet("b", log)];
    together(first, "first");
    together(other, "late");
    then(other);
    await endOfTurn();
    expect(log).toEqual(["a first", ...expected]);
    expect(isEmpty(other)).toBe(true);
  });

  test("what a slow side does not take at its end is queued, and its FIN waits for it", async () => {
    const log: string[] = [];
    const [first, slow] = [outlet("a", log), outlet("b", log, 3)];
    together(first, "first");
    together(slow, "abcdef");
    await endOfTurn();
    expect(log).toEqual(["a first", "b abc"]);
    expect(Buffer.concat(slow.queue).toString()).toBe("def");
    end(slow);
    together(slow, "ghi");
    expect(Buffer.concat(slow.queue).toString()).toBe("defghi");
    expect(log).not.toContain("b FIN");
    await endOfTurn();
  });

  test("a connection that ends waits for its client to take what waits", async () => {
    const log: string[] = [];
    const [first, slow] = [outlet("a", log), outlet("b", log, 3)];
    together(first, "first");
    together(slow, "abcdef");
    conclude(Object.assign(slow, { isEof: true }) as Client);
    expect(log).toEqual(["a first", "b abc"]);
    expect(Buffer.concat(slow.queue).toString()).toBe("def");
    await endOfTurn();
  });

  test("keeps no more than so many, and none that is large", async () => {
    const log: string[] = [];
    const all = Array.from({ length: TURN_MOST + 2 }, (_, i) => outlet(String(i), log));
    for (const one of all.slice(0, -1)) together(one, "x");
    expect(log).toEqual(["0 x"]);
    together(all.at(-1)!, "x");
    // In their order: the last one waits.
    expect(log).toEqual(all.slice(0, -1).map((_, i) => `${i} x`));
    const large = outlet("large", log);
    together(large, "y".repeat(TURN_SIZE + 1));
    expect(log.at(-1)).toStartWith("large y");
    await endOfTurn();
    expect(log.at(-1)).toBe(`${TURN_MOST + 1} x`);
  });

  test("an error of one keeps nobody else's from being sent", async () => {
    const log: string[] = [];
    const [first, bad, other] = ["a", "b", "c"].map((name) => outlet(name, log)) as [Outlet, Outlet, Outlet];
    bad.socket!.write = () => {
      throw new Error("a test");
    };
    const told = spyOn(console, "error").mockImplementation(() => undefined);
    for (const one of [first, bad, other]) together(one, "x");
    await endOfTurn();
    expect(log).toEqual(["a x", "b reset", "c x"]);
    expect(told).toHaveBeenCalledTimes(1);
    told.mockRestore();
  });
});

describe("a relay to which all comes in one turn", () => {
  let relay: TestRelay;
  const apps: Scripted[] = [];
  beforeAll(async () => {
    relay = await startRelay();
  });
  afterAll(async () => {
    for (const app of apps) app.stop();
    await relay?.stop();
  });

  const pathsIn = (text: string) => [...text.matchAll(/GET (\S+) HTTP/g)].map(([, path]) => path!);
  const answer = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: web\r\n\r\n`;
  /** Answers each request with its path. */
  function echo(visit: Visit): void {
    const paths = pathsIn(visit.got);
    visit.got = "";
    for (const path of paths) visit.write(answer(path));
  }

  /** An app, and clients that have got an answer each over a connection of their own. */
  async function clientsOf(name: string, onData: (visit: Visit) => void = echo) {
    const app = scripted(onData);
    apps.push(app);
    const port = await relay.add(name, app.port);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => rawClient(port)));
    await Promise.all(clients.map((client, i) => asked(client, `/first/${i}/`)));
    return { app, clients };
  }

  async function asked(client: RawClient, path: string): Promise<void> {
    client.write(request(path));
    expect((await client.until(path)).ending).toBe("open");
  }

  /** Lets the relay see all that is done in `act` at once. */
  async function atOnce(act: () => void | Promise<void>): Promise<void> {
    process.kill(relay.pid(), "SIGSTOP");
    await until("the relay stands still", () => processEntry(relay.pid())?.state === "T");
    try {
      await act();
    } finally {
      process.kill(relay.pid(), "SIGCONT");
    }
  }

  const bodies = (client: RawClient) => [...client.text().matchAll(/\r\n\r\n([^H]*)/g)].map(([, body]) => body!);
  const close = (clients: readonly RawClient[]) => {
    for (const client of clients) client.close();
  };

  test("each gets its own answer, and so do requests that are sent one after the other without waiting", async () => {
    const { clients } = await clientsOf("many");
    for (let round = 0; round < 5; round++)
      await atOnce(() => {
        for (const [i, client] of clients.entries())
          client.write([1, 2, 3].map((part) => request(`/${round}/${i}/${part}/`)).join(""));
      });
    for (const [i, client] of clients.entries()) {
      await client.until(`/4/${i}/3/`);
      const wanted = [0, 1, 2, 3, 4].flatMap((round) => [1, 2, 3].map((part) => `/${round}/${i}/${part}/`));
      expect(bodies(client)).toEqual([`/first/${i}/`, ...wanted]);
    }
    close(clients);
  });

  test("clients that have sent their FIN get their answers, then the relay's", async () => {
    const { clients } = await clientsOf("fin");
    await atOnce(() => {
      for (const [i, client] of clients.entries()) {
        client.write(request(`/last/${i}/`));
        client.end();
      }
    });
    for (const [i, client] of clients.entries()) {
      const { ending } = await client.until(() => false);
      expect([bodies(client), ending]).toEqual([[`/first/${i}/`, `/last/${i}/`], "eof"]);
    }
  });

  test("clients that read late get all answers whole, also after their FIN", async () => {
    const [size, requests] = [15_000, 60];
    const app = scripted((visit) => {
      const paths = pathsIn(visit.got);
      visit.got = "";
      for (const path of paths) visit.write(answer(path.padEnd(size, ".")));
    });
    apps.push(app);
    const port = await relay.add("late", app.port);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => lateClient(port)));
    await atOnce(() => {
      for (const { socket } of clients) {
        socket.write(Array.from({ length: requests }, (_, i) => request(`/${i}/`)).join(""));
        socket.shutdown();
      }
    });
    // So much is answered that no client's connection takes more.
    const answered = async () => (await relay.front.status("late")).routes[0]!.requests;
    let before = -1;
    await until("the relay waits for its clients", async () => before === (before = await answered()));
    for (const { socket } of clients) socket.resume();
    for (const client of clients) {
      await until("the relay has sent all", () => client.hasEnded());
      expect(client.text().match(/HTTP\/1\.1 200 OK/g)).toHaveLength(requests);
      expect(client.text().length).toBe(requests * answer(".".repeat(size)).length);
    }
  });

  /** A client that reads nothing until it is resumed. */
  async function lateClient(port: number) {
    let [text, hasEnded] = ["", false];
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: {
        open: (self) => void self.pause(),
        data: (_, chunk) => void (text += chunk.toString("latin1")),
        end: (self) => void ((hasEnded = true), self.end()),
        close: () => void (hasEnded = true),
        error() {},
      },
    });
    return { socket, text: () => text, hasEnded: () => hasEnded };
  }

  test("an app that closes its idle connections in that turn loses no request", async () => {
    const { app, clients } = await clientsOf("idle");
    await atOnce(() => {
      for (const visit of app.visits) visit.end();
      for (const [i, client] of clients.entries()) client.write(request(`/again/${i}/`));
    });
    for (const [i, client] of clients.entries()) {
      await client.until(`/again/${i}/`);
      expect(bodies(client)).toEqual([`/first/${i}/`, `/again/${i}/`]);
    }
    close(clients);
  });

  test("answers that come at once reach their clients, though others reset theirs in that turn", async () => {
    let isHeld = false;
    const held: Visit[] = [];
    const { clients } = await clientsOf("held", (visit) => {
      if (isHeld) held.push(visit);
      else echo(visit);
    });
    isHeld = true;
    for (const [i, client] of clients.entries()) client.write(request(`/held/${i}/`));
    await until("all requests are with the app", () => held.length === CLIENTS);
    const isGone = (i: number) => i % 3 === 0;
    await atOnce(() => {
      for (const visit of held) echo(visit);
      for (const [i, client] of clients.entries()) if (isGone(i)) client.reset();
    });
    for (const [i, client] of clients.entries()) {
      if (isGone(i)) continue;
      await client.until(`/held/${i}/`);
      expect(bodies(client)).toEqual([`/first/${i}/`, `/held/${i}/`]);
    }
    await until("nothing is in flight", async () => {
      const { inFlight } = (await relay.front.status("held")).routes[0]!;
      return Object.values(inFlight).every(({ requests }) => requests === 0);
    });
    isHeld = false;
    close(clients);
  });

  /** Two looks at what the relay has got: it has handled all that was there before. */
  async function settled(): Promise<void> {
    for (let looks = 0; looks < 2; looks++) await relay.front.isRunning();
  }

  const post = (path: string, more: string) => `POST ${path} HTTP/1.1\r\nHost: web\r\n${more}`;

  test.each<[string, string, (client: RawClient) => void, string]>([
    [
      "a request that can never be complete follows",
      `${request("/one/")}${post("/two/", "Content-Length: 10\r\n\r\nabc")}`,
      () => undefined,
      "200 OK",
    ],
    [
      "its client ends in the middle of its request",
      post("/", "Content-Length: 10\r\n\r\nabc"),
      (client) => client.end(),
      "413 Too Large",
    ],
    [
      "the rest of its request is malformed",
      post("/", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
      (client) => client.write("zz\r\n"),
      "413 Too Large",
    ],
  ])("an answer reaches its client, though %s", async (_name, bytes, then, status) => {
    const app = scripted(() => undefined);
    apps.push(app);
    const port = await relay.add("cut", app.port);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => rawClient(port)));
    for (const client of clients) {
      client.write(bytes);
      if (status === "200 OK") client.end();
    }
    await until("the app has all", () => app.visits.filter(({ got }) => got !== "").length === CLIENTS);
    await settled();
    await atOnce(() => {
      for (const visit of app.visits) visit.write(`HTTP/1.1 ${status}\r\nContent-Length: 6\r\n\r\nanswer`);
      for (const client of clients) then(client);
    });
    for (const client of clients) expect((await client.until(() => false)).text).toContain(`${status}\r\n`);
  });

  /** Requests of all clients, and then something that the app does on the connections that they would be sent on. */
  async function overtaken(name: string, bytes: (i: number) => string, act: (visit: Visit) => void) {
    const app = scripted((visit) => {
      const paths = [...visit.got.matchAll(/(?:GET|POST) (\S+) HTTP/g)].map(([, path]) => path!);
      visit.got = "";
      for (const path of paths) visit.write(answer(path));
    });
    apps.push(app);
    const port = await relay.add(name, app.port);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => rawClient(port)));
    for (const [i, client] of clients.entries()) {
      client.write(bytes(i).replace("/now", "/first"));
      await client.until(`/first/${i}/`);
    }
    const used = [...app.visits];
    await atOnce(() => {
      for (const [i, client] of clients.entries()) client.write(bytes(i));
      for (const visit of used) act(visit);
    });
    const ended = clients.map((client, i) =>
      client.until((text) => [`/now/${i}/`, "502", "JUNK"].some((part) => text.includes(part))),
    );
    const texts = (await Promise.all(ended)).map(({ text }) => text);
    await settled();
    close(clients);
    return { texts, requests: app.came.join("").match(/\/now\//g)!.length };
  }

  // The first of the turn was sent at once.
  test("a request that the app's FIN has overtaken is sent to it once, on another connection", async () => {
    const { texts, requests } = await overtaken(
      "once",
      (i) => request(`/now/${i}/`),
      (visit) => visit.end(),
    );
    expect(texts.filter((text) => text.includes("/now/"))).toHaveLength(CLIENTS);
    expect(requests).toBeLessThanOrEqual(CLIENTS + 1);
  });

  test("so is one that may not be sent twice", async () => {
    const bytes = (i: number) => post(`/now/${i}/`, "Content-Length: 0\r\n\r\n");
    const { texts } = await overtaken("post", bytes, (visit) => visit.end());
    expect(texts.filter((text) => text.includes("/now/")).length).toBeGreaterThanOrEqual(CLIENTS - 1);
  });

  test("what the app says before a request is sent is nobody's answer", async () => {
    const { texts } = await overtaken(
      "junk",
      (i) => request(`/now/${i}/`),
      (visit) => visit.write(answer("JUNK")),
    );
    expect(texts.filter((text) => text.includes("JUNK")).length).toBeLessThanOrEqual(1);
    expect(texts.filter((text) => text.includes("/now/")).length).toBeGreaterThanOrEqual(CLIENTS - 1);
  });
});
