// An app over https as its users have it: a real browser, and load while certificates are renewed, names come and go, and
// releases change, of which nothing is lost.
//
// DP_LOAD=long: 10 rounds and 20 deploys.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { load, type Load, type LoadOptions, type LoadResult } from "../fronts/relay/support/load.ts";
import { missing } from "../support/acme.ts";
import { domainBox, NAME, serialOf, type DomainBox } from "../support/domain-box.ts";
import { browserUnavailable, startBrowser, trustUnavailable, type Browser } from "../support/browser.ts";
import { loadSandbox, smallApp } from "../support/load-run.ts";

const isAble = missing.length === 0;
if (!isAble) console.error(`skipped: there is no ${missing.join(", ")}`);
const [ROUNDS, DEPLOYS] = process.env["DP_LOAD"] === "long" ? [10, 20] : [2, 3];

let shop: DomainBox;
beforeAll(async () => {
  if (!isAble) return;
  shop = await domainBox(async () => {
    const box = await loadSandbox();
    await box.commit(smallApp(box.app));
    return box;
  });
}, 120_000);
afterAll(() => shop?.stop());

const dp = async (...words: string[]) => {
  const { code, text } = await shop.box.dp(...words);
  expect(`${words.join(" ")}: ${code}${code === 0 ? "" : `\n${text}`}`).toBe(`${words.join(" ")}: 0`);
};

/** Requests, half of them on fresh connections and half of each kind POSTs, while something is done. */
async function under(
  what: string,
  more: Partial<LoadOptions>,
  action: (running: Load) => Promise<void>,
): Promise<LoadResult> {
  // About 200 a second, as each waits for its answer besides.
  const paths = { quick: "/", echo: "/echo", websocket: "/ws", events: "/events" };
  const own = { host: NAME, isSecure: true, rate: 240, keepAlive: 10, fresh: 10, paths };
  const running = load({ port: shop.acme.https, ...own, ...more });
  const begun = performance.now();
  try {
    await action(running);
  } finally {
    const result = await running.stop();
    const seconds = (performance.now() - begun) / 1000;
    const { requests, failed, p99, websockets, streams } = result;
    console.log(
      `${what}: ${failed} of ${requests} requests failed in ${Math.round(seconds)} s, p99 ${Math.round(p99)} ms, ` +
        `${websockets.closed} of ${websockets.opened} WebSockets and ${streams.closed} of ${streams.opened} streams closed`,
    );
    expect(result.failures).toEqual([]);
    expect(failed).toBe(0);
    return result;
  }
}

test.skipIf(!isAble)(
  "renewals, adds and removes cost no request, no WebSocket and no stream",
  async () => {
    const seen = new Set<string>();
    const { websockets, streams, requests } = await under("renewals", { websockets: 5, streams: 5 }, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        shop.forget();
        await dp("domains", "shop", "add", "more.test");
        await dp("domains", "shop", "renew", NAME);
        expect(await shop.served()).toBe(serialOf(shop.pair()));
        seen.add(await shop.served());
        await dp("domains", "shop", "remove", "more.test");
      }
    });
    expect(seen.size).toBe(ROUNDS);
    expect(requests).toBeGreaterThan(100);
    expect(websockets).toMatchObject({ opened: 5, closed: 0, failed: 0 });
    expect(streams).toMatchObject({ opened: 5, closed: 0, failed: 0 });
    for (const { messages } of [websockets, streams]) expect(messages).toBeGreaterThan(5);
  },
  600_000,
);

test.skipIf(!isAble)(
  "deploys cost no request",
  async () => {
    const { answers } = await under("deploys", {}, async ({ heard }) => {
      await heard(shop.box.link("current")!);
      for (let deploy = 0; deploy < DEPLOYS; deploy++) {
        await shop.box.commit({}, `deploy ${deploy}`);
        const { code, text } = await shop.box.push();
        expect([code, text]).toEqual([0, expect.stringContaining(`https://${NAME}`)]);
        await heard(shop.box.link("current")!);
      }
    });
    expect(Object.keys(answers).length).toBe(DEPLOYS + 1);
  },
  600_000,
);

const noBrowser = browserUnavailable ?? trustUnavailable;
if (isAble && noBrowser) console.warn(`a browser is left out: ${noBrowser}`);

/** Does something in a browser that trusts the root of the authority, or does not. */
async function inBrowser(root: string | undefined, action: (browser: Browser) => Promise<void>): Promise<void> {
  const browser = await startBrowser(root);
  try {
    await action(browser);
  } finally {
    await browser.stop();
  }
}
const addressOf = (name: string, proto: "http" | "https") => `${proto}://${name}:${shop.acme[proto]}/`;

test.skipIf(!isAble || noBrowser !== null)(
  "a browser that trusts the authority is led to https, and follows WebSocket and events there",
  () =>
    inBrowser(shop.acme.root, async (browser) => {
      const tab = await browser.tab();
      expect(await tab.open(addressOf(NAME, "http"))).toBe("");
      const seen = await tab.eval("[location.href, document.body.innerText, isSecureContext]");
      expect(seen).toEqual([addressOf(NAME, "https"), shop.box.link("current"), true]);
      const { state, protocol, subject, issuer } = tab.security();
      expect([state, protocol, subject]).toEqual(["secure", "TLS 1.3", NAME]);
      expect(issuer).toStartWith("Pebble");
      const echo = `new Promise((done, fail) => {
        const socket = new WebSocket("/ws");
        socket.onopen = () => socket.send("hello");
        socket.onmessage = ({ data }) => done(data);
        socket.onerror = () => fail(new Error("no WebSocket"));
      })`;
      expect(await tab.eval(echo)).toBe("hello");
      const events = `new Promise((done, fail) => {
        const source = new EventSource("/events");
        source.onmessage = ({ data }) => source.close() ?? done(data);
        source.onerror = () => fail(new Error("no events"));
      })`;
      expect(await tab.eval(events)).toBe("event");
      expect(await tab.open(addressOf("evil.test", "https"))).toStartWith("net::ERR_SSL_");
    }),
  120_000,
);

test.skipIf(!isAble || noBrowser !== null)(
  "a browser that does not trust it shows no page",
  () =>
    inBrowser(undefined, async (browser) => {
      const tab = await browser.tab();
      for (const proto of ["http", "https"] as const)
        expect(await tab.open(addressOf(NAME, proto))).toBe("net::ERR_CERT_AUTHORITY_INVALID");
    }),
  120_000,
);
