// What lego and CAs say, as it was seen, in the words of dp.
import { expect, test } from "bun:test";
import { failureOf, problemError } from "../../lib/domains/problem.ts";

const URN = "urn:ietf:params:acme:error:";
const HEAD = "2026/11/30 00:00:01 Could not obtain certificates:\n\terror: one or more domains had a problem:\n";
const of = (kind: string, detail: string) => `${HEAD}[shop.test] acme: error: 403 :: ${URN}${kind} :: ${detail}\n`;

test.each([
  [
    of("connection", "203.0.113.5: Fetching http://shop.test/: Timeout"),
    "the CA cannot reach this server by that name",
  ],
  [of("unauthorized", "Invalid response from http://shop.test/"), "the CA got another answer than this server's"],
  [of("dns", "DNS problem: NXDOMAIN looking up A"), "the CA cannot resolve the name: look at its A, AAAA and CAA"],
  [
    of("caa", "CAA record for shop.test prevents issuance"),
    "a CAA record in the DNS forbids this CA: add the CA to it",
  ],
  [of("badNonce", "JWS has an invalid anti-replay nonce"), "the CA refused its own nonces several times"],
  [of("tooNew", "what?"), "the CA refuses: what? (tooNew)"],
  [
    "2026/11/30 00:00:01 Could not create client: get directory at 'https://ca.test/dir': Get \"https://ca.test/dir\": dial tcp 192.0.2.1:443: connect: connection refused\n",
    "the CA cannot be reached, dp tries again by itself: dial tcp 192.0.2.1:443: connect: connection refused",
  ],
  [
    "2026/11/30 00:00:01 Server requires External Account Binding. Use --eab with --kid and --hmac.\n",
    "the CA wants an account of its own: set eab: {kid, key} in /etc/dp/tls.yml",
  ],
  ["", "lego: it says nothing"],
])("%j", (text, words) => {
  expect(failureOf("shop.test", text, false).message).toStartWith(words);
});

test("what was got over is no failure, and with challenges by DNS the web server is not blamed", () => {
  const over = `2026/11/30 00:00:00 [INFO] retry due to: ${URN}badNonce :: x\n`;
  const text = over + of("unauthorized", "No TXT record found");
  expect(failureOf("*.shop.test", text, true).message).toStartWith("the CA did not find the record of the challenge");
});

test.each([
  ["7200", 7200],
  [new Date(Date.now() + 7200_000).toUTCString(), 7200],
  [null, 3600],
  ["soon", 3600],
])("after rateLimited with Retry-After %j the next try waits", (retry, seconds) => {
  const { reason } = problemError({ kind: "rateLimited", detail: "too many orders" }, "shop.test", { retry });
  expect(Math.abs(Date.parse(reason!) - Date.now() - seconds * 1000)).toBeLessThan(60_000);
});

test("the time in the words of Let's Encrypt counts", () => {
  const detail = "too many certificates already issued, retry after 2031-02-03 04:05:06 UTC: see https://x.test/";
  expect(problemError({ kind: "rateLimited", detail }, "shop.test").reason).toBe("2031-02-03T04:05:06.000Z");
});
