// Domains from `dp domains add` to the last renewal, with a real certificate authority, without root and systemd.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { DomainRow } from "../../lib/domains/report.ts";
import { haproxyProgram } from "../../lib/fronts/haproxy/places.ts";
import { missing, startAcme, type Acme } from "../support/acme.ts";
import { pids, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";

const isAble = missing.length === 0;
if (!isAble) console.error(`skipped: there is no ${missing.join(", ")}`);

let acme: Acme;
let box: Sandbox;
const tlsYml = () => join(box.root, "etc/dp/tls.yml");

beforeAll(async () => {
  if (!isAble) return;
  [acme, box] = [await startAcme(), await sandbox()];
  const tools = box.env["PATH"]!.split(":")[0]!;
  const lego = Bun.which("lego")!;
  if (dirname(lego) !== "/usr/bin") symlinkSync(lego, join(tools, "lego"));
  mkdirSync(dirname(tlsYml()), { recursive: true });
  writeFileSync(tlsYml(), acme.settings);
  await box.release({ say: "hello" });
}, 120_000);
afterAll(async () => {
  await box?.stop();
  await acme?.end();
});

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const dp = (code: number, ...words: string[]) => expectCode(box.dp(...words), code);
const rows = async () => JSON.parse((await dp(0, "domains", "shop", "--json")).stdout) as DomainRow[];
const row = async (name: string) => (await rows()).find((one) => one.name === name)!;
const config = () => readFileSync(join(box.base, "config.yml"), "utf8");
const folderOf = (name: string) => join(box.root, "var/lib/dp/tls/names", name);
const stateOf = (name: string) => JSON.parse(readFileSync(join(folderOf(name), "state.json"), "utf8"));

/** The body of a page over https, whose certificate is checked; empty when there is none. */
async function page(name: string, ...more: string[]): Promise<string> {
  const to = ["--connect-to", `::127.0.0.1:${acme.https}`, "--cacert", acme.root];
  const child = Bun.spawn(["curl", "-fsS", "--noproxy", "*", ...to, ...more, `https://${name}/`], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = await child.stdout.text();
  return (await child.exited) === 0 ? text : "";
}

/** Makes a self-signed certificate of five years ago that ends in less than four days. */
function makeOld(name: string, folder: string): void {
  const parts = ["[ca]", "default_ca=c", "[c]", "database=db", "new_certs_dir=.", "serial=serial", "default_md=sha256"];
  const more = ["policy=p", "x509_extensions=e", "[p]", "commonName=supplied", "[e]", `subjectAltName=DNS:${name}`];
  writeFileSync(join(folder, "conf"), [...parts, ...more, ""].join("\n"));
  writeFileSync(join(folder, "db"), "");
  writeFileSync(join(folder, "serial"), "01\n");
  const end = new Date(Date.now() + 3.9 * 24 * 3_600_000).toISOString().replace(/[-:T]|\.\d+/g, "");
  const curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  for (const line of [
    `req ${curve} -keyout key -out csr -subj /CN=${name}`,
    `ca -batch -notext -selfsign -config conf -keyfile key -in csr -out crt -startdate 20211130000000Z -enddate ${end}`,
  ]) {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...line.split(" ")], { cwd: folder });
    if (exitCode !== 0) throw new Error(stderr.toString());
  }
}

/** The number of orders that the authority got so far. */
const orders = () => acme.log().split("/order-plz").length;

