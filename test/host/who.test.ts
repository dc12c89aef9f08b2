// Who types this, as the audit log and every deploy name them.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connectionOf } from "../../lib/host/process/connection.ts";
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
});

test("behind sudo the name is sudo's, and nothing counts that the user says of the login", async () => {
  const program = `
    const { who } = await import(${JSON.stringify(resolve(import.meta.dir, "../../lib/host/who.ts"))});
    console.log(JSON.stringify(who()));
  `;
  writeFileSync(join(folder, "auth"), "publickey ssh-ed25519 AAAA\n");
  const said = { SSH_CONNECTION: "203.0.113.5 50000 192.0.2.1 22", SSH_USER_AUTH: join(folder, "auth"), DP_KEY: "bob" };
  const env = { PATH: process.env["PATH"] ?? "", SUDO_USER: "ann", ...said };
  const shell = Bun.spawn(["sh", "-c", '"$@"; true', "sh", process.execPath, "-e", program], { env, stdout: "pipe" });
  expect(JSON.parse(await shell.stdout.text())).toEqual({ by: "ann" });
});

test("the connection of a process is what the kernel knows", async () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const words = `import socket, sys; s = socket.create_connection(("127.0.0.1", ${server.port})); print(*s.getsockname(), flush=True); sys.stdin.read()`;
  const client = Bun.spawn(["python3", "-c", words], { stdin: "pipe", stdout: "pipe" });
  try {
    const { value } = await client.stdout.getReader().read();
    const own = new TextDecoder().decode(value).trim();
    expect(connectionOf(client.pid)).toBe(`127.0.0.1 ${server.port} ${own}`);
    expect(connectionOf(1)).toBe(null);
  } finally {
    client.kill();
    server.stop(true);
  }
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
