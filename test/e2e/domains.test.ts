// Domains from `dp domains add` to the last renewal, with a real certificate authority, without root and systemd.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
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
import { watchArguments } from "../support/argv-watch.ts";
import { startFakeAcme } from "../support/fake-acme.ts";
import { freePort } from "../support/box-host.ts";
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

  test("another app has a path of the name, by the one certificate of the name", async () => {
    await dp(0, "setup", "api", "--port", `${await freePort()}`, "--manager", "builtin");
    const before = orders();
    const said = await dp(0, "domains", "api", "add", "shop.test/api", "--strip-prefix");
    expect(said.stdout).toContain("live: https://shop.test/api, by the certificate that shop.test has");
    expect(orders()).toBe(before);
    const answer = async (path: string) => {
      const to = ["--connect-to", `::127.0.0.1:${acme.https}`, "--cacert", acme.root];
      return Bun.spawn(["curl", "-sS", "--noproxy", "*", ...to, `https://shop.test${path}`]).stdout.text();
    };
    expect(await answer("/apix")).toStartWith("again");
    expect(await answer("/api/x")).toContain("api: it has no release");
    expect((await dp(0, "domains", "api")).stdout).toMatch(/shop\.test\/api +without \/api +Pebble/);
    const [own] = JSON.parse((await dp(0, "domains", "api", "--json")).stdout) as DomainRow[];
    expect(own).toMatchObject({ name: "shop.test", path: "/api", stripPrefix: true, url: "https://shop.test/api" });
    expect((await dp(0, "status", "api")).stdout).toContain("api  https://shop.test/api ");
    expect((await dp(2, "domains", "shop", "add", "shop.test/api")).text).toContain('belongs to the app "api"');
    expect((await dp(2, "domains", "api", "add", "shop.test")).text).toContain('belongs to the app "shop"');
    expect((await dp(3, "domains", "api", "add", "api.test", "--strip-prefix")).text).toContain("but no path");
    // The timer's look: one app looks after the certificate, and it is not due.
    expect((await dp(0, "certificates")).stdout).not.toContain("new certificate");
    await dp(0, "domains", "shop", "add", "shop.test/static");
    await dp(0, "domains", "shop", "remove", "shop.test/static");
    await dp(0, "domains", "api", "remove", "shop.test/api");
    expect(await answer("/api/x")).toStartWith("again");
    await dp(0, "domains", "api", "add", "shop.test/api");
    await dp(0, "destroy", "api", "--yes", "--purge");
    expect(existsSync(join(folderOf("shop.test"), "pair.pem"))).toBe(true);
    expect(await answer("/api/x")).toStartWith("again");
    expect(orders()).toBe(before);
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
    expect((await dp(0, "doctor", "shop")).stdout).toContain("is not renewed: the CA cannot be reached");
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

  test("a certificate is renewed in the window that the authority names, which is asked for once in six hours", async () => {
    const ca = { key: readFileSync(acme.api.key, "utf8"), cert: readFileSync(acme.api.cert, "utf8") };
    const real = /^directory: (.*)$/m.exec(acme.settings)![1]!;
    const asked: string[] = [];
    let [start, end, status] = [Date.now() + 3_600_000, Date.now() + 7_200_000, 200];
    const window = () => ({ suggestedWindow: { start: new Date(start), end: new Date(end) } });
    // Debian's Pebble has no ARI: its directory gets one.
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: ca,
      async fetch({ url }) {
        const { pathname } = new URL(url);
        const tls = { ca: readFileSync(acme.ca, "utf8") };
        if (pathname === "/dir") {
          const known = (await (await fetch(real, { tls } as RequestInit)).json()) as object;
          return Response.json({ ...known, renewalInfo: new URL("/ari", url).href });
        }
        asked.push(pathname);
        return Response.json(window(), { status });
      },
    });
    const again = () => {
      const state = stateOf("shop.test");
      state.window.again = new Date().toISOString();
      state.tried = new Date(Date.now() - 25 * 3_600_000).toISOString();
      writeFileSync(join(folderOf("shop.test"), "state.json"), JSON.stringify(Object.assign(state, { orders: [] })));
    };
    const pem = () => readFileSync(join(folderOf("shop.test"), "pair.pem"), "utf8");
    try {
      writeFileSync(tlsYml(), acme.settings.replace(real, `https://127.0.0.1:${server.port}/dir`));
      const before = pem();
      await dp(0, "certificates");
      await dp(0, "certificates");
      const serial = Bun.spawnSync(["openssl", "x509", "-noout", "-serial"], {
        stdin: Buffer.from(before),
      }).stdout.toString();
      const number = Buffer.from(serial.trim().split("=")[1]!, "hex").toString("hex");
      const mine = asked.filter((path) =>
        Buffer.from(path.split(".")[1]!, "base64url").toString("hex").endsWith(number),
      );
      expect(mine).toHaveLength(1);
      const { at } = stateOf("shop.test").window;
      expect(Date.parse(at)).toBeGreaterThanOrEqual(start);
      expect(Date.parse(at)).toBeLessThanOrEqual(end);
      again();
      status = 500;
      await dp(0, "certificates");
      expect(stateOf("shop.test").window.at).toBe(at);
      expect(Date.parse(stateOf("shop.test").window.again)).toBeGreaterThan(Date.now() + 5 * 3_600_000);
      expect(pem()).toBe(before);
      again();
      [start, end, status] = [Date.now() - 7_200_000, Date.now() - 3_600_000, 200];
      expect((await dp(0, "certificates")).stdout).toContain("shop.test: has a new certificate");
      expect(pem()).not.toBe(before);
      expect(await page("shop.test")).toStartWith("again");
      // The authority says so of the new one, too.
      expect((await dp(0, "certificates")).stdout).toBe("");
    } finally {
      await server.stop(true);
      writeFileSync(tlsYml(), acme.settings);
      writeFileSync(join(folderOf("shop.test"), "state.json"), "{}");
    }
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

  test("a certificate that ends soon is told to the targets of notifications, once, with what to do", async () => {
    const own = (...parts: string[]) => join(box.root, "var/lib/dp/notify", ...parts);
    const folder = join(box.code, "../soon");
    const at = (name: string) => join(folder, name);
    for (const each of [own("new"), own("own"), folder]) mkdirSync(each, { recursive: true });
    writeFileSync(at("tell"), `#!/bin/sh\ncat >> ${at("told")}\n`, { mode: 0o755 });
    const target = { kind: "command", settings: { command: at("tell") } };
    writeFileSync(own("targets.json"), JSON.stringify({ to: { here: target }, events: {} }));
    const notifyYml = join(box.root, "opt/deployments/notify.yml");
    writeFileSync(notifyYml, `to: {here: {command: ${at("tell")}}}\n`, { mode: 0o600 });
    makeOld("soon.test", folder);
    await dp(0, "domains", "shop", "cert", "soon.test", "--cert", at("crt"), "--key", at("key"));
    await dp(0, "watch");
    await until("it is told", () => existsSync(at("told")) && readFileSync(at("told"), "utf8").endsWith("\n"));
    const told = readFileSync(at("told"), "utf8");
    expect(told).toContain("ends in 3 days; it is your own");
    expect(told).toContain("dp domains shop cert soon.test --cert FILE --key FILE");
    expect((await dp(0, "doctor", "shop")).stdout).toContain(
      "warning  certificates: the certificate of soon.test ends in 3 days",
    );
    await dp(0, "watch");
    await until("the queue is empty", () => readdirSync(own("new")).length === 0);
    expect(readFileSync(at("told"), "utf8")).toBe(told);
    for (const file of [notifyYml, own("targets.json")]) rmSync(file);
  });

  test("the files of another program are followed, and when they are gone no other name suffers", async () => {
    const folder = join(box.code, "../soon");
    const at = (name: string) => join(folder, name);
    for (const [from, to] of [
      ["crt", "fullchain.pem"],
      ["key", "privkey.pem"],
    ] as const)
      symlinkSync(at(from), at(to));
    const here = `{ name: soon.test, certificate: ${folder} }`;
    writeFileSync(join(box.base, "config.yml"), config().replace("  - soon.test\n", `  - ${here}\n`));
    rmSync(join(folderOf("soon.test"), "pair.pem"));
    expect((await dp(0, "domains", "shop", "renew", "soon.test")).stdout).toContain(
      `soon.test: took the new certificate of ${folder}`,
    );
    expect((await dp(0, "doctor", "shop")).stdout).toContain(
      `renew the files in ${folder}, then: dp domains shop renew soon.test`,
    );
    rmSync(at("fullchain.pem"));
    rmSync(join(folderOf("www.shop.test"), "pair.pem"));
    // Now it comes before www.shop.test, which is due.
    const others = config().replace(`  - ${here}\n`, "");
    writeFileSync(join(box.base, "config.yml"), others.replace("domains:\n", `domains:\n  - ${here}\n`));
    const { stdout } = await dp(0, "certificates");
    expect(stdout).toContain(`soon.test: ${folder}/fullchain.pem does not exist`);
    expect(stdout).toContain("www.shop.test: has a new certificate");
    expect((await dp(0, "doctor", "shop")).stdout).toContain(`ends in 3 days: ${folder}/fullchain.pem does not exist`);
    symlinkSync(at("crt"), at("fullchain.pem"));
    expect((await dp(0, "certificates")).stdout).toBe("");
    expect((await row("soon.test")).error).toBeNull();
    await dp(0, "domains", "shop", "remove", "soon.test");
  });

  describe("what the authority says is told as what to do", () => {
    const forced = async (name: string) => {
      await dp(0, "domains", "shop", "add", name, "--force");
      const { error } = await row(name);
      await dp(0, "domains", "shop", "remove", name);
      return error;
    };

    test("it cannot reach the server, gets another's answer, or finds no address", async () => {
      await acme.dns("add-a", { host: "closed.test", addresses: ["127.0.0.9"] });
      expect(await forced("closed.test")).toMatch(
        /^the CA cannot reach this server by that name: open port 80.*\(connection\)$/,
      );
      const parked = Bun.serve({ hostname: "127.0.0.8", port: acme.http, fetch: () => new Response("parked") });
      await acme.dns("add-a", { host: "parked.test", addresses: ["127.0.0.8"] });
      expect(await forced("parked.test")).toMatch(
        /^the CA got another answer than this server's: a proxy.*dp help cloudflare/,
      );
      await parked.stop(true);
      await acme.dns("set-servfail", { host: "lost.test" });
      expect(await forced("lost.test")).toMatch(/^the CA cannot (?:resolve the name|reach this server)/);
    });

    test("it refuses the name", async () => {
      await acme.stop();
      await acme.start({ domainBlocklist: ["blocked.test"] });
      expect(await forced("blocked.test")).toMatch(
        /^the CA gives no certificate for this name: choose another.*\(rejectedIdentifier\)$/,
      );
      await acme.stop();
      await acme.start();
    });

    test("it takes no more orders, a CAA record forbids it, it has an error of its own", async () => {
      const fake = startFakeAcme(acme.api.key, acme.api.cert);
      writeFileSync(tlsYml(), acme.settings.replace(/^directory: .*$/m, `directory: ${fake.directory}`));
      const refused = async (where: "order" | "challenge", type: string, detail: string, status: number) => {
        fake.refuse(where, { type, detail, status });
        await dp(0, "domains", "shop", "add", "no.test");
        const { error, next } = await row("no.test");
        await dp(0, "domains", "shop", "remove", "no.test");
        return { error, wait: Date.parse(next!) - Date.now() };
      };
      const HOUR = 3_600_000;
      const time = new Date(Date.now() + 40 * HOUR).toISOString();
      const words = `too many certificates already issued, retry after ${time.slice(0, 19).replace("T", " ")} UTC`;
      const limited = await refused("order", "rateLimited", words, 429);
      expect(limited.error).toMatch(
        /^the CA takes no more orders for now: leave it alone, dp tries again by itself.*\(rateLimited\)$/,
      );
      expect(limited.wait).toBeGreaterThan(39 * HOUR);
      const untold = await refused("order", "rateLimited", "too many new orders recently", 429);
      expect(untold.wait).toBeGreaterThan(0.9 * HOUR);
      const caa = await refused("challenge", "caa", "CAA record for no.test prevents issuance", 403);
      expect(caa.error).toMatch(
        /^a CAA record in the DNS forbids this CA: add the CA to it.*prevents issuance \(caa\)$/,
      );
      const own = await refused("order", "serverInternal", "the database is away", 500);
      expect(own.error).toMatch(/^the CA has an error of its own: dp tries again by itself: the database is away/);
      const contact = await refused("order", "invalidContact", "contact email has forbidden domain", 400);
      expect(contact.error).toMatch(/^the CA refuses the account's mail address: set email in \/etc\/dp\/tls\.yml/);
      const strange = await refused("order", "newThing", "\u001b[2J\u202ewhat is this", 400);
      expect(strange.error).toStartWith("the CA refuses: ");
      expect(strange.error).not.toMatch(/[\u001b\u202e]/);
      await fake.stop();
      writeFileSync(tlsYml(), acme.settings);
    }, 60_000);
  });

  describe("an authority that wants an external account", () => {
    const [kid, key] = ["kid-1", Buffer.from("a secret of 32 bytes for the MAC").toString("base64url")];
    const eab = (mac: string) => {
      writeFileSync(tlsYml(), `${acme.settings}eab: {kid: ${kid}, key: ${mac}}\n`);
      chmodSync(tlsYml(), 0o600);
    };

    beforeAll(async () => {
      if (!isAble) return;
      await acme.stop();
      await acme.start({ externalAccountBindingRequired: true, externalAccountMACKeys: { [kid]: key } });
    });
    afterAll(async () => {
      if (!isAble) return;
      writeFileSync(tlsYml(), acme.settings);
      await acme.stop();
      await acme.start();
      // Each authority has a root of its own.
      writeFileSync(join(folderOf("shop.test"), "state.json"), "{}");
      await dp(0, "domains", "shop", "renew", "shop.test");
    });

    test("without eab, or with a wrong one, it is said what to set", async () => {
      const { text } = await dp(0, "domains", "shop", "add", "eab.test");
      expect(text).toContain("the CA wants an account of its own: set eab: {kid, key} in /etc/dp/tls.yml");
      eab(Buffer.from("another secret of 32 bytes......").toString("base64url"));
      expect((await dp(0, "domains", "shop", "add", "eab.test")).text).toContain(
        "the CA refuses eab of /etc/dp/tls.yml",
      );
      chmodSync(tlsYml(), 0o644);
      expect((await dp(0, "doctor", "shop")).stdout).toContain("tls.yml has a key and can be read by other users");
    });

    test("the key is in no argument of a program, and the account is made anew when it is forgotten", async () => {
      eab(key);
      const watch = watchArguments(key);
      expect((await dp(0, "domains", "shop", "add", "bound.test")).text).toContain("live: https://bound.test");
      expect(await watch.stop()).toEqual([]);
      await acme.stop();
      await acme.start({ externalAccountBindingRequired: true, externalAccountMACKeys: { [kid]: key } });
      rmSync(join(folderOf("bound.test"), "pair.pem"));
      expect((await dp(0, "certificates")).stdout).toContain("bound.test: has a new certificate");
      await dp(0, "domains", "shop", "remove", "bound.test", "eab.test");
      expect((await dp(0, "doctor", "shop")).stdout).not.toContain("tls.yml");
    }, 60_000);
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
