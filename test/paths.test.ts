// Paths, and the gate by which a name reaches them.
import { afterEach, describe, expect, test } from "bun:test";
import { DpError } from "../lib/errors.ts";
import { appName, deployments, places, repositories, root } from "../lib/paths.ts";
import { envFile } from "../lib/config/env-file.ts";

const before = process.env["DP_ROOT"];
afterEach(() => {
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
});

describe("the name of an app", () => {
  test.each(["a", "shop", "my-api", "a1", "a-1-b", "x".repeat(28)])("may be %s", (name) => {
    expect(appName(name)).toBe(name);
  });

  test.each([
    ...["", " ", "1a", "-a", "a-", "a--b", "A", "Shop", "ä", "a_b", "a.b", "a/b", "../a", "a b", "a\n", "\na", "a\0"],
    ...["a@b", "a%i", "a$b", "a;b", "--host=x", "x".repeat(29), "shop.git", "*"],
  ])("may not be %j", (name) => {
    expect(() => appName(name)).toThrow(DpError);
    expect(() => places(name)).toThrow("must start with a lower-case letter");
  });

  test.each([
    "root",
    "ssh",
    "sshd",
    "systemd",
    "dp",
    "user",
    "getty",
    "dbus",
    "git",
    "haproxy",
    "notify",
    "relay",
    "static",
  ])("may not be %s", (name) => {
    expect(() => appName(name)).toThrow("is reserved");
  });
});

test.each([
  [undefined, ""],
  ["", ""],
  ["/srv/try", "/srv/try"],
  ["/srv/try//", "/srv/try"],
])("DP_ROOT %j puts everything under %j", (value, expected) => {
  if (value === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = value;
  expect(root()).toBe(expected);
  expect([deployments(), repositories()]).toEqual([`${expected}/opt/deployments`, `${expected}/var/repos`]);
  const found = places("shop");
  expect(found).toMatchObject({
    base: `${expected}/opt/deployments/shop`,
    repo: `${expected}/var/repos/shop.git`,
    current: `${expected}/opt/deployments/shop/current`,
    logs: `${expected}/var/log/deployments/shop`,
  });
  for (const path of Object.values(found).slice(1)) expect(path).toStartWith(`${expected}/`);
  expect(envFile(found.base, "production")).toBe(`${expected}/opt/deployments/shop/.env.production`);
});

test("a relative DP_ROOT is refused: it would mean another folder for every process", () => {
  process.env["DP_ROOT"] = "srv";
  expect(() => root()).toThrow("DP_ROOT must be an absolute path");
});
