// Paths, and the gate by which a name reaches them.
import { afterEach, describe, expect, test } from "bun:test";
import { DpError } from "../lib/errors.ts";
import {
  appName,
  compareInstances,
  deployments,
  envFile,
  instanceId,
  isInstanceId,
  isJob,
  isReleaseId,
  isWeb,
  jobId,
  places,
  processOf,
  releaseOf,
  repositories,
  root,
  sequenceOf,
} from "../lib/paths.ts";

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

  test.each(["root", "ssh", "sshd", "systemd", "dp", "user", "getty", "dbus"])("may not be %s", (name) => {
    expect(() => appName(name)).toThrow("is reserved");
  });
});

test.each([
  ["42-3f9c2ab", true],
  ["1-0000000", true],
  ["999999999-fffffff", true],
  ...["0-3f9c2ab", "042-3f9c2ab", "42-3F9C2AB", "42-3f9c2a", "42-3f9c2abc", "42", "-3f9c2ab", "1e3-3f9c2ab"].map(
    (id) => [id, false] as const,
  ),
  ...["42-3f9c2ab\n", " 42-3f9c2ab", "../42-3f9c2ab", "42-3f9c2ab/..", "1000000000-3f9c2ab", ""].map(
    (id) => [id, false] as const,
  ),
])("%j is a release: %p", (id, expected) => expect(isReleaseId(id)).toBe(expected));

test.each([
  ["42-3f9c2ab", true],
  ["42-3f9c2ab.worker.1", true],
  ["42-3f9c2ab.Worker_2-x.100", true],
  ["42-3f9c2ab.cron.cleanup", true],
  ["42-3f9c2ab.cron.1", false],
  ["42-3f9c2ab.web.1", false],
  ["42-3f9c2ab.release.1", false],
  ["42-3f9c2ab.worker", false],
  ["42-3f9c2ab.worker.0", false],
  ["42-3f9c2ab.worker.1000", false],
  ["42-3f9c2ab.worker.1.sh", false],
  ["42-3f9c2ab.1worker.1", false],
  ["42-3f9c2ab.wor ker.1", false],
  ["42-3f9c2ab.wor/ker.1", false],
  ["42-3f9c2ab.worker.1\n", false],
  ["42-3f9c2ab.state", false],
  [`42-3f9c2ab.${"w".repeat(29)}.1`, false],
])("%j is an instance: %p", (id, expected) => expect(isInstanceId(id)).toBe(expected));

test.each([
  ["42-3f9c2ab", "42-3f9c2ab", "web.1", true, false],
  ["42-3f9c2ab.worker.2", "42-3f9c2ab", "worker.2", false, false],
  ["42-3f9c2ab.cron.cleanup", "42-3f9c2ab", "cron.cleanup", false, true],
])("%s is of %s, %s", (id, release, process, web, job) =>
  expect([releaseOf(id), processOf(id), isWeb(id), isJob(id)]).toEqual([release, process, web, job]),
);

test("instances are named by release, process and number, and stand in that order", () => {
  const ids = [
    instanceId("12-aaaaaaa", "worker", 10),
    instanceId("12-aaaaaaa", "worker", 2),
    instanceId("12-aaaaaaa", "web", 1),
  ];
  const all = [...ids, jobId("12-aaaaaaa", "cleanup"), "2-bbbbbbb"].sort(compareInstances);
  expect(all).toEqual([
    "2-bbbbbbb",
    "12-aaaaaaa",
    "12-aaaaaaa.cron.cleanup",
    "12-aaaaaaa.worker.2",
    "12-aaaaaaa.worker.10",
  ]);
});

test("the number of a release", () => expect(sequenceOf("42-3f9c2ab")).toBe(42));

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
