// The relay under a real systemd: its sockets are kept over a restart and over kill -9, so that nobody is refused.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import type { FrontStatus } from "../../../lib/contracts/front.ts";
import { type Box, boxUnavailable, freePort, startBox } from "../../support/box.ts";
import { type TestApp, startApp } from "./support/apps.ts";
import { load } from "./support/load.ts";
import { rawClient, until } from "./support/relay.ts";

const project = resolve(import.meta.dir, "../../..");
const BUN = "/usr/local/bin/bun --no-env-file --config=/dev/null --no-install";
const UNIT = `[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart=${BUN} /srv/dp/lib/fronts/relay/process.ts /var/lib/dp-relay
Restart=always
FileDescriptorStoreMax=512
LimitNOFILE=65536
`;
const CONTROL = `import { relayAt } from "/srv/dp/lib/fronts/relay/client.ts";
const [name, ...words] = process.argv.slice(2);
console.log(JSON.stringify((await relayAt("/var/lib/dp-relay")[name](...words.map((word) => JSON.parse(word)))) ?? null));
`;

const why = boxUnavailable();

describe.skipIf(why !== null)(`under systemd${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Box;
  let app: TestApp;
  let port: number;
  beforeAll(async () => {
    [box, app, port] = await Promise.all([startBox("relay"), startApp("bun", "app"), freePort()]);
    await box.copyIn(process.execPath, "/usr/local/bin/bun");
    await box.copyIn(`${project}/lib`, "/srv/dp/lib");
    await box.copyIn(`${project}/package.json`, "/srv/dp/package.json");
    await box.write("/srv/dp/control.ts", CONTROL);
    await box.write("/etc/systemd/system/dp-relay.service", UNIT);
    await box.must("systemctl daemon-reload && systemctl start dp-relay");
    await add("web", port);
  });
  afterAll(async () => {
    await Promise.all([box?.stop(), app?.stop()]);
  });

  const ask = async <T>(name: string, ...values: unknown[]) =>
    JSON.parse(
      await box.must([...BUN.split(" "), "/srv/dp/control.ts", name, ...values.map((value) => JSON.stringify(value))]),
    ) as T;
  const add = (name: string, at: number) =>
    ask("set", {
      app: name,
      listen: { host: "127.0.0.1", port: at },
      protocol: "http",
      trustedProxies: [],
      target: { id: "1-aaaaaaa", port: app.port },
    });
  const pid = () => box.must("systemctl show -P MainPID dp-relay");
  const stored = () => box.must("systemctl show -P NFileDescriptorStore dp-relay");

  test("a new app's socket is given to systemd while the relay runs, and a removed one's is let go", async () => {
    const before = await pid();
    const other = await freePort();
    await add("other", other);
    expect(await stored()).toBe("2");
    const client = await rawClient(other);
    client.write("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    await client.until(/app$/);
    client.close();
    await ask("remove", "other");
    await until("systemd lets go of it", async () => (await stored()) === "1");
    expect(await pid()).toBe(before);
  });

  test("kill -9 under load, five times: no connection is refused, and only what was in flight is lost", async () => {
    const clients = { keepAlive: 16, fresh: 8, slow: 4 };
    const running = load({ port, ...clients, paths: { echo: "/echo", slow: "/slow" }, think: 20 });
    for (let time = 1; time <= 5; time++) {
      const { requests } = running.soFar();
      await until("requests", () => running.soFar().requests > requests + 200);
      const before = await pid();
      await box.must(`kill -9 ${before}`);
      await until("a new relay", async () => !["0", before].includes(await pid()));
    }
    const { requests } = running.soFar();
    await until("requests again", () => running.soFar().requests > requests + 200);
    const result = await running.stop();
    console.log(
      `kill -9 five times: ${result.failed} of ${result.requests} lost, longest gap ${Math.round(result.longestGap)} ms`,
    );
    expect(result.reasons["ECONNREFUSED"]).toBeUndefined();
    expect(result.failed).toBeLessThanOrEqual(5 * (16 + 8 + 4));
    expect((await ask<FrontStatus>("status")).routes).toMatchObject([
      { app: "web", isListening: true, target: { id: "1-aaaaaaa" } },
    ]);
  });

  test("systemctl restart under load, three times: no request is lost", async () => {
    const running = load({
      port,
      keepAlive: 16,
      fresh: 8,
      slow: 4,
      paths: { echo: "/echo", slow: "/slow" },
      think: 20,
    });
    for (let time = 1; time <= 3; time++) {
      const { requests } = running.soFar();
      await until("requests", () => running.soFar().requests > requests + 200);
      await box.must("systemctl restart dp-relay");
    }
    const result = await running.stop();
    console.log(
      `restart three times: ${result.failed} of ${result.requests} lost, longest gap ${Math.round(result.longestGap)} ms`,
    );
    expect(result.failures).toEqual([]);
  });
});
