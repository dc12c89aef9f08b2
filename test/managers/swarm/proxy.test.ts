// The configuration that leads to the tasks: HAProxy takes it, and what a commit says in it stays what it is.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Instance } from "../../../lib/contracts/manager.ts";
import { DpError } from "../../../lib/errors.ts";
import { proxyText } from "../../../lib/managers/swarm/proxy.ts";
import { deployConfig } from "../../support/configs.ts";

const folder = mkdtempSync(join(tmpdir(), "dp-proxy-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HAPROXY = Bun.which("haproxy", { PATH: "/usr/sbin:/usr/bin" });
const image = { Config: { ExposedPorts: { "8080/tcp": {} }, WorkingDir: "" } };

function instance(healthCheck: string, more: Partial<Instance> = {}): Instance {
  const config = deployConfig(`name: shop\ntype: docker\nhealthCheck: ${healthCheck}\n`);
  const own = { app: "shop", id: "1-aaaaaaa", folder: "/", command: "", user: undefined, stopTimeout: 1000 };
  return { ...own, config, env: { PORT: "4711" }, ...more };
}

/** What HAProxy says of a text; empty: it takes it. */
function complaints(text: string): string {
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, text);
  const env = { ENTRY: ":8000", STATE: "unix@/state", FIRST: "/none" };
  const checked = Bun.spawnSync([HAPROXY!, "-c", "-f", file], { env });
  return checked.exitCode === 0 ? "" : checked.stderr.toString();
}

test.skipIf(HAPROXY === null).each([
  ["a path", "/health", {}],
  [
    "statuses, a host and headers",
    '{path: /up, status: [200, 204], host: shop.example.com, headers: {X-Key: "a b#c"}}',
    {},
  ],
  ["signs that mean something to HAProxy", "/a%5Bb%5D?x=%24HOME&y=1", {}],
  ["tcp", "/health", { protocol: "tcp" }],
] as const)("HAProxy takes %s", async (_, check, more) => {
  const text = await proxyText(instance(check, more), image);
  expect(complaints(text)).toBe("");
  expect(text).toContain("tasks.shop-1-aaaaaaa");
  expect(text).toContain(":8080 resolvers docker");
});

test("a text that cannot be one word is refused, and never becomes lines of its own", async () => {
  const made = instance('{path: /health, headers: {X-Key: "it\'s"}}');
  const error = await proxyText(made, image).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DpError);
  expect(error).toMatchObject({ exit: "config", message: expect.stringContaining("cannot be sent by HAProxy") });
});
