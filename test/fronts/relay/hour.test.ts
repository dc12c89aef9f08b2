// An app's last hour in the relay: minute by minute, with gaps, and over the control socket.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { countHour, makeHour, type Hour } from "../../../lib/fronts/relay/hour.ts";
import { type TestApp, startApp } from "./support/apps.ts";
import { type TestRelay, startRelay } from "./support/relay.ts";

const MINUTE = 60_000;
/** The minutes that counted anything: how long ago -> [requests, failed]. */
const counted = ({ minutes }: Hour) =>
  Object.fromEntries(minutes.flatMap(([all, bad], at) => (all + bad > 0 ? [[59 - at, [all, bad]]] : [])));

describe("an hour", () => {
  test("counts what has come since the last look into the current minute", () => {
    const hour = makeHour(0);
    countHour(hour, { requests: 3, failed: 0 }, 100);
    countHour(hour, { requests: 5, failed: 1 }, MINUTE - 1);
    expect(counted(hour)).toEqual({ 0: [5, 1] });
    countHour(hour, { requests: 9, failed: 1 }, MINUTE);
    expect(counted(hour)).toEqual({ 0: [4, 0], 1: [5, 1] });
    expect(hour.minutes.length).toBe(60);
  });

  test("leaves minutes without requests at nothing, and forgets what is older than an hour", () => {
    const hour = makeHour(0);
    countHour(hour, { requests: 7, failed: 2 }, 0);
    countHour(hour, { requests: 8, failed: 2 }, 59 * MINUTE);
    expect(counted(hour)).toEqual({ 0: [1, 0], 59: [7, 2] });
    countHour(hour, { requests: 8, failed: 2 }, 60 * MINUTE);
    expect(counted(hour)).toEqual({ 1: [1, 0] });
  });

  test("is all new after a gap of many hours", () => {
    const hour = makeHour(0);
    countHour(hour, { requests: 7, failed: 2 }, 0);
    countHour(hour, { requests: 9, failed: 2 }, 5000 * MINUTE);
    expect(counted(hour)).toEqual({ 0: [2, 0] });
    expect(hour.minutes.length).toBe(60);
  });
});

describe("in the relay", () => {
  let app: TestApp;
  let relay: TestRelay;
  beforeAll(async () => {
    app = await startApp("bun", "app");
  });
  afterEach(() => relay?.stop());
  afterAll(() => app?.stop());

  test("requests and failures are in the status at once; a restart begins anew", async () => {
    relay = await startRelay();
    const web = await relay.add("web", app.port);
    for (let n = 0; n < 5; n++) await (await fetch(`http://127.0.0.1:${web}/`)).text();
    await relay.front.point("web", null);
    expect((await fetch(`http://127.0.0.1:${web}/`)).status).toBe(503);
    const sum = async () => {
      const minutes = (await relay.front.status("web")).routes[0]!.minutes!;
      expect(minutes.length).toBe(60);
      return [0, 1].map((which) => minutes.reduce((total, minute) => total + minute[which]!, 0));
    };
    expect(await sum()).toEqual([6, 1]);
    await relay.kill("SIGTERM");
    await relay.start();
    expect(await sum()).toEqual([0, 0]);
  });
});
