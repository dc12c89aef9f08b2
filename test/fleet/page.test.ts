// The page in a real Chromium: sizes, colours, contrast, live updates, keyboard, screen readers, hostile texts.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { documentOf } from "../../lib/commands/fleet.ts";
import type { ServerView } from "../../lib/fleet/document.ts";
import { openFolder } from "../../lib/fleet/out.ts";
import { serveWeb, type Web } from "../../lib/fleet/web.ts";
import { browserUnavailable, startBrowser, type Browser, type Tab } from "../support/browser.ts";
import { demoFleet, largeFleet } from "./support/demo.ts";
import { appWith, deploying, down, failure, NOW, serverWith } from "./support/fleets.ts";

/** In the page: the least contrast of its visible texts, and of the marks, with what has it. */
const CONTRAST = `(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  const back = rgb(getComputedStyle(document.body).backgroundColor);
  const tint = rgb(getComputedStyle(document.documentElement).getPropertyValue("--badbg").trim()
    .replace(/^#(..)(..)(..)$/, (_, ...c) => c.slice(0, 3).map((h) => parseInt(h, 16)).join(" ")));
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
    if (!own || e.offsetParent === null || e.closest(".vh,script,template,.lost")) continue;
    const style = getComputedStyle(e);
    if (style.clipPath !== "none") continue;
    const behind = e.closest("li.bad") ? tint : back;
    found.push([ratio(rgb(style.color), behind), e.className + " " + e.textContent.slice(0, 30)]);
  }
  const marks = [...document.querySelectorAll(".dot")].filter((e) => !e.closest(".lost,.stopped,.empty")).map((e) => {
    const style = getComputedStyle(e);
    const fill = style.boxShadow === "none" ? style.backgroundColor : style.boxShadow;
    return [ratio(rgb(fill), back), e.parentElement.parentElement.className];
  });
  const least = (list) => list.sort((a, b) => a[0] - b[0])[0];
  return { text: least(found), mark: least(marks), count: found.length };
})()`;

