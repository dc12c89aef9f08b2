// `dp env APP set` while a deploy runs: it waits only for a deploy whose release it would restart.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { changeEnv } from "../../lib/commands/env.ts";
import { lockNow } from "../../lib/deploy/queue.ts";
import { envFile } from "../../lib/config/env-file.ts";
import { makeApp, runDp, useServer } from "../support/core-server.ts";

useServer();

test("without a live release it does not wait: a first deploy may hang for want of the setting", async () => {
  const app = await makeApp();
  const lock = await lockNow(app.own, "dp step build");
  try {
    const changed = await changeEnv(app.app, { TOKEN: "new" }, { json: true, restart: true });
    expect(changed).toMatchObject({ set: ["TOKEN"], restart: null });
    expect(readFileSync(envFile(app.base, "production"), "utf8")).toBe("TOKEN=new\n");
  } finally {
    lock.release();
  }
});

test("a name without a value, and nothing on stdin: the hint names the app", async () => {
  const app = await makeApp();
  const { code, err } = await runDp(["env", app.app, "set", "TOKEN"]);
  expect([code, err]).toEqual([2, expect.stringContaining(`→ dp env ${app.app} set TOKEN= sets it to an empty value`)]);
});

test.each(["list", "get TOKEN"])("--without leaves out nobody where nothing changes: %s", async (typed) => {
  const app = await makeApp();
  const { code, err } = await runDp(["env", app.app, ...typed.split(" "), "--without", "b"]);
  expect([code, err]).toEqual([2, expect.stringContaining("--without is for a change")]);
});
