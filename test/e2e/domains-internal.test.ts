// Names of a private network with certificates of dp's own CA, without root and systemd, and without any public CA.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { DomainRow } from "../../lib/domains/report.ts";
import { freePort } from "../support/port.ts";
import { sandbox, type Outcome, type Sandbox } from "../support/sandbox.ts";

const missing = ["openssl", "curl"].filter((name) => Bun.which(name) === null);
if (missing.length > 0) console.error(`skipped: there is no ${missing.join(", ")}`);

let box: Sandbox;
let [http, https] = [0, 0];
const at = (...parts: string[]) => join(box.root, "var/lib/dp/tls", ...parts);
const here = (name: string) => join(box.code, "..", name);
const tool = (name: string) => join(box.env["PATH"]!.split(":")[0]!, name);

beforeAll(async () => {
  if (missing.length > 0) return;
  box = await sandbox();
  [http, https] = [await freePort(), await freePort()];
  mkdirSync(join(box.root, "etc/dp"), { recursive: true });
  const reached = `public: {http: ${http}, https: ${https}}\n`;
  writeFileSync(join(box.root, "etc/dp/tls.yml"), `http: 127.0.0.1:${http}\nhttps: 127.0.0.1:${https}\n${reached}`);
  await box.release({ say: "hello" });
}, 120_000);
afterAll(() => box?.stop());

async function dp(code: number, ...words: string[]): Promise<Outcome> {
  const outcome = await box.dp(...words);
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const row = async (name: string) =>
  (JSON.parse((await dp(0, "domains", "shop", "--json")).stdout) as DomainRow[]).find((one) => one.name === name)!;
const config = () => readFileSync(join(box.base, "config.yml"), "utf8");
const pair = (name: string) => readFileSync(at("names", name, "pair.pem"), "utf8");

/** The page over https, for a client that trusts only `root`. */
async function page(name: string, root: string): Promise<string> {
  const to = ["--connect-to", `::127.0.0.1:${https}`, "--cacert", root];
  const child = Bun.spawn(["curl", "-fsS", "--noproxy", "*", ...to, `https://${name}/`], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [text, error] = [await child.stdout.text(), await child.stderr.text()];
  return (await child.exited) === 0 ? text : error;
}

function openssl(line: string): Outcome {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...line.split(" ")], { cwd: here("") });
  const [out, err] = [stdout.toString(), stderr.toString()];
  return { code: exitCode, stdout: out, stderr: err, text: out + err };
}

/** Signs a certificate with the CA's own key, as a thief of it would. */
function forge(name: string, days = "30"): string {
  writeFileSync(here("ext"), `subjectAltName=${name}\nextendedKeyUsage=serverAuth\n`);
  const key = `-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout forged.key`;
  expect(openssl(`req ${key} -out forged.csr -subj /O=thief`).code).toBe(0);
  const by = `-CA ${at("ca/root.pem")} -CAkey ${at("ca/key.pem")} -set_serial 7`;
  const made = openssl(`x509 -req -in forged.csr ${by} -days ${days} -extfile ext -out forged.crt`);
  expect([made.code, made.text]).toEqual([0, made.text]);
  return here("forged.crt");
}

