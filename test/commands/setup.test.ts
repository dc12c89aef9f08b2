// dp setup: all in place before the first push, and nothing changed the second time.
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { addressLine, nextCommands } from "../../lib/commands/next.ts";
import { setup } from "../../lib/commands/setup.ts";
import type { DpError } from "../../lib/errors.ts";
import { places } from "../../lib/paths.ts";
import { envFile } from "../../lib/config/env-file.ts";
import { readServer } from "../../lib/config/server.ts";
import type { ServerConfig } from "../../lib/config/types.ts";
import { SELF } from "../../lib/host/self.ts";
import { listener } from "../../lib/host/process/process.ts";
import { loginName } from "../../lib/host/users.ts";
import { freePort, io, runDp, useServer } from "../support/core-server.ts";

const server = useServer();
let count = 0;
const name = () => `setup${++count}`;
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );
const builtin = async () => ({ manager: "builtin", port: await freePort() });

test("everything is made, and the second time nothing is to do", async () => {
  const app = name();
  const options = await builtin();
  const { changes, server: config } = await setup(app, options, io);
  expect(changes.length).toBeGreaterThan(3);
  expect(config).toMatchObject({ ...options, env: "production", branch: "main", gate: true });
  expect(statSync(places(app).config).mode & 0o777).toBe(0o600);
  expect(statSync(envFile(places(app).base, "production")).mode & 0o777).toBe(0o600);
  expect((await setup(app, {}, io)).changes).toEqual([]);
  expect((await setup(app, options, io)).changes).toEqual([]);
});

test("a change is made, said, and leaves the rest of config.yml alone", async () => {
  const app = name();
  await setup(app, await builtin(), io);
  const text = `${readFileSync(places(app).config, "utf8")}# a note of the operator\nkeep: 9\n`;
  writeFileSync(places(app).config, text);
  const port = await freePort();
  const { changes } = await setup(app, { port, branch: "live" }, io);
  expect(changes.join("\n")).toContain(`port is now ${port}, it was `);
  expect(changes.join("\n")).toContain("branch is now live, it was main");
  expect(readFileSync(places(app).config, "utf8")).toContain("# a note of the operator\nkeep: 9\n");
  expect(await readServer(places(app))).toMatchObject({ port, branch: "live", keep: 9 });
});

test.each([
  [{ for: "Bad_Name" }, '--for must be the name of an app, not "Bad_Name"'],
  [{ env: "a/b" }, '--env must be a lower-case word such as production, not "a/b"'],
  [{ branch: "../x" }, '--branch must be a branch name such as main, not "../x"'],
  [{ host: "nohost" }, '--host must be an IPv4 address such as 127.0.0.1, not "nohost"'],
])("an option that is no good, %p, is named as it was typed, and nothing is made", async (option, message) => {
  const app = name();
  expect(await errorOf(setup(app, { ...(await builtin()), ...option }, io))).toMatchObject({ exit: "usage", message });
  expect(existsSync(places(app).base)).toBe(false);
});

