// The relay's port of https, as the scanner testssl.sh sees it: nothing above "low".
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestApp, startApp } from "./support/apps.ts";
import { startRelay, type TestRelay } from "./support/relay.ts";
import { makeAuthority, type Authority } from "./support/tls.ts";

const scanner = Bun.which("testssl") ?? Bun.which("testssl.sh");
if (scanner === null) console.error("skipped: there is no testssl.sh");

let authority: Authority;
let relay: TestRelay;
let shop: TestApp;

beforeAll(async () => {
  authority = await makeAuthority();
  authority.put("shop.test", authority.pair("shop.test", 90));
  shop = await startApp("bun", "shop");
  await serve();
});

/** Starts a relay with the domain. */
async function serve(env: Record<string, string> = {}): Promise<void> {
  relay = await startRelay(env);
  await relay.front.secure(authority.edge);
  await relay.add("shop", shop.port, { domains: [{ name: "shop.test" }], tls: { http: "redirect", hsts: 0 } });
}
afterAll(async () => {
  await relay?.stop();
  await shop?.stop();
  authority?.end();
});

/** What `openssl s_client` says of a connection to the relay on stdout and on stderr, and its exit code. */
function seenWith(input: string, ...more: string[]): [string, string, number] {
  const to = ["-connect", `127.0.0.1:${authority.edge.https.port}`, "-servername", "shop.test"];
  const child = Bun.spawnSync(["openssl", "s_client", ...to, ...more], { stdin: Buffer.from(input) });
  return [child.stdout.toString(), child.stderr.toString(), child.exitCode];
}
const seen = (...more: string[]) => seenWith("", ...more);

interface Finding {
  id: string;
  severity: string;
  finding: string;
}

describe.skipIf(scanner === null)("testssl.sh", () => {
  test("finds nothing above low in protocols, ciphers, handshake and known attacks", async () => {
    const out = join(authority.folder, "scan.json");
    // Protocols, kinds of ciphers, preferences of the server, forward secrecy, vulnerabilities. What it would say of
    // the certificate and of the app's own headers says nothing of the relay.
    const what = ["--protocols", "--std", "--server-preference", "--fs", "--vulnerable"];
    const how = ["--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--nodns", "none"];
    const argv = [scanner!, ...how, "--jsonfile", out, ...what, `shop.test:${authority.edge.https.port}`];
    const env = { PATH: process.env["PATH"]!, HOME: authority.folder, TERM: "dumb" };
    const child = Bun.spawn(argv, { env, stdio: ["ignore", "pipe", "pipe"] });
    const text = await child.stdout.text();
    expect([await child.exited, text]).toEqual([0, expect.stringContaining("Done")]);
    const findings = JSON.parse(readFileSync(out, "utf8")) as Finding[];
    expect(findings.filter(({ severity }) => ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].includes(severity))).toEqual([]);
    const said = (id: string) => findings.find((one) => one.id === id)?.finding;
    for (const id of ["SSLv2", "SSLv3", "TLS1", "TLS1_1"]) expect([id, said(id)]).toEqual([id, "not offered"]);
    for (const id of ["TLS1_2", "TLS1_3"]) expect([id, said(id)]).toEqual([id, expect.stringContaining("offered")]);
    for (const id of ["heartbleed", "ROBOT", "CRIME_TLS", "LUCKY13"])
      expect([id, said(id)]).toEqual([id, expect.stringContaining("not vulnerable")]);
  }, 300_000);
});

describe.each(["bun", "node"])("openssl, with the handlers of %s", (way) => {
  beforeAll(async () => {
    if (way === "bun") return;
    await relay.stop();
    await serve({ DP_RELAY_TLS: way });
  });

  test("renegotiation is secure and not the client's to ask for, and nothing is compressed", () => {
    const [two] = seen("-tls1_2");
    expect(two).toContain("Secure Renegotiation IS supported");
    expect(two).toContain("Compression: NONE");
    const [, said, code] = seenWith("R\n", "-tls1_2");
    expect([said, code]).toEqual([expect.stringContaining("RENEGOTIATING"), 1]);
  });

  test("a client without AES in its processor gets ChaCha20, all others the order of the server", () => {
    const [aes128, aes256, chacha] = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"] as const;
    const got = (...order: string[]) => {
      const [text] = seen("-tls1_2", "-cipher", order.map((one) => `ECDHE-ECDSA-${one}`).join(":"));
      return /Cipher is ECDHE-ECDSA-(\S+)/.exec(text)?.[1];
    };
    expect(got(chacha, aes256, aes128)).toBe(chacha);
    expect(got(aes256, aes128, chacha)).toBe(aes128);
  });
});