describe.skipIf(missing.length > 0)("dp's own CA", () => {
  test("before it is needed there is none", async () => {
    expect((await dp(2, "domains", "ca")).text).toContain("dp domains APP add shop.lan --internal");
    expect(existsSync(at("ca"))).toBe(false);
  });

  test("a name of a private network is live at once, for clients that trust the root that dp prints", async () => {
    const { stdout } = await dp(0, "domains", "shop", "add", "shop.lan", "*.shop.lan");
    expect(stdout).toContain("shop.lan: dp's own CA makes its certificate");
    expect(stdout).toMatch(/certificate: dp CA, until \d{4}-\d\d-\d\d, renewed by itself/);
    expect(stdout).toContain("live: https://shop.lan, for clients that trust it: dp domains ca");
    expect(config()).toContain('- { name: shop.lan, tls: internal }\n  - { name: "*.shop.lan", tls: internal }');
    const told = await dp(0, "domains", "ca");
    writeFileSync(here("root.crt"), told.stdout);
    expect(told.stderr).toContain(new X509Certificate(told.stdout).fingerprint256);
    expect(told.stderr).toContain("update-ca-certificates");
    // Every system's line reads the file that the first one makes.
    const steps = told.stderr.split("\n").filter((line) => /^  (?:all|Debian|Fedora|macOS|Windows)/.test(line));
    expect(steps.map((line) => line.includes("dp.crt"))).toEqual(Array(5).fill(true));
    expect(steps[0]).toEndWith("ssh root@SERVER dp domains ca > dp.crt");
    expect((await dp(0, "domains", "shop", "ca")).stdout).toBe(told.stdout);
    expect(JSON.parse((await dp(0, "domains", "ca", "--json")).stdout).certificate).toBe(told.stdout.trim());
    expect(await page("shop.lan", here("root.crt"))).toStartWith("hello");
    expect(await page("any.shop.lan", here("root.crt"))).toStartWith("hello");
    const other = openssl("req -x509 -newkey rsa:2048 -nodes -keyout o.key -out other.crt -subj /O=other");
    expect(other.code).toBe(0);
    expect(await page("shop.lan", here("other.crt"))).toContain("SSL certificate problem");
    expect(await row("shop.lan")).toMatchObject({ source: "internal", issuer: "dp CA", error: null });
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
  });

  test("its key is for dp alone, and nothing of the making stays", () => {
    expect(statSync(at("ca")).mode & 0o777).toBe(0o700);
    expect(statSync(at("ca/key.pem")).mode & 0o777).toBe(0o600);
    expect(statSync(at("names/shop.lan/pair.pem")).mode & 0o777).toBe(0o600);
    expect(readdirSync(at("ca")).toSorted()).toEqual(["key.pem", "root.pem"]);
  });

  test("who steals the key can vouch for no name of the internet, and for no address", () => {
    const verify = (file: string) => openssl(`verify -CAfile ${at("ca/root.pem")} -purpose sslserver ${file}`).text;
    expect(verify(forge("DNS:other.home.arpa"))).toContain("OK");
    for (const name of ["DNS:shop.example.com", "DNS:lan.example", "IP:192.0.2.1", "IP:2001:db8::1"])
      expect([name, verify(forge(name))]).toEqual([name, expect.stringMatching(/(?:permitted|excluded) subtree/)]);
  });

  test("the timer renews what is due, or of somebody else, with the same root", async () => {
    const before = await row("shop.lan");
    const text = readFileSync(forge("DNS:shop.lan", "1"), "utf8") + readFileSync(here("forged.key"), "utf8");
    writeFileSync(at("names/shop.lan/pair.pem"), text);
    writeFileSync(at("names/shop.lan/state.json"), JSON.stringify({ source: "acme" }));
    const { stdout } = await dp(0, "certificates");
    expect(stdout).toContain("shop.lan: has a new certificate, until ");
    expect(stdout).not.toContain("*.shop.lan");
    expect(Date.parse((await row("shop.lan")).until!)).toBeGreaterThanOrEqual(Date.parse(before.until!));
    expect(await page("shop.lan", here("root.crt"))).toStartWith("hello");
    expect((await dp(0, "certificates")).stdout).toBe("");
    const first = pair("shop.lan");
    await dp(0, "domains", "shop", "renew", "shop.lan");
    expect(pair("shop.lan")).not.toBe(first);
    expect(await page("shop.lan", here("root.crt"))).toStartWith("hello");
  });

  test("a certificate of the owner's takes its place until --auto", async () => {
    writeFileSync(here("forged.pem"), readFileSync(forge("DNS:shop.lan", "60")));
    const words = ["--cert", here("forged.pem"), "--key", here("forged.key")];
    await dp(0, "domains", "shop", "cert", "shop.lan", ...words);
    expect((await row("shop.lan")).source).toBe("file");
    expect((await dp(0, "certificates")).stdout).toBe("");
    await dp(0, "domains", "shop", "cert", "shop.lan", "--auto");
    expect((await row("shop.lan")).source).toBe("internal");
  });

  test("without openssl, or with a damaged CA, the old certificate serves and doctor says what to do", async () => {
    writeFileSync(tool("openssl"), "#!/bin/sh\nexit 1\n", { mode: 0o644 });
    const path = box.env["PATH"]!;
    box.env["PATH"] = tool("");
    for (const name of ["sh", "git", "bun", "env"])
      if (!existsSync(tool(name))) symlinkSync(Bun.which(name)!, tool(name));
    expect((await dp(8, "domains", "shop", "renew", "shop.lan")).text).toContain("openssl is not installed");
    expect((await dp(8, "domains", "shop", "add", "new.lan")).text).toContain("apt-get install openssl");
    box.env["PATH"] = path;
    unlinkSync(tool("openssl"));
    const key = readFileSync(at("ca/key.pem"));
    writeFileSync(at("ca/key.pem"), "damaged");
    const { text } = await dp(6, "domains", "shop", "renew", "shop.lan");
    expect(text).toContain("shop.lan has no new certificate yet: dp's own CA: openssl: ");
    expect((await dp(0, "doctor", "shop")).stdout).toMatch(
      /shop\.lan ends in \d+ days, and is not renewed: dp's own CA/,
    );
    expect(await page("shop.lan", here("root.crt"))).toStartWith("hello");
    writeFileSync(at("ca/key.pem"), key);
    await dp(0, "domains", "shop", "renew", "shop.lan");
    expect((await dp(0, "doctor", "shop")).stdout).toContain("nothing wrong");
  });

  test("a new CA after the folder is removed, as the documents say", async () => {
    rmSync(at("ca"), { recursive: true });
    await dp(0, "domains", "shop", "renew");
    expect(await page("shop.lan", here("root.crt"))).toContain("SSL certificate problem");
    expect(await page("shop.lan", at("ca/root.pem"))).toStartWith("hello");
  });

  test.each([
    [["add", "shop.example.com", "--internal"], 2, "shop.example.com is no name of a private network"],
    [["add", "lan.example", "--internal"], 2, "its names end in lan, home.arpa, internal"],
  ] as const)("%j is refused, and nothing is changed", async (words, code, why) => {
    const before = config();
    expect((await dp(code, "domains", "shop", ...words)).text).toContain(why);
    expect(config()).toBe(before);
  });

  test.each([
    ["{name: a.example.com, tls: internal}", "a.example.com cannot have tls: internal"],
    ["{name: a.lan, tls: internal, certificate: /etc/x}", "a.lan has tls and certificate"],
    ["{name: a.lan, tls: internel}", 'must be internal, not "internel", did you mean "internal"?'],
  ])("%s in config.yml is refused", async (line, why) => {
    const before = config();
    writeFileSync(join(box.base, "config.yml"), before.replace("domains:\n", `domains:\n  - ${line}\n`));
    expect((await dp(3, "domains", "shop")).text).toContain(why);
    writeFileSync(join(box.base, "config.yml"), before);
  });

  test("an app that is called ca has its domains, and its own action ca", async () => {
    await dp(0, "setup", "ca", "--domain", "ca.lan");
    expect((await dp(0, "domains", "ca")).stdout).toContain("ca.lan");
    expect((await dp(0, "domains", "ca", "ca")).stdout).toStartWith("-----BEGIN CERTIFICATE-----");
    await dp(0, "destroy", "ca", "--yes", "--purge");
    await dp(0, "domains", "shop", "clear");
    expect(existsSync(at("names/shop.lan"))).toBe(false);
    expect(existsSync(dirname(at("ca/key.pem")))).toBe(true);
  });
});
