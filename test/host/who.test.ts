// Who types this, as the audit log and every deploy name them.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loginName } from "../../lib/host/users.ts";
import { loginEnv, serverOfLogin, starter, who } from "../../lib/host/who.ts";

const NAMES = ["SUDO_USER", "SSH_CONNECTION", "SSH_USER_AUTH", "DP_BY"];
const before = NAMES.map((name) => [name, process.env[name]] as const);
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-who-"));
  for (const name of NAMES) delete process.env[name];
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

test("the login name, and where from", () => {
  expect(who()).toEqual({ by: loginName() });
  process.env["SSH_CONNECTION"] = "203.0.113.5 50000 192.0.2.1 22";
  expect(starter()).toBe(`${loginName()}@203.0.113.5`);
  process.env["SUDO_USER"] = "ann";
  expect(starter()).toBe("ann@203.0.113.5");
});

test("behind sudo, which keeps nothing of it, where from is what the shell above knows", async () => {
  const program = `
    const { starter } = await import(${JSON.stringify(resolve(import.meta.dir, "../../lib/host/who.ts"))});
    console.log(starter());
  `;
  const inner = [process.execPath, "-e", program];
  const line = `env -i SUDO_USER=ann PATH="$PATH" "$@"; true`;
  const env = { PATH: process.env["PATH"] ?? "", SSH_CONNECTION: "203.0.113.5 50000 192.0.2.1 22" };
  const shell = Bun.spawn(["sh", "-c", line, "sh", ...inner], { env, stdout: "pipe" });
  expect(await shell.stdout.text()).toBe("ann@203.0.113.5\n");
});

describe("the server's side of the login, for the address of its repositories", () => {
  test.each([
    ["203.0.113.5 50000 192.0.2.1 22", "192.0.2.1", 22],
    ["203.0.113.5 50000 192.0.2.1 2222", "192.0.2.1", 2222],
    ["192.168.1.5 50000 192.168.1.9 22", "192.168.1.9", 22],
    ["127.0.0.1 50000 127.0.0.1 2201", "127.0.0.1", 2201],
    ["2001:db8::5 50000 2001:db8::1 22", "[2001:db8::1]", 22],
    // Behind a router the server does not know the address that the client used.
    ["203.0.113.5 50000 10.0.0.4 22", hostname(), 22],
    ["203.0.113.5 50000 172.31.9.1 22", hostname(), 22],
    ["fe80::5%eth0 50000 fe80::1%eth0 22", hostname(), 22],
  ])("%s", (connection, address, port) => {
    process.env["SSH_CONNECTION"] = connection;
    expect(serverOfLogin()).toEqual({ address, port });
  });

  test.each([[undefined], [""], ["nonsense"], ["a b c d"]])("%j is none", (connection) => {
    if (connection !== undefined) process.env["SSH_CONNECTION"] = connection;
    expect(serverOfLogin()).toBe(null);
  });
});

test("what dp begins by itself is the system's, and what it starts for somebody is theirs", () => {
  process.env["SSH_CONNECTION"] = "203.0.113.5 50000 192.0.2.1 22";
  process.env["SUDO_USER"] = "ann";
  const mine = loginEnv();
  expect(mine).toEqual({ SUDO_USER: "ann", SSH_CONNECTION: process.env["SSH_CONNECTION"] });
  process.env["DP_BY"] = "system";
  expect(who()).toEqual({ by: "system" });
  expect(loginEnv()).toEqual({ ...mine, DP_BY: "system" });
});

test("the ssh key as ssh-keygen prints it, when sshd tells of it", () => {
  const key = join(folder, "key");
  expect(Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]).exitCode).toBe(0);
  const [type, blob] = readFileSync(`${key}.pub`, "utf8").split(" ");
  const auth = join(folder, "auth");
  process.env["SSH_USER_AUTH"] = auth;
  expect(who().key).toBeUndefined();
  writeFileSync(auth, `password\npublickey ${type} ${blob}\n`);
  const [, print] = Bun.spawnSync(["ssh-keygen", "-l", "-f", `${key}.pub`])
    .stdout.toString()
    .split(" ");
  expect(who().key).toBe(print!);
  writeFileSync(auth, "password\n");
  expect(who().key).toBeUndefined();
});
