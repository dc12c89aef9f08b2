// Addresses and networks of lists of allowed clients, and the keys of config.yml that keep clients away.
import { describe, expect, test } from "bun:test";
import { isWithin, networkOf } from "../../lib/config/network.ts";
import { editMap } from "../../lib/config/yaml-edit.ts";
import { serverConfig } from "../support/configs.ts";

test.each([
  ["203.0.113.7", "203.0.113.7", true],
  ["203.0.113.7", "203.0.113.8", false],
  ["203.0.113.0/24", "203.0.113.255", true],
  ["203.0.113.0/24", "203.0.112.255", false],
  ["203.0.113.128/25", "203.0.113.127", false],
  ["203.0.113.128/25", "203.0.113.128", true],
  ["0.0.0.0/0", "198.51.100.1", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["2001:db8::/32", "2001:db8:ffff::1", true],
  ["2001:db8::/32", "2001:db9::1", false],
  ["2001:db8::/33", "2001:db8:8000::1", false],
  ["::1", "0:0:0:0:0:0:0:1", true],
  ["::/0", "fe80::1%eth0", true],
  ["fe80::1", "fe80::1%eth0", true],
  ["2001:DB8::A", "2001:db8:0:0::a", true],
  ["192.0.2.1", "::ffff:192.0.2.1", true],
  ["192.0.2.0/24", "::ffff:c000:2ff", true],
  ["::ffff:192.0.2.1", "192.0.2.1", true],
  ["::/0", "192.0.2.1", false],
  ["192.0.2.1", "unknown", false],
  ["0.0.0.0/0", "", false],
])("%s and %s: %p", (network, address, isIn) => {
  expect(isWithin(address, [networkOf(network)!])).toBe(isIn);
});

test.each([
  ...[
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4/",
    "1.2.3.4/33",
    "1.2.3.4/-1",
    "1.2.3.4/a",
  ],
  ...[
    "1.2.3.4/24",
    "1.2.3.0/24/24",
    "2001:db8::/129",
    "2001:db8::1/32",
    "1::2::3",
    "1:2:3",
    "1:2:3:4:5:6:7:8:9",
    ":::",
  ],
  ...["12345::", "g::", "1:2:3:4:5:6:7::8:9", "::1.2.3.4.5", "1.2.3.4::", "::ffff:192.0.2.0/120", "*", "10.*"],
])("%p is no network", (text) => expect(networkOf(text)).toBe(null));

describe("config.yml", () => {
  const BASE = "port: 8000\nmanager: builtin\n";
  const HASH = `$2y$10$${"a".repeat(53)}`;

  test("networks and users are read", () => {
    const text = `${BASE}allow: [192.0.2.1, "2001:db8::/32"]\nbasicAuth:\n  anna: ${HASH}\n`;
    expect(serverConfig(text)).toMatchObject({ allow: ["192.0.2.1", "2001:db8::/32"], basicAuth: { anna: HASH } });
    expect(serverConfig(BASE)).not.toHaveProperty("allow");
  });

  test.each([
    ["allow: []", "allow: is empty, so that nobody could use the app"],
    ["allow: [localhost]", "must be an address, or a network such as 203.0.113.0/24"],
    ["allow: [192.0.2.1/24]", "must be an address, or a network such as 203.0.113.0/24"],
    ["allow: 192.0.2.1", "must be a list of addresses"],
    ["basicAuth: {}", "is empty, so that nobody could use the app"],
    ["basicAuth: {anna: secret}", "must be a password hashed by bcrypt"],
    [`basicAuth: {anna: ${HASH.replace("10", "15")}}`, "of cost 4 to 12"],
    [`basicAuth: {"a:b": "${HASH}"}`, "must be the name of a user"],
    ["allow: [192.0.2.1]\nfront: haproxy", "allow cannot be kept by front: haproxy, protocol: http"],
    ["allow: [192.0.2.1]\nfront: none", "allow cannot be kept by front: none"],
    [
      `allow: [192.0.2.1]\nbasicAuth: {a: "${HASH}"}\nprotocol: tcp`,
      "allow and basicAuth cannot be kept by front: relay, protocol: tcp",
    ],
  ])("%s is refused", (line, why) => {
    let said = "";
    try {
      serverConfig(`${BASE}${line}\n`);
    } catch (error) {
      const { message, lines } = error as { message: string; lines: readonly string[] };
      said = [message, ...lines].join("\n");
    }
    expect(said).toContain(why);
  });

  test("users are added and removed, and every other character stays", () => {
    const added = editMap(`${BASE}# end\n`, "basicAuth", (map) => void map.set("anna", HASH), "f");
    expect(added).toBe(`${BASE}# end\nbasicAuth:\n  anna: ${HASH}\n`);
    const noted = added.replace("  anna", "  # mine\n  anna").replace("# end\n", "") + "# end\n";
    const two = editMap(noted, "basicAuth", (map) => void map.set("ben", HASH), "f");
    expect(two).toBe(noted.replace("# end\n", `  ben: ${HASH}\n# end\n`));
    expect(editMap(two, "basicAuth", (map) => void map.delete("ben"), "f")).toBe(noted);
    expect(editMap(added, "basicAuth", (map) => void map.delete("anna"), "f")).toBe(`${BASE}# end\n`);
    expect(() => editMap("basicAuth: [a]\n", "basicAuth", () => undefined, "f")).toThrow("basicAuth is not a mapping");
  });
});
