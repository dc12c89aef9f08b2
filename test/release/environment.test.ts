// The environment of builds, hooks and the app: built up from nothing, later sources winning.
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { appEnvironment } from "../../lib/release/environment.ts";
import { places, SYSTEM_PATH } from "../../lib/paths.ts";
import { envFile } from "../../lib/config/env-file.ts";
import { appOf } from "../../lib/release/app.ts";
import type { Runtime } from "../../lib/contracts/app-type.ts";
import { useServer } from "../support/core-server.ts";
import type { ServerConfig } from "../../lib/config/types.ts";

useServer();
const server: ServerConfig = {
  ...{ port: 8000, manager: "builtin", env: "production", branch: "main", host: "127.0.0.1", keep: 5, keepLogs: 200 },
  ...{ servers: {}, roles: {} },
  instances: 1,
  settings: {},
  domains: [],
  tls: { http: "redirect", hsts: 0 },
  ...{ strategy: "restart", front: "none", protocol: "http", trustedProxies: [], gate: true },
  ...{ stopTimeout: 1, stepTimeout: 1, verifyTime: 0, drainTimeout: 1, holdTimeout: 1, keepWarm: 0, scale: {} },
};
const environment = async (more: Partial<ServerConfig> = {}, env = "", runtime?: Runtime) => {
  const { base, releases } = places("shop");
  mkdirSync(base, { recursive: true });
  writeFileSync(envFile(base, "production"), env);
  const origin = {
    app: await appOf({ app: "shop", server: { ...server, ...more } }),
    sha: "f".repeat(40),
    release: join(releases, "42-3f9c2ab"),
  };
  return appEnvironment(origin, runtime);
};

test("without anything else it is exactly this", async () => {
  process.env["LEAKED"] = "yes";
  expect(await environment()).toEqual({
    ...{ LANG: "C.UTF-8", PATH: SYSTEM_PATH, HOME: places("shop").home, PORT: "8000", DP_HOST: "127.0.0.1" },
    ...{
      DP_APP: "shop",
      DP_RELEASE: "42-3f9c2ab",
      DP_COMMIT: "f".repeat(40),
      GIT_REV: "f".repeat(40),
      DP_ENV: "production",
    },
  });
  delete process.env["LEAKED"];
});

test("the runtime's variables give way to the env file, and its folders come first on PATH", async () => {
  const runtime = {
    path: ["/venv/bin", "/other/bin"],
    env: { LANG: "de_DE", ONE: "runtime", TWO: "runtime" },
    dependencies: null,
  };
  const found = await environment({ path: "/usr/bin" }, "TWO=file\nTHREE='a b'\n", runtime);
  expect(found).toMatchObject({
    LANG: "de_DE",
    ONE: "runtime",
    TWO: "file",
    THREE: "a b",
    PATH: "/venv/bin:/other/bin:/usr/bin",
  });
});

test.each(["PATH=/x", "PORT=1", "HOME=/x", "DP_APP=other", "GIT_DIR=/x", "LD_PRELOAD=/x.so"])(
  "%s in the env file is refused",
  async (line) => {
    await expect(environment({}, `${line}\n`)).rejects.toThrow("1 problem");
  },
);

test("no runtime can take what is dp's own", async () => {
  const runtime = { path: [], env: { PORT: "1", HOME: "/x", DP_APP: "other", PATH: "/x" }, dependencies: null };
  expect(await environment({}, "", runtime)).toMatchObject({
    PORT: "8000",
    HOME: places("shop").home,
    DP_APP: "shop",
    PATH: SYSTEM_PATH,
  });
});
