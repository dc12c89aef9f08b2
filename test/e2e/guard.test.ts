// What owners put before an app, from the command line to what a client gets: maintenance.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Status } from "../../lib/commands/status.ts";
import { killRelay, relayOf } from "../support/load-damage.ts";
import { deployYml, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
  await box.release({ say: "hello" });
}, 120_000);
afterAll(() => box?.stop());

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const dp = (code: number, ...words: string[]) => expectCode(box.dp(...words), code);
const status = async () => JSON.parse((await dp(0, "status", "shop", "--json")).stdout) as Status;

interface Page {
  status: number;
  body: string;
  retry: string | null;
}

async function page(path = "/", headers: Record<string, string> = {}): Promise<Page> {
  const url = `http://127.0.0.1:${box.port}${path}`;
  const answer = await fetch(url, { headers, redirect: "manual", keepalive: false });
  return { status: answer.status, body: await answer.text(), retry: answer.headers.get("Retry-After") };
}

describe("dp maintenance", () => {
  test("clients get a page, and dp sees that the app is healthy all the same", async () => {
    expect((await dp(0, "maintenance", "shop")).stdout).toBe("shop is not in maintenance\n");
    const { stdout } = await dp(0, "maintenance", "shop", "on");
    expect(stdout).toContain("clients get 503 and dp's page; dp maintenance shop off");
    expect(await page()).toMatchObject({ status: 503, retry: "120" });
    const now = await status();
    expect([now.isHealthy, now.maintenance?.by]).toEqual([true, expect.any(String)]);
    expect(JSON.stringify(now)).not.toContain('"pass"');
    const said = (await dp(0, "status", "shop")).stdout;
    expect(said).toMatch(/closed +for maintenance by .* since .*; dp maintenance shop off/);
    const told = (await dp(0, "doctor", "shop")).stdout;
    expect(told).toContain("shop is closed for maintenance by");
    expect(JSON.parse((await dp(0, "maintenance", "shop", "--json")).stdout)).toMatchObject({ isOn: true, page: "dp" });
  });

  test("a deploy goes on behind it, with all of its checks, and a bad one is refused", async () => {
    await box.commit({ say: "second", "deploy.yml": deployYml("shop") });
    const pushed = await expectCode(box.push(), 0);
    expect(pushed.text).toMatch(/requests \d+, failed 0/);
    expect((await page()).status).toBe(503);
    await box.commit({ mode: "unhealthy" });
    await expectCode(box.push(), 1);
    await box.commit({ mode: null });
    await dp(0, "restart", "shop");
    await dp(0, "rollback", "shop");
    expect((await page()).status).toBe(503);
    expect((await status()).isHealthy).toBe(true);
  });

  test("it is there after the relay was killed, and the app serves when it is off", async () => {
    await killRelay(box);
    await until("the relay is back", () => relayOf(box).isRunning());
    await until("it answers", () =>
      page().then(
        () => true,
        () => false,
      ),
    );
    expect((await page()).status).toBe(503);
    expect((await dp(0, "maintenance:off", "shop")).stdout).toBe("shop serves its clients again\n");
    expect(await page()).toMatchObject({ status: 200, body: expect.stringContaining("hello") });
    expect((await dp(0, "maintenance", "shop", "off")).stdout).toBe("shop was not in maintenance\n");
    expect((await dp(0, "status", "shop")).stdout).not.toContain("maintenance");
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
  });

  test("the page is maintenance.html of the live release, and never what a link in it leads to", async () => {
    await box.release({ "maintenance.html": "<h1>Back at noon</h1>\n" });
    expect((await dp(0, "maintenance:on", "shop")).stdout).toContain("its own page, maintenance.html");
    expect((await page("/any")).body).toBe("<h1>Back at noon</h1>\n");
    const since = (await status()).maintenance?.since;
    await dp(0, "maintenance", "shop", "on");
    expect((await status()).maintenance?.since).toBe(since!);
    await box.commit({ "maintenance.html": null });
    symlinkSync("server.py", join(box.code, "maintenance.html"));
    await box.release({});
    expect((await page()).body).toBe("<h1>Back at noon</h1>\n");
    await dp(0, "maintenance", "shop", "on");
    expect((await page()).body).toContain("We will be back soon");
    rmSync(join(box.code, "maintenance.html"));
    await box.release({ "maintenance.html": "x".repeat(128 * 1024 + 1) });
    const large = await dp(0, "maintenance", "shop", "on");
    expect(large.stderr).toContain("maintenance.html has 131073 bytes, more than the 131072 of a page");
    expect((await page()).body).toContain("We will be back soon");
    await box.release({ "maintenance.html": "<p>back</p>" });
    await dp(0, "maintenance", "shop", "on");
    expect((await page()).body).toBe("<p>back</p>");
  });

  test("doctor finds a front that does not do what the file says, and reconcile mends it", async () => {
    const file = join(box.base, "maintenance.json");
    const text = readFileSync(file, "utf8");
    await relayOf(box).maintain("shop", null, "");
    expect((await page()).status).toBe(200);
    expect((await dp(7, "doctor", "shop")).stdout).toContain("the front does not keep clients away");
    expect((await dp(0, "reconcile", "shop")).stdout).toContain("closed shop for maintenance");
    expect(await page()).toMatchObject({ status: 503, body: "<p>back</p>" });
    writeFileSync(file, text.slice(0, 20));
    expect((await dp(0, "status", "shop")).stdout).toContain("for maintenance by somebody; dp maintenance shop off");
    expect((await page()).status).toBe(503);
    rmSync(file);
    expect((await dp(7, "doctor", "shop")).stdout).toContain("the front still keeps clients away");
    await dp(0, "doctor", "shop", "--fix");
    expect((await page()).status).toBe(200);
  });

  test.each([
    [["shop", "maybe"], 2, 'maintenance is on or off, not "maybe"'],
    [["nosuch"], 2, "nosuch"],
    [["nosuch", "on"], 2, "nosuch"],
  ] as const)("%j is refused", async (words, code, why) => {
    expect((await dp(code, "maintenance", ...words)).text).toContain(why);
  });

  test("each change is a line of the audit log", async () => {
    const lines = JSON.parse((await dp(0, "audit", "shop", "--json")).stdout) as { what: string }[];
    const made = lines.map(({ what }) => what).filter((what) => what.startsWith("maintenance"));
    expect(new Set(made)).toEqual(new Set(["maintenance on", "maintenance off"]));
  });

  test("without a front there is no page: it is refused, and nothing is written", async () => {
    const bare = await sandbox("bare", "none");
    try {
      const { text } = await expectCode(bare.dp("maintenance", "bare", "on"), 3);
      expect(text).toContain("front: none has no maintenance page");
      expect(await Bun.file(join(bare.base, "maintenance.json")).exists()).toBe(false);
      expect((await expectCode(bare.dp("maintenance", "bare"), 0)).stdout).toBe("bare is not in maintenance\n");
    } finally {
      await bare.stop();
    }
  });
});
