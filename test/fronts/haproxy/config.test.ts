import { describe, expect, test } from "bun:test";
import { configText } from "../../../lib/fronts/haproxy/config.ts";
import { inFlightFrom, statsFrom } from "../../../lib/fronts/haproxy/counts.ts";
import { type KeptRoute, pointed, routeFrom, slotFor } from "../../../lib/fronts/haproxy/routes.ts";
import { processesFrom } from "../../../lib/fronts/haproxy/runtime.ts";

const wanted = {
  app: "shop",
  listen: { host: "127.0.0.1", port: 8000 },
  protocol: "http" as const,
  trustedProxies: [],
};
const fresh = routeFrom(wanted, undefined);
const target = (number: number) => ({ id: `${number}-aaaaaaa`, port: 20_000 + number });
const textOf = (route: KeptRoute) => configText({ routes: new Map([[route.app, route]]), edge: null });

describe("routes", () => {
  test("a release gets an empty slot, keeps its own, and takes the next one after the live when all are taken", () => {
    let route = fresh;
    const taken = [1, 2, 3, 4, 5, 2].map((number) => {
      route = pointed(route, target(number));
      return route.live;
    });
    expect(taken).toEqual([0, 1, 2, 3, 0, 1]);
    expect(route.slots.map((slot) => slot?.id[0])).toEqual(["5", "2", "3", "4"]);
    expect(slotFor(route, { id: "2-aaaaaaa", port: 1 })).toBe(1);
  });

  test("no target keeps the slots: their releases are still to be drained", () => {
    const route = pointed(pointed(fresh, target(1)), null);
    expect(route.live).toBeNull();
    expect(route.slots[0]).toEqual(target(1));
  });

  test("what is set up anew keeps target and hold", () => {
    const held = { ...pointed(fresh, target(1)), held: 500 };
    const listen = { host: "0.0.0.0", port: 80 };
    expect(routeFrom({ ...wanted, listen }, held)).toEqual({ ...held, listen });
  });
});

describe("configuration", () => {
  test("only the live slot is up, and only a held app is held", async () => {
    const route = pointed(pointed(fresh, target(1)), target(2));
    const text = await textOf(route);
    for (const line of [
      "    bind 127.0.0.1:8000",
      "    server s1 127.0.0.1:20001 disabled",
      "    server s2 127.0.0.1:20002",
      "    server shop 127.0.0.1:1 disabled",
    ])
      expect(text.split("\n")).toContain(line);
    const held = (await textOf({ ...route, held: 1500 })).split("\n");
    expect(held).toContain("    server shop 127.0.0.1:1");
    expect(held.join("\n")).toContain("lua.dp_hold shop 1500 if");
  });

  test.each([
    [{ app: "shop\n  bind :80" }, "app name"],
    [{ listen: { host: "127.0.0.1:1 ssl", port: 80 } }, "not an IP address"],
    [{ trustedProxies: ["10.0.0.1 or true"] }, "not an IP address"],
    [{ trustedProxies: ["10.0.0.0/8 or true"] }, "is no network"],
  ])("%j never reaches it", async (more, message) => {
    await expect(textOf({ ...fresh, ...more })).rejects.toThrow(message);
  });
});

const PROC = `#<PID>          <type>          <reloads>       <uptime>        <version>
6627            master          2 [failed: 1]   0d00h10m17s     2.6.12-1+deb12u4
# workers
6640            worker          0               0d00h00m17s     2.6.12-1+deb12u4
# old workers
6630            worker          2               0d00h10m17s     2.6.12-1+deb12u4
# programs

`;
const SESS = [
  "0x1: proto=tcpv4 src=127.0.0.1:1 fe=dp-shop be=dp-shop srv=s2 ts=00 rq[f=49c40080h,i=0,an=8000h,rx=,wx=,ax=] rp[f=80400000h,i=0,an=1400000h,rx=4m59s,wx=,ax=] exp=",
  "0x2: proto=tcpv4 src=127.0.0.1:2 fe=dp-shop be=dp-shop srv=s2 ts=00 rq[f=8848202h,i=0,an=00h,rx=23h59m,wx=,ax=] rp[f=88048202h,i=0,an=00h,rx=23h59m,wx=,ax=] exp=",
  "0x3: proto=tcpv4 src=127.0.0.1:3 fe=dp-shop be=dp-shop srv=<none> ts=00 rq[f=40480000h,i=16384,an=30h,rx=] rp[f=80000000h,i=0,an=00h,rx=] exp=",
  "0x4: proto=tcpv4 src=127.0.0.1:4 fe=dp-shop-api be=dp-shop-api srv=s1 ts=00 rq[f=1h,i=0,an=8000h] rp[f=8h,i=0,an=1400000h] exp=",
  "0x5: proto=sockpair src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 rq[f=c08000h,i=0,an=00h] rp[f=80008000h,i=0,an=00h] exp=",
].join("\n");

describe("what HAProxy answers", () => {
  test("show proc: master, workers and those left behind", () => {
    const workers = [
      { pid: 6640, isCurrent: true },
      { pid: 6630, isCurrent: false },
    ];
    expect(processesFrom(PROC)).toEqual({ master: 6627, workers, failed: 1 });
    expect(processesFrom("")).toBeNull();
  });

  test("show sess: requests and upgraded connections by server, of that app alone", () => {
    expect([...inFlightFrom(SESS, "dp-shop", "http")]).toEqual([["s2", { requests: 1, tunnels: 1 }]]);
    expect([...inFlightFrom(SESS, "dp-shop", "tcp")]).toEqual([["s2", { requests: 2, tunnels: 0 }]]);
    expect([...inFlightFrom(SESS, "dp-sho", "http")]).toEqual([]);
  });

  test("show stat: a row for each server", () => {
    const rows = statsFrom("0\n\n# pxname,svname,scur,\ndp-shop,FRONTEND,3,\ndp-shop,s1,2,\n\n", "dp-shop");
    expect(rows.get("s1")).toMatchObject({ scur: "2" });
    expect(rows.size).toBe(2);
  });
});
