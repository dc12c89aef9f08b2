// Hostile requests, and hostile answers, sent by the attack's own script: none is read in two ways, none gets a stranger's answer.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { plainEnv } from "../../../lib/host/run.ts";
import { type TestRelay, raw, startRelay } from "./support/relay.ts";
import { startVictim } from "./support/victim.ts";

const SCRIPT = join(import.meta.dir, "../../fixtures/attack/smuggle.py");
const names = [...readFileSync(SCRIPT, "utf8").matchAll(/^'([^']+)':b/gm)].map(([, name]) => name!);

// What the client gets, where that is not 400 alone. "open": the connection can be used again.
const ANSWERS: Record<string, string> = {
  "te-xchunked": "501",
  "te-list": "501",
  "obs-fold": "501",
  "trailer-auth": "200 open",
  absolute: "200 open",
  dslash: "200 open",
  "connect-path": "405",
  "8bit-hdr": "200 open",
  "big-hdr": "431",
  "many-hdr": "431",
  "big-uri": "431",
  h2c: "200 open",
  "ws-post-body": "502",
  "ws-no-101": "200 200 open",
  "101-unasked": "502",
  "101-asked": "101 open",
  "conn-strip-xff": "200",
  xff: "200 open",
  xff_: "200 open",
  "xff-other": "200 open",
  expect: "200 open",
  "lead-crlf": "200 open",
  "get-body-pipeline": "200 open",
  "app-split": "200 open",
  "app-twocl": "502",
  "app-extra": "200 200 open",
  "app-early": "200 200 open",
  "app-204b": "204 200 open",
  "head-extra": "200 200 open",
};

const python = Bun.which("python3");

describe.skipIf(python === null)(`smuggling${python === null ? " (skipped: no python3)" : ""}`, () => {
  let relay: TestRelay;
  let app: ReturnType<typeof startVictim>;
  const came = new Map<string, string>();

  /** Lets the script try some of its cases, and keeps what came back. */
  async function attack(port: number, some: readonly string[]): Promise<void> {
    const child = Bun.spawn([python!, SCRIPT, String(port), ...some], {
      env: { ...plainEnv(), PYTHONIOENCODING: "latin1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const text = Buffer.from(await child.stdout.bytes()).toString("latin1");
    // The name of each on a line of its own, then all bytes, and how the connection ended.
    for (const [, name, bytes] of text.matchAll(/^([\w.+-]+)\n([^]*?<(?:FIN|open|RST)>)\n/gm)) came.set(name!, bytes!);
  }

  // What others ask meanwhile, over connections to the app that are shared, and what each got.
  const others: [path: string, text: string][] = [];
  let isOver = false;
  async function askMeanwhile(port: number): Promise<void> {
    for (let at = 0; !isOver; at++) {
      const path = `/other-${at}`;
      others.push([path, (await raw(port, `GET ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)).text]);
    }
  }

  beforeAll(async () => {
    relay = await startRelay();
    app = startVictim();
    const port = await relay.add("web", app.port);
    const groups = Object.values(Object.groupBy(names, (_, at) => at % 16));
    const asking = askMeanwhile(port);
    await Promise.all(groups.map((some) => attack(port, some!)));
    isOver = true;
    await asking;
  }, 120_000);
  afterAll(async () => {
    app?.stop();
    await relay?.stop();
  });

  test("the script has tried all of it", () => {
    expect(names.length).toBeGreaterThan(80);
    expect([...came.keys()].toSorted()).toEqual(names.toSorted());
  });

  test.each(names)("%s", (name) => {
    const bytes = came.get(name)!;
    const statuses = [...bytes.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
    const end = /<(\w+)>$/.exec(bytes)![1];
    expect([...statuses, ...(end === "FIN" ? [] : [end])].join(" ")).toBe(ANSWERS[name] ?? "400");
    expect(bytes).not.toContain("POISON");
  });

  test("other clients get the answers to their own requests, over connections that they share", () => {
    for (const [path, text] of others) {
      expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
      expect(text.split("\r\n\r\n")[1]).toStartWith(`GET ${path} HTTP/1.1\r\n`);
      expect(text.split("HTTP/1.1 200").length).toBe(2);
    }
    const shared = app.visits.filter(({ got }) => got.includes("GET /other-"));
    expect(shared.length).toBeLessThan(others.length);
    for (const { got } of shared) expect(got).not.toMatch(/^GET \/(?:split|twocl|extra|early|204b) [^]*^GET \/other-/m);
  });

  test("the app saw each request once, by the relay's own reading", () => {
    const smuggled = app.seen.filter((head) => head.includes("/smug"));
    // It was sent openly, behind a request that did not change the protocol after all.
    expect(smuggled.length).toBe(1);
    const others = app.seen.filter((head) => !head.startsWith("GET /smug"));
    expect(others.every((head) => /^[A-Z]+ \/\S* HTTP\/1\.1\r\n/.test(head))).toBe(true);
  });

  test("the app learns of its clients by the relay alone", () => {
    for (const head of app.seen) {
      expect(head.match(/^x[-_]forwarded[-_]for: .*$/gim)).toEqual(["X-Forwarded-For: 127.0.0.1"]);
      expect(head.match(/^x[-_]real[-_]ip: .*$/gim)).toEqual(["X-Real-IP: 127.0.0.1"]);
      expect(head).not.toMatch(/^(forwarded|proxy|http2-settings|transfer_encoding):|evil/im);
    }
  });

  test("an absolute target counts, not the Host beside it", () => {
    expect(app.seen.filter((head) => head.includes("Host: other"))).toEqual([
      expect.stringContaining("X-Forwarded-Host: other\r\n"),
    ]);
  });
});
