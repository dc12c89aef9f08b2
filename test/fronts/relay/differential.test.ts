// The relay's verdict on the corpus, against those of node:http and HAProxy: it may be stricter, never looser.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { METHODS } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Scripted, freePort, scripted, until } from "./support/apps.ts";
import { type Case, corpus } from "./support/corpus.ts";
import { freshSeed, mutated, random } from "./support/fuzz.ts";
import { readStream } from "./support/reader.ts";
import { type TestRelay, rawClient, startRelay } from "./support/relay.ts";

// Says what it took each request for; answers 200. Its own program: a fault of the reader is not ours then.
const NODE = `
const server = require("node:http").createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => response.end(JSON.stringify([request.method, request.url, Buffer.concat(parts).toString("latin1")]) + "\\n"));
});
server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("up"));
`;

let relay: TestRelay;
let app: Scripted;
let node: { port: number; stop(): void };
let relayPort: number;
beforeAll(async () => {
  [relay, node] = await Promise.all([startRelay(), startNode()]);
  const answered = new Map<unknown, number>();
  app = scripted((visit) => {
    const { passed, isPartial } = readStream([Buffer.from(visit.got, "latin1")]);
    if (isPartial || passed.length === (answered.get(visit) ?? 0)) return;
    answered.set(visit, passed.length);
    visit.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  relayPort = await relay.add("web", app.port);
});
afterAll(async () => {
  app?.stop();
  node?.stop();
  await relay?.stop();
});

async function startNode() {
  const port = await freePort();
  const argv = [Bun.which("node") ?? process.execPath, "-e", NODE];
  const env = { PATH: process.env["PATH"]!, PORT: String(port) };
  const child = Bun.spawn(argv, { cwd: "/", env, stdio: ["ignore", "pipe", "inherit"] });
  await child.stdout.getReader().read();
  return { port, stop: () => child.kill("SIGKILL") };
}

/** The status of the first answer, 100 left out; 0 when there was none in time. */
async function statusOf(port: number, bytes: string, deadline = 5_000): Promise<number> {
  const client = await rawClient(port);
  client.write(bytes);
  try {
    const { text } = await client.until(/HTTP\/1\.[01] [2-5]\d\d [^]*?\r\n\r\n/, deadline);
    return Number(/^HTTP\/1\.[01] (\d+)/.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  } finally {
    client.close();
  }
}

const isTaken = (status: number) => status >= 200 && status < 300;

/** The names of the cases that `other` refuses and the relay's table accepts. */
async function looserThan(port: number): Promise<string[]> {
  const looser: string[] = [];
  const check = async ({ name, bytes, status }: Case) => {
    if (status === 200 && !isTaken(await statusOf(port, bytes))) looser.push(name);
  };
  await Promise.all(corpus.map(check));
  return looser.toSorted();
}

describe("over sockets", () => {
  test.each(corpus.map(({ name, bytes, status }) => [status, name, bytes] as const))(
    "the relay answers %d: %s",
    async (status, _name, bytes) => {
      const before = app.came.length;
      expect(await statusOf(relayPort, bytes)).toBe(status);
      // A head that is refused never reaches the app; of a bad body what came before may.
      if (status !== 200 && !bytes.includes("Transfer-Encoding: chunked\r\n\r\n")) expect(app.came.length).toBe(before);
    },
  );
});

describe("node:http", () => {
  test("takes everything that the relay takes", async () => {
    expect(await looserThan(node.port)).toEqual([]);
  });

  test("reads what the relay passes on as the same requests", async () => {
    for (const { bytes, status } of corpus) {
      if (status !== 200) continue;
      const { passed } = readStream([Buffer.from(bytes, "latin1")]);
      // What would follow if a body ended elsewhere: it must be the next request, and nothing else.
      const client = await rawClient(node.port);
      const isLast = passed[0]!.includes("Connection: close");
      client.write(passed[0]! + (isLast ? "" : "GET /next HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"));
      const { text } = await client.until(() => false);
      const seen = text
        .split("\n")
        .filter((line) => line.startsWith("["))
        .map((line) => JSON.parse(line) as string[]);
      // A URL has become its path by then.
      const [method, url] = (/^\w+ https?:/i.test(bytes) ? passed[0]! : bytes.trimStart()).split(" ");
      expect(seen.map((request) => request.slice(0, 2))).toEqual([
        [method!, url!],
        ...(isLast ? [] : [["GET", "/next"]]),
      ]);
      client.close();
    }
  });

  test.each([1, freshSeed])(
    "finds as many requests in what is passed on of a stream that was tampered with (FUZZ_SEED=%d)",
    async (seed) => {
      const below = random(seed);
      const streams: string[][] = [];
      for (let i = 0; i < 10_000 && streams.length < 600; i++) {
        const { passed, isPartial, refused } = readStream([Buffer.from(mutated(below), "latin1")]);
        // Of a stream that is refused at last, what came before has been passed on all the same.
        const whole = refused > 0 || isPartial ? passed.slice(0, -1) : passed;
        // node refuses methods that it does not know, and answers HTTP/1.0 with the end of the connection.
        const isKnown = (bytes: string) =>
          METHODS.includes(bytes.split(" ", 1)[0]!) && !bytes.includes("Connection: close");
        if (whole.length > 0 && whole.every(isKnown)) streams.push(whole);
      }
      expect(streams.length).toBe(600);
      while (streams.length > 0) await Promise.all(streams.splice(0, 50).map(compare));
    },
  );

  async function compare(whole: string[]): Promise<void> {
    const client = await rawClient(node.port);
    client.write(`${whole.join("")}GET /next HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`);
    const { text } = await client.until(() => false);
    client.close();
    const seen = text.split("\n").filter((line) => line.startsWith("["));
    if (seen.length !== whole.length + 1 || !seen.at(-1)!.startsWith('["GET","/next"'))
      throw new Error(`${whole.length} requests are ${seen.length - 1} to node: ${JSON.stringify(whole)}`);
  }
});

const haproxy = Bun.which("haproxy");

describe.skipIf(haproxy === null)(`HAProxy${haproxy === null ? " (skipped: it is not installed)" : ""}`, () => {
  let folder: string;
  let child: Bun.Subprocess;
  let port: number;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "dp-haproxy-"));
    port = await freePort();
    const config = `global\n  maxconn 500\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 4s\n  timeout server 4s\nlisten web\n  bind 127.0.0.1:${port}\n  server app 127.0.0.1:${app.port}\n`;
    await Bun.write(join(folder, "haproxy.cfg"), config);
    const argv = [haproxy!, "-db", "-f", join(folder, "haproxy.cfg")];
    child = Bun.spawn(argv, { cwd: "/", stdio: ["ignore", "ignore", "ignore"] });
    await until(
      "HAProxy answers",
      async () => (await statusOf(port, "GET / HTTP/1.1\r\nHost: web\r\n\r\n").catch(() => 0)) === 200,
    );
  });
  afterAll(async () => {
    child?.kill("SIGKILL");
    await child?.exited;
    rmSync(folder, { recursive: true, force: true });
  });

  test("takes everything that the relay takes, but for URLs that it reads otherwise", async () => {
    // Their host counts, not the Host, says RFC 9112 3.2.2; HAProxy answers 400 unless both are the same.
    expect(await looserThan(port)).toEqual([
      "an absolute target of another host, in capitals",
      "an absolute target without a path",
    ]);
  });
});
