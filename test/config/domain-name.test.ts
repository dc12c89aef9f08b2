// Domain names, and the list of them in a config.yml.
import { describe, expect, test } from "bun:test";
import { addDomains, removeDomains } from "../../lib/config/domain-edit.ts";
import { domainName, domainPlace, isDomain } from "../../lib/config/domain-name.ts";
import { serverConfig } from "../support/configs.ts";

describe("a name as somebody typed it", () => {
  test.each([
    ["Shop.Example.COM.", "shop.example.com"],
    ["https://shop.example.com/", "shop.example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["*.Example.com", "*.example.com"],
  ])("%s is %s", (typed, name) => expect(domainName(typed)).toBe(name));

  test.each([
    ...["", ".", "localhost", "192.0.2.1", "2001:db8::1", "a..b", "-a.test", "a-.test", "a b.test", "*.*.test"],
    ...["*", "*.test", "a.*.test", "shop.example.com:443", "shop.example.com/path", "../a.test", "a_b.test"],
    ...[`${"a".repeat(64)}.test`, `${"a.".repeat(130)}test`, "a.test\n", "user@a.test", "a.1"],
  ])("%j is refused", (typed) => {
    expect(() => domainName(typed)).toThrow("is not a domain such as shop.example.com");
    expect(isDomain(typed)).toBe(false);
  });
});

describe("config.yml", () => {
  const BASE = "port: 8000\nmanager: builtin\n";
  test("names, redirects and folders are read", () => {
    const text = `${BASE}domains: [a.test, {name: www.a.test, redirect: a.test}, {name: "*.b.test", certificate: /x}]\n`;
    expect(serverConfig(text).domains).toEqual([
      { name: "a.test" },
      { name: "www.a.test", redirect: "a.test" },
      { name: "*.b.test", certificate: "/x" },
    ]);
  });

  test("paths are read apart, and written and removed as people write them", () => {
    const text = `${BASE}domains: [a.test, a.test/api/v2, {name: b.test/x, stripPrefix: true}]\n`;
    expect(serverConfig(text).domains).toEqual([
      { name: "a.test" },
      { name: "a.test", path: "/api/v2" },
      { name: "b.test", path: "/x", stripPrefix: true },
    ]);
    const added = addDomains(BASE, [{ name: "a.test" }, { name: "a.test/api", stripPrefix: true }], "f");
    expect(added).toBe(`${BASE}domains:\n  - a.test\n  - { name: a.test/api, stripPrefix: true }\n`);
    expect(removeDomains(added, ["a.test/api"], "f")).toBe(`${BASE}domains:\n  - a.test\n`);
    expect(removeDomains(added, ["a.test"], "f")).not.toContain("- a.test\n");
  });

  test.each([
    ["Shop.TEST/Api/", "shop.test/Api"],
    ["https://shop.test/a/b", "shop.test/a/b"],
    ["shop.test/", "shop.test"],
    ["shop.test.", "shop.test"],
  ])("%s is %s with its path", (typed, full) => expect(domainPlace(typed)).toBe(full));

  test.each([
    "shop.test/a b",
    "shop.test/a//b",
    "shop.test/..",
    "shop.test/%61",
    "*.shop.test/a",
    "shop.test/?a",
    "/a",
  ])("%j is no path below a domain", (typed) => expect(() => domainPlace(typed)).toThrow("is not a"));

  test.each([
    ["domains: [A.test]", "must be a domain such as shop.example.com"],
    [
      "domains: [{name: a.test, leads: b.test}]",
      "unknown key, known are name, redirect, certificate, tls, stripPrefix",
    ],
    ["domains: [a.test, a.test]", "domains has a name twice"],
    ["domains: [{name: a.test, redirect: b.test}]", "which is no domain of the app that answers"],
    ["domains: [{name: a.test, redirect: a.test}]", "which is no domain of the app that answers"],
    ["domains: [a.test]\nfront: none", "domains need front: haproxy or relay, and protocol: http"],
    ["domains: [a.test]\nprotocol: tcp", "domains need front: haproxy or relay, and protocol: http"],
    ["domains: [a.test/]", "a path below one"],
    ["domains: [a.test/x/../y]", "a path below one"],
    ["domains: [a.test/x?y]", "a path below one"],
    ["domains: ['*.a.test/x']", "a path below one"],
    ["domains: [a.test/x, a.test/x]", "domains has a name twice"],
    ["domains: [{name: a.test, stripPrefix: true}]", "a.test has stripPrefix, but no path"],
    ["domains: [b.test, {name: a.test/x, redirect: b.test}]", "a.test/x has a path, and cannot redirect"],
    ["domains: [a.test/x]\nfront: haproxy", "a.test/x has a path, which front: haproxy cannot serve"],
    ["tls: {hsts: 3y}", "must be a duration"],
    ["tls: {http: both}", "must be one of redirect, serve"],
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

  test("adding and removing leaves every other character as it is", () => {
    const before = "# top\nport: 8000 # p\n\n# domains: [a, b]\nmanager: builtin\n";
    const added = addDomains(before, [{ name: "a.test" }, { name: "www.a.test", redirect: "a.test" }], "f");
    expect(added).toBe(
      "# top\nport: 8000 # p\n\n# domains: [a, b]\ndomains:\n  - a.test\n  - { name: www.a.test, redirect: a.test }\nmanager: builtin\n",
    );
    const noted = added.replace("  - a.test", "  # mine\n  - a.test # main");
    expect(addDomains(noted, [{ name: "*.b.test" }], "f")).toBe(
      noted.replace("redirect: a.test }\n", 'redirect: a.test }\n  - "*.b.test"\n'),
    );
    expect(removeDomains(noted, ["www.a.test"], "f")).toBe(
      noted.replace("  - { name: www.a.test, redirect: a.test }\n", ""),
    );
    expect(removeDomains(added, ["a.test", "www.a.test"], "f")).toBe(before);
    expect(addDomains("domains: [a.test]\nport: 1\n", [{ name: "b.test" }], "f")).toBe(
      "domains: [ a.test, b.test ]\nport: 1\n",
    );
    expect(() => addDomains("domains: 1\n", [{ name: "b.test" }], "f")).toThrow("domains is not a list");
  });
});
