// The entrance of a server with the entries of two releases, as HAProxies: it changes over at once, and loses no request.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { entranceText } from "../../../lib/managers/swarm/entrance.ts";
import { proxyText } from "../../../lib/managers/swarm/proxy.ts";
import { deployConfig } from "../../support/configs.ts";
import { freePort } from "../../support/port.ts";
import { until } from "../../support/sandbox.ts";

const HAPROXY = Bun.which("haproxy", { PATH: "/usr/sbin:/usr/bin" });
const folder = mkdtempSync(join(tmpdir(), "dp-entrance-"));
const running: Bun.Subprocess[] = [];
const apps: Bun.Server<undefined>[] = [];
let port: number;

/** HAProxy with a text, in which the folder of the containers is one of this test. */
function haproxy(name: string, text: string, env: Record<string, string> = {}): Bun.Subprocess {
  const file = join(folder, `${name}.cfg`);
  writeFileSync(file, text.replaceAll("/sockets", folder));
  const child = Bun.spawn([HAPROXY!, "-f", file], { env, cwd: "/", stdout: "ignore", stderr: "ignore" });
  running.push(child);
  return child;
}

/** The entry of a release that says its name; without tasks when it has none. */
async function entry(
  colour: "blue" | "green",
  says: string | null,
  protocol: "http" | "tcp" = "http",
): Promise<Bun.Subprocess> {
  // It says from where the request came, when it is asked for that.
  const fetch = ({ url, headers }: Request) =>
    new Response(
      url.endsWith("/from") ? `${headers.get("x-forwarded-for")} ${headers.get("x-forwarded-proto")}` : says,
    );
  const app = says === null ? null : Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  if (app) apps.push(app);
  const config = deployConfig("name: shop\ntype: docker\nhealthCheck: /health\n");
  const own = { app: "shop", id: "1-aaaaaaa", folder: "/", command: "", user: undefined, stopTimeout: 1000 };
  const instance = { ...own, config, env: { PORT: "4711" }, protocol };
  const text = await proxyText(instance, { Config: { WorkingDir: "" } });
  const task = app ? `server task 127.0.0.1:${app.port}` : "server task 127.0.0.1:1 disabled";
  return haproxy(`${colour}-${says}`, text.replaceAll(/server-template .*/g, task), {
    ENTRY: `unix@${folder}/${colour}`,
    STATE: `unix@${folder}/${colour}.state`,
    FIRST: `${folder}/${colour === "blue" ? "green.state" : "none"}`,
  });
}

async function entrance(protocol: "http" | "tcp", trustedProxies: string[]): Promise<void> {
  port = await freePort();
  const text = await entranceText({ app: "shop", protocol, trustedProxies });
  haproxy(`entrance-${port}`, text.replace("bind :8000", `bind 127.0.0.1:${port}`));
}

beforeAll(async () => {
  if (HAPROXY === null) return;
  await entrance("http", []);
});
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(running.map(({ exited }) => exited));
  for (const app of apps) await app.stop(true);
  rmSync(folder, { recursive: true });
});

const ask = async () => {
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "x", keepalive: false });
  return `${response.status} ${(await response.text()).trim()}`;
};
/** What the requests of a time were answered, each change once. */
async function answers(during: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  let isOver = false;
  const over = during().finally(() => (isOver = true));
  while (!isOver) {
    const answer = await ask().catch((error: Error) => error.message);
    if (answer !== seen.at(-1)) seen.push(answer);
  }
  await over;
  return seen;
}
const state = async (colour: string) =>
  (await fetch("http://entry/stays", { unix: join(folder, `${colour}.state`) } as BunFetchRequestInit)).status;
/** Waits until an entry has tasks, whether the entrance uses it or not. */
const isReady = (colour: string) =>
  until(`${colour} is ready`, async () => {
    const options = { unix: join(folder, `${colour}.state`) } as BunFetchRequestInit;
    return (await fetch("http://entry/leaves", options).catch(() => null))?.status === 200;
  });

describe.skipIf(HAPROXY === null)("the entrance", () => {
  test("answers 503 while no release is live", async () => {
    await until("it listens", async () => (await ask().catch(() => "")) === "503 503 shop: no release is live");
  });

  test("stays with the release that was there first, and changes over once when that leaves", async () => {
    const one = await entry("green", "one");
    await until("one", async () => (await ask()) === "200 one");
    const two = await entry("blue", "two");
    expect(await answers(() => isReady("blue"))).toEqual(["200 one"]);
    const leaving = await answers(async () => {
      one.kill("SIGUSR1");
      await one.exited;
    });
    expect(leaving).toEqual(["200 one", "200 two"]);
    const three = await entry("green", "three");
    expect(await answers(() => isReady("green"))).toEqual(["200 two"]);
    const back = await answers(async () => {
      two.kill("SIGUSR1");
      await two.exited;
    });
    expect(back).toEqual(["200 two", "200 three"]);
    three.kill("SIGKILL");
    await three.exited;
  }, 30_000);

  test("uses one that leaves until the next has tasks", async () => {
    const old = await entry("blue", "old");
    await until("old", async () => (await ask()) === "200 old");
    await entry("green", null);
    await until("green answers", async () => (await state("green").catch(() => 0)) === 503);
    old.kill("SIGUSR1");
    await until("blue leaves", async () => (await state("blue").catch(() => 0)) === 503);
    expect(await ask()).toBe("200 old");
    await old.exited;
    await until("nobody has tasks", async () => (await ask()).startsWith("503"));
  }, 30_000);

  test("believes X-Forwarded-For of trusted proxies alone", async () => {
    await entry("blue", "own");
    const from = async () => {
      const headers = { "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https" };
      return (await fetch(`http://127.0.0.1:${port}/from`, { headers, keepalive: false }).catch(() => null))?.text();
    };
    await until("it is set anew", async () => (await from()) === "127.0.0.1 http");
    await entrance("http", ["127.0.0.0/8"]);
    await until("it is believed", async () => (await from()) === "203.0.113.9, 127.0.0.1 https");
  }, 30_000);

  test("passes on TCP", async () => {
    await entry("blue", "tcp", "tcp");
    await entrance("tcp", []);
    await until("it answers", async () => (await ask().catch(() => "")) === "200 tcp");
  }, 30_000);
});
