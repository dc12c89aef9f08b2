// Connections to apps that outlive their clients: one app that does not read takes nothing from another.
import { afterAll, expect, test } from "bun:test";
import { makeApp } from "../../../lib/fronts/relay/app.ts";
import { LEAVING } from "../../../lib/fronts/relay/limits.ts";
import { unused } from "../../../lib/fronts/relay/outlet.ts";
import type { App, Upstream } from "../../../lib/fronts/relay/types.ts";
import { finishUpstream } from "../../../lib/fronts/relay/upstream.ts";
import { type Scripted, scripted, until } from "./support/apps.ts";

const apps: Scripted[] = [];
afterAll(() => {
  for (const app of apps) app.stop();
});

function startDeaf(name: string) {
  const script = scripted((visit) => visit.pause());
  apps.push(script);
  const target = { id: "1-aaaaaaa", port: script.port };
  const listen = { host: "127.0.0.1", port: 0 };
  return { script, app: makeApp({ app: name, listen, protocol: "tcp", trustedProxies: [], target }) };
}

/** A client is gone while the app has not taken its last bytes. */
async function leave(app: App): Promise<void> {
  const target = app.route.target!;
  const socket = await Bun.connect<Upstream>({ hostname: "127.0.0.1", port: target.port, socket: { data() {} } });
  const now = performance.now();
  const upstream: Upstream = {
    ...unused(now),
    socket,
    queue: [Buffer.from("last")],
    client: null,
    target,
    isPaused: false,
    isAhead: false,
    pool: null,
    isShared: false,
    checkedAt: now,
    isReused: false,
    hasAnswered: false,
    isEof: false,
    idleSince: now,
  };
  finishUpstream(upstream, app);
}

test("of too many, the oldest of the app that has most is reset", async () => {
  const [busy, quiet] = [startDeaf("busy"), startDeaf("quiet")];
  await leave(quiet.app);
  await leave(quiet.app);
  for (let i = 0; i < LEAVING; i++) await leave(busy.app);
  const statesOf = ({ script }: typeof busy) => script.visits.map(({ state }) => state);
  await until("two are reset", () => statesOf(busy).filter((state) => state === "reset").length === 2);
  expect(statesOf(busy)).toEqual(["reset", "reset", ...Array.from({ length: LEAVING - 2 }, () => "open")]);
  expect(statesOf(quiet)).toEqual(["open", "open"]);
});
