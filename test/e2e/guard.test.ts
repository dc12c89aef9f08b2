// What owners put before an app, from the command line to what a client gets: maintenance, passwords, allowed addresses.
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
    // Another word, as the page about maintenance tells: the old one counts no more.
    const file = join(box.base, "check.key");
    const old = readFileSync(file, "utf8");
    expect((await page("/", { "X-Dp-Check": old })).status).toBe(200);
    rmSync(file);
    await dp(0, "reconcile", "shop");
    expect((await status()).isHealthy).toBe(true);
    expect((await page("/", { "X-Dp-Check": old })).status).toBe(503);
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

  test("a front without maintenance does not take over, and nothing is opened", async () => {
    await dp(0, "maintenance", "shop", "on");
    await dp(0, "setup", "shop", "--front", "none");
    const refused = await box.dp("deploy", "shop");
    expect([refused.code === 0, refused.text]).toEqual([
      false,
      expect.stringContaining("shop is closed for maintenance, and front: none would open it"),
    ]);
    expect((await page()).status).toBe(503);
    expect((await dp(3, "maintenance", "shop", "on")).text).toContain("front: none has no maintenance page");
    await dp(0, "maintenance", "shop", "off");
    expect((await page()).status).toBe(200);
    await dp(0, "setup", "shop", "--front", "relay");
    // The files of the deploys that were refused.
    await dp(0, "doctor", "shop", "--fix");
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
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

describe("dp auth", () => {
  const config = () => readFileSync(join(box.base, "config.yml"), "utf8");
  const basic = (user: string, password: string) => ({
    Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
  });
  /** `dp auth shop add USER` with the password on stdin. */
  const add = (user: string, password: string, code = 0) => {
    const line = 'printf "%s\\n" "$2" | "$0" auth shop add "$1"';
    return expectCode(box.start(["sh", "-c", line, box.program, user, password]).done, code);
  };

  test("a user gets a password, and then everybody needs one, at once", async () => {
    expect((await dp(0, "auth", "shop")).stdout).toBe("shop needs no password: dp auth shop add USER\n");
    const said = await add("anna", "öpen sesame");
    expect(said.stdout).toBe("shop has the user anna\n");
    expect(said.stderr).toContain("passwords are sent without encryption");
    expect(config()).toMatch(/^basicAuth:\n {2}anna: \$2b\$10\$[./A-Za-z0-9]{53}$/m);
    expect((await page()).status).toBe(401);
    expect((await page("/", basic("anna", "wrong"))).status).toBe(401);
    expect((await page("/", basic("anna", "öpen sesame"))).status).toBe(200);
    expect((await dp(0, "auth", "shop")).stdout).toBe("anna\n");
    expect((await dp(0, "status", "shop")).stdout).toContain("password   of anna");
    expect((await status()).isHealthy).toBe(true);
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
    expect((await dp(0, "status", "shop", "--json")).stdout).not.toContain("$2b$");
  });

  test("deploys go on, the relay keeps it over a kill, and another password counts at once", async () => {
    await box.commit({ say: "with a password" });
    expect((await expectCode(box.push(), 0)).text).toMatch(/requests \d+, failed 0/);
    await killRelay(box);
    await until("the relay is back", () => relayOf(box).isRunning());
    await until("it answers", () =>
      page().then(
        ({ status: code }) => code === 401,
        () => false,
      ),
    );
    await add("ben", "other");
    expect((await page("/", basic("ben", "other"))).body).toContain("with a password");
    await add("ben", "next");
    expect((await page("/", basic("ben", "other"))).status).toBe(401);
    expect((await page("/", basic("ben", "next"))).status).toBe(200);
    expect((await page("/", basic("anna", "öpen sesame"))).status).toBe(200);
  });

  test.each([
    ["", "x", 2, "is not a user"],
    ["a:b", "x", 2, "is not a user"],
    ["null", "x", 2, "is not a user"],
    ["carl", "", 2, "the password must be one line of text"],
    ["carl", "two\nlines", 2, "the password must be one line of text"],
  ] as const)("the user %p with %p is refused, and nothing is changed", async (user, password, code, why) => {
    const before = config();
    expect((await add(user, password, code)).stderr).toContain(why);
    expect(config()).toBe(before);
  });

  test.each([
    [["shop", "add"], "which user?"],
    [["shop", "add", "a", "b"], "one user at a time"],
    [["shop", "remove", "nobody"], "shop has no user nobody"],
    [["shop", "ad"], "unknown action"],
    [["nosuch"], "nosuch"],
  ] as const)("%j is refused", async (words, why) => {
    expect((await dp(2, "auth", ...words)).text).toContain(why);
  });

  test("while somebody has locked the app nothing is changed", async () => {
    await dp(0, "lock", "shop", "-m", "not now");
    expect((await add("carl", "x", 5)).stderr).toContain("shop is locked by");
    await dp(0, "unlock", "shop");
    expect(config()).not.toContain("carl");
  });

  test("with the last user nobody needs a password, and the audit log has no secret", async () => {
    expect((await dp(0, "auth", "shop", "remove", "ben")).stdout).toBe("removed ben from shop\n");
    expect((await page("/", basic("ben", "next"))).status).toBe(401);
    await dp(0, "auth", "shop", "clear");
    expect((await page()).status).toBe(200);
    expect(config()).not.toContain("basicAuth");
    const log = (await dp(0, "audit", "shop", "--json")).stdout;
    const lines = JSON.parse(log) as { what: string; detail?: string }[];
    const made = lines
      .filter(({ what }) => what.startsWith("auth"))
      .map(({ what, detail }) => `${what} ${detail ?? ""}`);
    expect(new Set(made)).toEqual(
      new Set(["auth add anna", "auth add ben", "auth add carl", "auth remove ben", "auth clear "]),
    );
    expect(log).not.toMatch(/sesame|\$2b\$/);
  });
});

describe("allow", () => {
  const file = () => join(box.base, "config.yml");

  test("clients of other addresses get 403 from the next dp reconcile on, and dp's checks pass", async () => {
    const before = readFileSync(file(), "utf8");
    writeFileSync(file(), `${before}allow: [192.0.2.0/24, "2001:db8::/32"]\n`);
    expect((await dp(0, "reconcile", "shop")).stdout).toContain("the relay holds");
    expect((await page()).status).toBe(403);
    expect((await dp(0, "status", "shop")).stdout).toContain("allowed    192.0.2.0/24, 2001:db8::/32");
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
    await box.commit({ say: "behind a list" });
    expect((await expectCode(box.push(), 0)).text).toMatch(/requests \d+, failed 0/);
    writeFileSync(file(), `${before}allow:\n  - 127.0.0.1\n`);
    await dp(0, "reconcile", "shop");
    expect((await page()).body).toContain("behind a list");
    writeFileSync(file(), before);
    await dp(0, "reconcile", "shop");
  });

  test.each([
    ["allow: [192.0.2.1]\nfront: haproxy", "allow cannot be kept by front: haproxy"],
    ["allow: [192.0.2.1]\nprotocol: tcp", "allow cannot be kept by front: relay, protocol: tcp"],
  ])("%s is refused with its place, and clients notice nothing", async (lines, why) => {
    const before = readFileSync(file(), "utf8");
    const rest = lines.includes("front:") ? before.replace(/^front:.*$/m, "") : before;
    writeFileSync(file(), `${rest}${lines}\n`);
    try {
      const { text } = await dp(3, "reconcile", "shop");
      expect(text).toContain(why);
      expect(text).toContain("config.yml");
      expect((await expectCode(box.dp("deploy", "shop"), 3)).text).toContain(why);
    } finally {
      writeFileSync(file(), before);
    }
    expect((await page()).status).toBe(200);
  });
});