test("settings of the app are never overwritten, and are closed to others", async () => {
  const app = name();
  await setup(app, await builtin(), io);
  const path = envFile(places(app).base, "production");
  writeFileSync(path, "SECRET=kept\n");
  chmodSync(path, 0o644);
  await setup(app, {}, io);
  expect(readFileSync(path, "utf8")).toBe("SECRET=kept\n");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

describe("refused:", () => {
  test.each(["../x", "root", "Shop", "", "a b"])("the name %j, before anything is made", async (wrong) => {
    expect((await errorOf(setup(wrong, await builtin(), io)))?.exit).toBe("usage");
    expect(existsSync(server.path("opt/deployments", wrong || "none"))).toBe(false);
  });

  test("a port that another app has, with the next free one", async () => {
    const [one, two] = [name(), name()];
    const options = await builtin();
    await setup(one, options, io);
    const error = await errorOf(setup(two, options, io));
    expect([error?.exit, error?.message]).toEqual(["usage", `port ${options.port} belongs to the app "${one}"`]);
    expect(error?.hint).toMatch(/^the next free one is \d+$/);
    expect(existsSync(places(two).base)).toBe(false);
  });

  test("a manager that there is not", async () => {
    const error = await errorOf(setup(name(), { ...(await builtin()), manager: "systmd" }, io));
    expect([error?.exit, error?.hint]).toEqual(["usage", 'did you mean "systemd"?']);
  });

  test.each([
    ["env", "../../etc/x"],
    ["branch", "--force"],
    ["host", "localhost;id"],
    ["port", 0],
  ])("%s %j, before anything is made", async (key, value) => {
    const app = name();
    expect((await errorOf(setup(app, { ...(await builtin()), [key]: value }, io)))?.exit).toBe("usage");
    for (const path of [places(app).base, places(app).repo, places(app).logs]) expect(existsSync(path)).toBe(false);
  });

  test("a port that another program has, and config.yml is as it was", async () => {
    const [fresh, app] = [name(), name()];
    const { port, ...options } = await builtin();
    await setup(app, { ...options, port }, io);
    const before = readFileSync(places(app).config, "utf8");
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    try {
      for (const each of [fresh, app]) {
        const error = await errorOf(setup(each, { ...options, port: taken.port }, io));
        expect([error?.exit, error?.message]).toEqual([
          "host",
          expect.stringContaining(`cannot listen on port ${taken.port}`),
        ]);
      }
    } finally {
      taken.stop(true);
    }
    expect([existsSync(places(fresh).config), readFileSync(places(app).config, "utf8")]).toEqual([false, before]);
    await setup(app, options, io);
    expect((await readServer(places(app))).port).toBe(port);
  });

  test("a port of no use on the command line", async () => {
    const app = name();
    const { code, err } = await runDp(["setup", app, "--port", "0", "--manager", "builtin"]);
    expect([code, err]).toEqual([2, expect.stringContaining('--port must be a whole number from 1 to 65535, not "0"')]);
    expect(existsSync(places(app).base)).toBe(false);
  });

  test.each([
    ["a key that there is not", "colour: blue\n"],
    ["no YAML at all", "a: [\n"],
  ])("the port of an app whose config.yml has %s; any other is given", async (_, broken) => {
    const [one, two] = [name(), name()];
    const { port, ...options } = await builtin();
    await setup(one, { ...options, port }, io);
    writeFileSync(places(one).config, `port: ${port}\n${broken}`);
    const error = await errorOf(setup(two, { ...options, port }, io));
    expect([error?.exit, error?.message]).toEqual(["usage", `port ${port} belongs to the app "${one}"`]);
    const made = await setup(two, options, io);
    expect(made.server.port).not.toBe(port);
    expect((await readServer(places(two))).port).toBe(made.server.port);
  });

  test("an env file that cannot be read as one, with its place and without its values", async () => {
    const app = name();
    const path = envFile(places(app).base, "production");
    mkdirSync(places(app).base, { recursive: true });
    writeFileSync(path, "PASSWORD = hidden-value\n");
    const error = await errorOf(setup(app, await builtin(), io));
    expect(error?.exit).toBe("host");
    expect(error?.lines.join("\n")).toContain(`${path}:1`);
    expect(error?.lines.join("\n")).not.toContain("hidden-value");
  });
});

test("the words to type next name this server's folder, or the app's own commands when it was fetched", async () => {
  const app = name();
  const { server: config } = await setup(app, await builtin(), io);
  expect(nextCommands(app, config, {})).toEqual([
    `git remote add production ${places(app).repo}`,
    "git push production main",
    `DP_ROOT=${server.path()} dp status ${app}`,
  ]);
  expect(nextCommands(app, config, { isFetched: true })[0]).toBe(`DP_ROOT=${server.path()} dp deploy ${app}`);
});

test("what is next is no remote for a live app, and another remote for an app that runs once more", async () => {
  const app = name();
  const { server: config } = await setup(app, await builtin(), io);
  const dp = `DP_ROOT=${server.path()} dp`;
  const look = [`${dp} status ${app}`, `${dp} logs ${app}`];
  expect(nextCommands(app, config, { hasRelease: true })).toEqual(look);
  expect(nextCommands(app, config, { isFetched: true, hasRelease: true })).toEqual([`${dp} deploy ${app}`, ...look]);
  expect(nextCommands(app, { ...config, for: "shop" }, {}).slice(0, 2)).toEqual([
    `git remote add ${app} ${places(app).repo}`,
    `git push ${app} main`,
  ]);
});

test("on a server the remote has the address and the port of the login over ssh", () => {
  const before = { root: process.env["DP_ROOT"], login: process.env["SSH_CONNECTION"] };
  const remote = (login: string) => {
    process.env["SSH_CONNECTION"] = login;
    return nextCommands("shop", { branch: "main" } as ServerConfig, {})[0];
  };
  delete process.env["DP_ROOT"];
  try {
    const as = (address: string) => `git remote add production ssh://${loginName()}@${address}/var/repos/shop.git`;
    expect(remote("203.0.113.5 50000 192.0.2.1 22")).toBe(as("192.0.2.1"));
    expect(remote("203.0.113.5 50000 192.0.2.1 2222")).toBe(as("192.0.2.1:2222"));
    expect(remote("2001:db8::5 50000 2001:db8::1 2222")).toBe(as("[2001:db8::1]:2222"));
    expect(remote("")).toBe(as(hostname()));
  } finally {
    process.env["DP_ROOT"] = before.root!;
    if (before.login === undefined) delete process.env["SSH_CONNECTION"];
    else process.env["SSH_CONNECTION"] = before.login;
  }
});

test("it is said whether anybody outside reaches the app, as long as no other program does", async () => {
  const app = name();
  const { server: config } = await setup(app, await builtin(), io);
  const line = (more: Partial<ServerConfig>, isLive = false) => addressLine(app, { ...config, ...more }, isLive);
  // A web server on this very machine would make it reachable.
  const hasWeb = (await Promise.all([80, 443].map((port) => listener(port)))).flat().length > 0;
  if (!hasWeb) {
    const open = `to open it: DP_ROOT=${server.path()} dp setup ${app} --host 0.0.0.0, or a web server before it`;
    expect(await line({})).toBe(`will be live at http://127.0.0.1:${config.port} (this server only; ${open})`);
    expect(await line({}, true)).toStartWith(`live at http://127.0.0.1:${config.port} (this server only`);
  }
  expect(await line({ trustedProxies: ["127.0.0.1"] })).toBe(`will be live at http://127.0.0.1:${config.port}`);
  expect(await line({ host: "0.0.0.0" }, true)).toBe(`live at http://${hostname()}:${config.port}`);
});

const inside = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
const canUnshare = Bun.spawnSync([...inside, "ip", "link", "set", "lo", "up"]).exitCode === 0;
if (!canUnshare) console.warn("the ports of domains are left out: this user may not make a network");

test.skipIf(!canUnshare)(
  "dp's own relay for another app's domain does not open the app, but opens that one",
  () => {
    const root = server.path("named");
    mkdirSync(join(root, "etc/dp"), { recursive: true });
    writeFileSync(join(root, "etc/dp/tls.yml"), "http: 0.0.0.0:80\nhttps: 0.0.0.0:443\n");
    const script = `
    set -e
    ip link set lo up
    "$@" setup shop --manager builtin --port 8000
    "$@" domains shop add shop.lan
    "$@" setup shop
    "$@" setup other --manager builtin --port 8001`;
    const env = { PATH: process.env["PATH"] ?? "", DP_ROOT: root, HOME: root };
    const { stdout, stderr } = Bun.spawnSync([...inside, "sh", "-c", script, "sh", ...SELF], { env, cwd: "/" });
    const text = stdout.toString() + stderr.toString();
    expect(text).toMatch(/^will be live at https:\/\/shop\.lan$/m);
    expect(text).toMatch(/^will be live at http:\/\/127\.0\.0\.1:8001 \(this server only; to open it: /m);
  },
  60_000,
);

test("on the command line, changes and what is next are the answer", async () => {
  const app = name();
  const port = String(await freePort());
  const { code, out } = await runDp(["setup", app, "--port", port, "--manager", "builtin"]);
  expect(code).toBe(0);
  expect(out).toContain("checked: all in place");
  expect(out).toContain("next:\n  git remote add production ");
  expect((await runDp(["setup", app])).out).toContain("nothing to change");
  expect((await runDp(["setup", app, "--port", "eighty"])).code).toBe(2);
}, 30_000);