describe.skipIf(!isAble)("dp domains", () => {
  test("a name is live with its certificate, and the app, its status and the next receipt say so", async () => {
    expect((await dp(0, "domains", "shop")).stdout).toContain("shop has no domain: dp domains shop add NAME");
    const { stdout } = await dp(0, "domains", "shop", "add", "Shop.TEST.", "www.shop.test");
    expect(stdout).toContain("shop.test → 127.0.0.1, this server");
    expect(stdout).toMatch(/certificate: Pebble.*, until \d{4}-\d\d-\d\d, renewed by itself/);
    expect(stdout).toContain("live: https://shop.test");
    expect(await page("shop.test")).toStartWith("hello");
    expect(await page("www.shop.test")).toStartWith("hello");
    expect(config()).toContain("domains:\n  - shop.test\n  - www.shop.test\n");
    expect((await dp(0, "status", "shop")).stdout).toContain("shop  https://shop.test ");
    await box.commit({ say: "again" });
    expect((await expectCode(box.push(), 0)).text).toContain("at https://shop.test,");
    expect((box.run().facts["config"] as { healthCheck: { host: string } }).healthCheck.host).toBe("shop.test");
    expect(await page("shop.test")).toStartWith("again");
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
  });

  test("keys are for dp alone", () => {
    expect(statSync(join(folderOf("shop.test"), "pair.pem")).mode & 0o777).toBe(0o600);
    expect(statSync(join(box.root, "var/lib/dp/tls/lego")).mode & 0o777).toBe(0o700);
  });

  test("a redirect, a removal, and the words of Dokku", async () => {
    await dp(0, "domains:remove", "shop", "www.shop.test");
    expect(existsSync(folderOf("www.shop.test"))).toBe(false);
    expect(await page("www.shop.test")).toBe("");
    await dp(0, "domains", "shop", "add", "www.shop.test", "--redirect", "shop.test");
    expect(config()).toContain("- { name: www.shop.test, redirect: shop.test }");
    const to = ["--connect-to", `::127.0.0.1:${acme.https}`, "--cacert", acme.root, "-o", "/dev/null"];
    const child = Bun.spawn([
      "curl",
      "-sS",
      "--noproxy",
      "*",
      ...to,
      "-w",
      "%{http_code} %{redirect_url}",
      "https://www.shop.test/a?b",
    ]);
    expect(await child.stdout.text()).toBe(`308 https://shop.test:${acme.https}/a?b`);
    expect((await dp(0, "domains:report", "shop")).stdout).toContain("→ shop.test");
  });

  test.each([
    [["add", "no domain"], 2, "is not a domain"],
    [["add", "192.0.2.1"], 2, "is not a domain"],
    [["add", "localhost"], 2, "is not a domain"],
    [["add"], 2, "which domain?"],
    [["add", "*.shop.test"], 2, "a certificate for a wildcard needs challenges by DNS"],
    [["add", "x.test", "--redirect", "y.test"], 3, "x.test redirects to y.test, which is no domain of the app"],
    [["remove", "other.test"], 2, "shop has no domain other.test; it has shop.test, www.shop.test"],
    [["remove", "shop.test"], 3, "www.shop.test redirects to shop.test"],
    [["renew", "other.test"], 2, "shop has no domain other.test"],
    [["cert", "a.test"], 2, "dp domains cert needs --cert FILE and --key FILE, or --auto"],
    [["ad", "a.test"], 2, "unknown action"],
  ] as const)("%j is refused, and nothing is changed", async (words, code, why) => {
    const before = config();
    expect((await dp(code, "domains", "shop", ...words)).text).toContain(why);
    expect(config()).toBe(before);
  });

  test("a name that leads elsewhere, or nowhere, is kept and never ordered", async () => {
    await acme.dns("add-a", { host: "else.test", addresses: ["127.0.0.9"] });
    await acme.dns("set-servfail", { host: "gone.test" });
    await acme.dns("add-a", { host: "stale.test", addresses: ["127.0.0.1"] });
    await acme.dns("add-aaaa", { host: "stale.test", addresses: ["::1"] });
    const before = orders();
    const { text } = await dp(0, "domains", "shop", "add", "else.test", "gone.test", "stale.test");
    expect(text).toContain(`else.test leads to 127.0.0.9 (its A record), where port ${acme.http} cannot be reached`);
    expect(text).toContain("the DNS does not answer for gone.test");
    expect(text).toContain(`stale.test leads to ::1 (its AAAA record), where port ${acme.http} cannot be reached`);
    expect(orders()).toBe(before);
    const { until: time, next, error } = await row("else.test");
    expect([time, error?.includes("leads to 127.0.0.9")]).toEqual([null, true]);
    expect(Date.parse(next!)).toBeGreaterThan(Date.now());
    const doctor = (await dp(0, "doctor", "shop")).stdout;
    expect(doctor).toContain("else.test has no certificate yet: else.test leads to 127.0.0.9");
    // What is not due yet is left alone.
    await dp(0, "certificates");
    expect(orders()).toBe(before);
    await acme.dns("clear-a", { host: "else.test" });
    writeFileSync(
      join(folderOf("else.test"), "state.json"),
      JSON.stringify({ tries: 1, next: "2020-01-01T00:00:00Z" }),
    );
    expect((await dp(0, "certificates")).stdout).toContain("else.test: has a new certificate");
    expect(await page("else.test")).toStartWith("again");
    await dp(0, "domains", "shop", "remove", "else.test", "gone.test", "stale.test");
  });

  test("while the authority is down the old certificate serves, and the next try mends it", async () => {
    const before = await row("shop.test");
    await acme.stop();
    const { text } = await dp(6, "domains", "shop", "renew", "shop.test");
    expect(text).toContain("connection refused");
    expect(await row("shop.test")).toMatchObject({ until: before.until, issuer: before.issuer });
    expect((await dp(0, "doctor", "shop")).stdout).toContain("is not renewed: lego:");
    await acme.start();
    // It has forgotten the account, too.
    await dp(0, "domains", "shop", "renew", "shop.test");
    expect(await page("shop.test")).toStartWith("again");
    expect((await row("shop.test")).error).toBeNull();
  });

  test("the fourth order within an hour is not sent", async () => {
    writeFileSync(
      join(folderOf("shop.test"), "state.json"),
      JSON.stringify({ orders: Array.from({ length: 3 }, () => new Date().toISOString()) }),
    );
    const before = orders();
    expect((await dp(6, "domains", "shop", "renew", "shop.test")).text).toContain("three orders in an hour");
    expect(orders()).toBe(before);
    writeFileSync(join(folderOf("shop.test"), "state.json"), "{ damaged");
    await dp(0, "domains", "shop", "renew", "shop.test");
    expect(stateOf("shop.test")).toMatchObject({ source: "acme", error: null });
  });

  test("when the authority takes no more orders, the next try waits for the time that it names", async () => {
    const lego = join(box.env["PATH"]!.split(":")[0]!, "lego");
    const real = existsSync(lego) ? readlinkSync(lego) : null;
    const time = new Date(Date.now() + 40 * 3_600_000).toISOString().slice(0, 19);
    const words = `too many certificates already issued, retry after ${time.replace("T", " ")} UTC: see https://x.test/`;
    rmSync(lego, { force: true });
    writeFileSync(
      lego,
      `#!/bin/sh\necho "2026/11/30 00:00:00 [INFO] retry due to: urn:ietf:params:acme:error:badNonce :: x" >&2\n` +
        `echo "2026/11/30 00:00:01 acme: error: 429 :: POST :: https://ca/o :: urn:ietf:params:acme:error:rateLimited :: ${words}" >&2\nexit 1\n`,
      { mode: 0o755 },
    );
    writeFileSync(join(folderOf("shop.test"), "state.json"), "{}");
    expect((await dp(6, "domains", "shop", "renew", "shop.test")).text).toContain(
      "the CA takes no more orders for now",
    );
    expect(stateOf("shop.test").next).toBe(`${time}.000Z`);
    rmSync(lego);
    if (real !== null) symlinkSync(real, lego);
    expect(await page("shop.test")).toStartWith("again");
    await dp(0, "domains", "shop", "renew", "shop.test");
  });

  test("certificates of the owner's are checked, used, and left alone until --auto", async () => {
    const file = (name: string) => join(box.code, "..", name);
    const make = (name: string, days: string) =>
      Bun.spawnSync(
        [
          "openssl",
          "req",
          "-x509",
          "-newkey",
          "ec",
          "-pkeyopt",
          "ec_paramgen_curve:prime256v1",
          "-nodes",
          "-days",
          days,
          "-subj",
        ]
          .concat([`/O=Own/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`])
          .concat(["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)]),
      );
    for (const name of ["own.test", "foreign.test"]) make(name, "5");
    const cert = (code: number, pem: string, key: string) =>
      dp(code, "domains", "shop", "cert", "own.test", "--cert", file(pem), "--key", file(key));
    expect((await cert(2, "own.test.crt", "foreign.test.key")).text).toContain("do not belong together");
    expect((await cert(2, "foreign.test.crt", "foreign.test.key")).text).toContain("is not for own.test");
    expect((await cert(2, "own.test.key", "own.test.key")).text).toContain("the certificate is none in PEM");
    expect((await cert(2, "none", "own.test.key")).text).toContain("does not exist");
    expect(config()).not.toContain("own.test");
    expect((await cert(0, "own.test.crt", "own.test.key")).stdout).toContain("own.test: certificate of Own");
    const before = orders();
    await dp(0, "certificates");
    expect(orders()).toBe(before);
    expect(await row("own.test")).toMatchObject({ source: "file", issuer: "Own" });
    expect((await dp(0, "doctor", "shop")).stdout).not.toContain("own.test has no certificate");
    await dp(0, "domains", "shop", "cert", "own.test", "--auto");
    expect(await page("own.test")).toStartWith("again");
    await dp(0, "domains", "shop", "remove", "own.test");
  });

  test("a certificate that ends soon is told to the targets of notifications, once", async () => {
    const own = (...parts: string[]) => join(box.root, "var/lib/dp/notify", ...parts);
    const folder = join(box.code, "../soon");
    const at = (name: string) => join(folder, name);
    for (const each of [own("new"), own("own"), folder]) mkdirSync(each, { recursive: true });
    writeFileSync(at("tell"), `#!/bin/sh\ncat >> ${at("told")}\n`, { mode: 0o755 });
    const target = { kind: "command", settings: { command: at("tell") } };
    writeFileSync(own("targets.json"), JSON.stringify({ to: { here: target }, events: {} }));
    makeOld("soon.test", folder);
    await dp(0, "domains", "shop", "cert", "soon.test", "--cert", at("crt"), "--key", at("key"));
    await dp(0, "certificates");
    await until("it is told", () => existsSync(at("told")) && readFileSync(at("told"), "utf8").endsWith("\n"));
    const told = readFileSync(at("told"), "utf8");
    expect(told).toContain("! shop: the certificate of soon.test ends in 3 days");
    expect(told).toContain("dp domains shop cert soon.test --cert FILE --key FILE");
    expect((await dp(0, "doctor", "shop")).stdout).toContain(
      "warning  certificates: the certificate of soon.test ends in 3 days",
    );
    await dp(0, "certificates");
    await until("the queue is empty", () => readdirSync(own("new")).length === 0);
    expect(readFileSync(at("told"), "utf8")).toBe(told);
    await dp(0, "domains", "shop", "remove", "soon.test");
  });

  test("a wildcard by DNS challenges", async () => {
    const hook = join(box.code, "..", "hook");
    const set = `curl -s -d "{\\"host\\":\\"$2\\",\\"value\\":\\"$3\\"}" http://${acme.dnsAdmin}/set-txt`;
    writeFileSync(hook, `#!/bin/sh\n[ "$1" = present ] || exit 0\n${set}\n`, { mode: 0o755 });
    writeFileSync(`${hook}.env`, `EXEC_PATH=${hook}\n`);
    writeFileSync(tlsYml(), `${acme.settings}dns: {provider: exec, env: ${hook}.env, propagation: false}\n`);
    await dp(0, "domains", "shop", "add", "*.wild.test");
    expect(await page("any.wild.test")).toStartWith("again");
    writeFileSync(tlsYml(), acme.settings);
    await dp(0, "domains", "shop", "remove", "*.wild.test");
  });

  test("dp setup takes a domain for a new app, and another app's name is refused", async () => {
    expect((await dp(2, "setup", "blog", "--domain", "shop.test")).text).toContain(
      'shop.test belongs to the app "shop"',
    );
    const { text } = await dp(0, "setup", "blog", "--domain", "blog.test");
    expect(text).toContain("live: https://blog.test");
    expect(text).toContain("will be live at https://blog.test");
    await dp(0, "destroy", "blog", "--yes", "--purge");
    expect(existsSync(folderOf("blog.test"))).toBe(false);
    expect(await page("shop.test")).toStartWith("again");
  });

  test("a mistake in tls.yml is told with its line", async () => {
    writeFileSync(tlsYml(), `${acme.settings}emial: a@b.test\n`);
    const { text } = await dp(3, "domains", "shop", "add", "late.test");
    expect(text).toContain('tls.yml:7:1 emial: unknown key, did you mean "email"?');
    writeFileSync(tlsYml(), acme.settings);
  });

  test.skipIf(haproxyProgram() === null)("HAProxy takes the names over, with HTTP/2, and gives them back", async () => {
    // HAProxy gives up root's rights, and must reach the answers to challenges.
    for (let at = join(box.root, "var/lib"); at !== tmpdir() && at !== "/"; at = dirname(at)) chmodSync(at, 0o755);
    await dp(0, "setup", "shop", "--front", "haproxy");
    await dp(0, "restart", "shop");
    const version = (name: string) => page(name, "--http2", "-o", "/dev/null", "-w", "%{http_version}");
    expect(await version("shop.test")).toBe("2");
    expect(await page("shop.test")).toStartWith("again");
    expect((await dp(0, "domains", "shop", "add", "two.test")).stdout).toContain("live: https://two.test");
    expect(await version("two.test")).toBe("2");
    expect((await dp(2, "domains", "shop", "add", "*.two.test")).text).toContain("needs challenges by DNS");
    const { until: first } = await row("two.test");
    await dp(0, "domains", "shop", "renew", "two.test");
    expect((await row("two.test")).until! >= first!).toBe(true);
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
    await box.commit({ say: "by haproxy" });
    expect((await expectCode(box.push(), 0)).text).toContain("at https://shop.test,");
    expect(await page("two.test")).toStartWith("by haproxy");
    await box.cutPower();
    await dp(0, "reconcile", "shop");
    expect(await version("two.test")).toBe("2");
    // Another front cannot have the ports as long.
    const { text } = await dp(8, "setup", "blog", "--domain", "blog.test");
    expect(text).toContain("is taken by another program");
    await dp(0, "destroy", "blog", "--yes", "--purge");
    await dp(0, "domains", "shop", "remove", "two.test");
    expect(await page("two.test")).toBe("");
    await dp(0, "setup", "shop", "--front", "relay");
    await box.commit({ say: "again" });
    await expectCode(box.push(), 0);
    expect(await version("shop.test")).toBe("1.1");
    expect(await page("shop.test")).toStartWith("again");
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
  });

  test("after a power cut dp reconcile brings names and renewals back", async () => {
    await box.cutPower();
    await dp(0, "reconcile", "shop");
    expect(await page("shop.test")).toStartWith("again");
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
  });

  test("dp destroy leaves no key, no port and no process behind", async () => {
    await dp(0, "destroy", "shop", "--yes", "--purge");
    expect(existsSync(folderOf("shop.test"))).toBe(false);
    expect(await page("shop.test")).toBe("");
    const scheduler = (pid: number) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(`scheduler.ts\0${box.root}`);
      } catch {
        return false;
      }
    };
    await until("the process that renews has ended", () => !pids().some(scheduler));
  });
});
