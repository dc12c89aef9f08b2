// The system's users, as the user database has them and the environment does not.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { isListedIn } from "../../lib/host/passwd.ts";
import { idsOf, loginName, userExists, userOf } from "../../lib/host/users.ts";

test("root is 0 and 0; who is not there is the host's lack", async () => {
  expect(await idsOf("root")).toEqual([0, 0]);
  expect(await userExists("root")).toBe(true);
  for (const name of ["no-such-user", "", "roo"]) {
    expect(await userExists(name)).toBe(false);
    await expect(idsOf(name)).rejects.toThrow(`the system has no user "${name}"`);
  }
});

test("the login name is the uid's, whatever $USER says", () => {
  const before = process.env["USER"];
  process.env["USER"] = "somebody-else";
  const name = loginName();
  if (before === undefined) delete process.env["USER"];
  else process.env["USER"] = before;
  expect(name).toBe(
    Bun.spawnSync(["id", "-un"], { env: { PATH: process.env["PATH"] ?? "" } })
      .stdout.toString()
      .trim(),
  );
});

test("a user is in a group where /etc/group says so", () => {
  const lines = readFileSync("/etc/group", "utf8").trimEnd().split("\n");
  for (const [, , gid, members = ""] of lines.map((line) => line.split(":"))) {
    for (const member of members.split(",").filter(Boolean)) expect(isListedIn(Number(gid), member)).toBe(true);
    expect(isListedIn(Number(gid), "no-such-user")).toBe(false);
  }
});

test("an app's user is its own, and fits into what Linux allows", () => {
  expect(userOf("shop")).toBe("dp-shop");
  expect(userOf("x".repeat(28)).length).toBeLessThanOrEqual(32);
});