describe.skipIf(browserUnavailable !== null)("the page", () => {
  let browser: Browser;
  let web: Web;
  let tab: Tab;
  let now = NOW;
  let servers: ServerView[] = demoFleet();
  const loaded = (rows: number) => tab.until(`document.querySelectorAll(".row").length === ${rows}`);
  /** Shows other servers, and waits until the page has them. */
  async function show(next: ServerView[]): Promise<void> {
    servers = next;
    now++;
    web.changed();
    await tab.until(`newest && newest.now === ${now}`);
  }
  beforeAll(async () => {
    web = await serveWeb(() => documentOf(servers, now), 0);
    browser = await startBrowser();
    tab = await browser.tab();
    await tab.look(1440, 1000);
    await tab.open(web.url);
    await loaded(30);
  }, 120_000);
  beforeEach(() => tab.look(1440, 1000));
  afterAll(async () => {
    await browser?.stop();
    await web?.stop();
  });

  describe.each([
    [1440, 1000],
    [1000, 900],
    [500, 900],
  ])("at %i x %i", (width, height) => {
    test.each(["light", "dark"] as const)("%s: nothing is cut off, and all can be read", async (scheme) => {
      await show(demoFleet());
      await tab.look(width, height, scheme);
      const { scroll, inner, out } = await tab.eval<{ scroll: number; inner: number; out: string[] }>(`({
        scroll: document.documentElement.scrollWidth, inner: document.documentElement.clientWidth,
        out: [...document.querySelectorAll("li *, .row > *, h1, #asof, #find")].filter((e) => e.offsetParent && !e.classList.contains("vh")
          && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((e) => e.textContent) })`);
      expect(scroll).toBeLessThanOrEqual(inner);
      expect(out).toEqual([]);
      const { text, mark, count } = await tab.eval<Record<"text" | "mark", [number, string]> & { count: number }>(
        CONTRAST,
      );
      expect(count).toBeGreaterThan(100);
      expect(`${text[1]}: ${text[0] >= 4.5 ? "can be read" : text[0]}`).toEndWith(": can be read");
      expect(`${mark[1]}: ${mark[0] >= 3 ? "can be seen" : mark[0]}`).toEndWith(": can be seen");
      const png = await tab.screenshot();
      expect(Buffer.from(png.subarray(1, 4)).toString()).toBe("PNG");
      // A blank page would be a few thousand bytes.
      expect(png.length).toBeGreaterThan(20_000);
      expect(tab.complaints).toEqual([]);
    });
  });

  test("thirty apps and six things that want somebody fit without scrolling", async () => {
    await show(demoFleet());
    expect(await tab.eval<number>("document.querySelectorAll('#att li').length")).toBe(6);
    expect(await tab.eval<boolean>("document.documentElement.scrollHeight <= innerHeight")).toBe(true);
    expect(await tab.eval<number>("document.querySelector('.row').offsetHeight")).toBe(21);
  });

  test("columns go as it becomes narrower", async () => {
    const columns = () =>
      tab.eval<string[]>(
        `[...document.querySelector(".row").children].filter((e) => e.offsetParent).map((e) => e.className.split(" ")[0])`,
      );
    expect(await columns()).toEqual([
      "state",
      "app",
      "live",
      "subject",
      "by",
      "since",
      "health",
      "mem",
      "rate",
      "hour",
      "runs",
    ]);
    await tab.look(1050, 900);
    expect(await columns()).toEqual(["state", "app", "subject", "since", "health", "rate", "hour"]);
    await tab.look(600, 900);
    expect(await columns()).toEqual(["state", "app", "since", "health", "hour"]);
  });

  test("says what is wrong first, in the title, too", async () => {
    await show(demoFleet());
    expect(await tab.eval<string>("document.title")).toBe("1 ● fleet");
    expect(await tab.eval<string>("document.querySelector('h1').textContent")).toBe("1 down, 27 well");
    const first = await tab.eval<string[]>("[...document.querySelector('#att li').children].map((e) => e.textContent)");
    expect(first[1]).toBe("broken: search is down");
    expect(first[3]).toBe("dp -s ams-1 logs search --since 10m");
    await show([serverWith("ams-1", [appWith("shop"), appWith("blog")])]);
    expect(await tab.eval<string>("document.title")).toBe("fleet");
    expect(await tab.eval<boolean>("document.querySelector('#att').offsetParent === null")).toBe(true);
    expect(await tab.eval<string>("document.querySelector('h1').textContent")).toBe("All 2 apps are well");
  });

  test("an update moves nothing: rows, focus and scroll stay", async () => {
    await show(largeFleet());
    await loaded(360);
    await tab.eval(
      "scrollTo(0, 1200); window.rows = [...document.querySelectorAll('.row')]; rows[60].focus({ preventScroll: true })",
    );
    const places = () => tab.eval<number[]>("[scrollY, ...rows.map((e) => Math.round(e.getBoundingClientRect().top))]");
    const before = await places();
    const next = largeFleet();
    for (const { report } of next)
      for (const app of report!.apps) Object.assign(app, { ms: 99.9, mem: 1e9, subject: "Another one" });
    await show(next);
    expect(await tab.eval<string>("rows[60].textContent")).toContain("99.9 ms");
    expect(await places()).toEqual(before);
    expect(await tab.eval<boolean>("document.activeElement === rows[60] && rows.every((e) => e.isConnected)")).toBe(
      true,
    );
  });

  test("360 apps on 12 servers: two side by side on a wide screen, and drawn at once", async () => {
    await tab.look(2000, 1100);
    await show(largeFleet());
    const lefts = await tab.eval<number[]>(
      "[...new Set([...document.querySelectorAll('section')].map((e) => Math.round(e.getBoundingClientRect().left)))]",
    );
    expect(lefts.length).toBe(2);
    expect(await tab.eval<boolean>("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    const took = await tab.eval<number>(
      "(() => { const begun = performance.now(); draw(newest); return performance.now() - begun; })()",
    );
    console.log(`360 rows are brought up to date in ${took.toFixed(1)} ms`);
  });

  test("more than twelve things: the rest is counted", async () => {
    await show([
      serverWith(
        "a",
        Array.from({ length: 19 }, (_, at) => down(`app-${at}`)),
      ),
    ]);
    expect(await tab.eval<number>("document.querySelectorAll('#att li').length")).toBe(13);
    expect(await tab.eval<string>("document.querySelector('#att').lastChild.textContent")).toBe("and 7 more");
  });

  test("hostile texts are texts", async () => {
    const evil = `</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'&`;
    const app = deploying("shop", { subject: evil, by: evil, step: evil });
    Object.assign(app, {
      type: evil,
      url: evil,
      by: evil,
      health: evil,
      detail: evil,
      ms: null,
      lock: { by: evil, since: 1, reason: evil },
      maintenance: { by: evil, since: 1 },
    });
    const other = appWith("blog", {
      subject: evil,
      owed: evil,
      lastFailure: failure({ error: evil, by: evil, step: evil }),
    });
    const server = serverWith("a", [app, other], { host: evil, dp: evil });
    Object.assign(server, { name: evil, address: evil });
    await show([server, Object.assign(serverWith("b", []), { error: evil })]);
    expect(
      await tab.eval<number>(
        "document.querySelectorAll('img, body > :not(header, ol, main, template, script)').length",
      ),
    ).toBe(0);
    expect(await tab.eval<string>("typeof window.hacked")).toBe("undefined");
    expect(await tab.eval<string>("document.body.innerText")).toContain(evil);
    expect(tab.complaints).toEqual([]);
  });

  test("a server that is lost: its rows dimmed, marked as they were", async () => {
    const [one, two] = demoFleet() as [ServerView, ServerView];
    await show([one, Object.assign(two, { error: "no answer within 10 s", seen: NOW - 300 })]);
    expect(await tab.eval<string>("getComputedStyle(document.querySelector('.lost .row')).opacity")).toBe("0.45");
    expect(await tab.eval<string>("document.querySelector('.lost h2').textContent")).toContain("as it was 5 m ago");
    expect(await tab.eval<string>("document.querySelector('h1').textContent")).toBe("1 down, 10 unknown, 9 well");
  });

  test("the keyboard: arrows, the filter, Enter copies", async () => {
    await show(demoFleet());
    await tab.eval(
      "window.copied = []; navigator.clipboard.writeText = (text) => Promise.resolve(copied.push(text)); document.activeElement.blur()",
    );
    await tab.press("ArrowDown");
    await tab.press("Enter");
    expect(await tab.eval<string[]>("copied")).toEqual(["dp -s ams-1 logs search --since 10m"]);
    for (let n = 0; n < 6; n++) await tab.press("ArrowDown");
    expect(await tab.eval<string>("document.activeElement.className")).toBe("row ok");
    await tab.press("Enter");
    expect((await tab.eval<string[]>("copied")).at(-1)).toBe("dp -s ams-1 status shop");
    expect(await tab.eval<number>("document.querySelectorAll('[tabindex=\"0\"]').length")).toBe(1);
    await tab.press("/");
    for (const key of "fra ledg") await tab.press(key);
    expect(
      await tab.eval<string[]>("[...document.querySelectorAll('.row:not([hidden]) .app')].map((e) => e.textContent)"),
    ).toEqual(["ledger"]);
    expect(await tab.eval<number>("document.querySelectorAll('section:not([hidden])').length")).toBe(1);
    await show(demoFleet());
    expect(await tab.eval<number>("document.querySelectorAll('.row:not([hidden])').length")).toBe(1);
    await tab.press("Escape");
    expect(await tab.eval<number>("document.querySelectorAll('.row:not([hidden])').length")).toBe(30);
    await tab.eval("document.querySelector('#att button').click()");
    expect((await tab.eval<string[]>("copied")).at(-1)).toBe("dp -s ams-1 logs search --since 10m");
  });

  test("a screen reader gets a table for each server, words for each mark, and the sentence when it changes", async () => {
    await show(demoFleet());
    const roles = await tab.roles();
    const named = (role: string) => roles.filter((node) => node.role === role).map(({ name }) => name);
    expect(named("table")).toEqual(["Apps on ams-1", "Apps on fra-2", "Apps on staging"]);
    expect(named("row").length).toBe(33);
    expect(named("columnheader").length).toBe(33);
    expect(named("heading").length).toBe(3);
    expect(named("button")[0]).toBe("Copy dp -s ams-1 logs search --since 10m");
    const words = await tab.eval<string[]>("[...document.querySelectorAll('.state .vh')].map((e) => e.textContent)");
    expect(new Set(words)).toEqual(new Set(["well", "down", "deploying", "well, with a failure", "stopped", "empty"]));
    expect(
      await tab.eval<string[]>("['role', 'aria-live'].map((name) => document.querySelector('h1').getAttribute(name))"),
    ).toEqual(["status", "polite"]);
    await tab.look(1440, 1000, "light", { "prefers-reduced-motion": "reduce" });
    expect(await tab.eval<string>("getComputedStyle(document.querySelector('.deploying .dot')).animationName")).toBe(
      "none",
    );
  });

  test("from a folder it reads fleet.json, and says when that gets old", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dp-page-"));
    const put = await openFolder(folder);
    await put(documentOf(demoFleet(), NOW));
    const site = Bun.serve({
      ...{ hostname: "127.0.0.1", port: 0 },
      fetch: (request) => new Response(Bun.file(join(folder, new URL(request.url).pathname.slice(1) || "index.html"))),
    });
    const other = await browser.tab();
    try {
      await other.open(site.url.href);
      await other.until("document.querySelectorAll('.row').length === 30");
      expect(other.complaints).toEqual([]);
      await other.eval("came = Date.now() - 200000; take(newest)");
      expect(await other.eval<string>("document.body.className + document.querySelector('#asof').textContent")).toMatch(
        /^staleconnection lost, since /,
      );
      await site.stop(true);
      rmSync(folder, { recursive: true });
      await other.eval("document.body.className = ''; fetch('fleet.json').then(take, lost)");
      await other.until("document.body.classList.contains('stale')");
    } finally {
      await site.stop(true);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("a lost connection dims all, and says since when", async () => {
    await show(demoFleet());
    await web.stop();
    await tab.until("document.body.classList.contains('stale')");
    expect(await tab.eval<string>("document.querySelector('#asof').textContent")).toMatch(
      /^connection lost, since \d\d:\d\d:\d\d$/,
    );
    expect(await tab.eval<string>("getComputedStyle(document.querySelector('main')).opacity")).toBe("0.45");
  });
});
