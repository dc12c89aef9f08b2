// An app by the repository that is pushed to.
import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { basename } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import { appOfRepo } from "../../lib/release/app.ts";
import { makeApp, useServer } from "../support/core-server.ts";

const server = useServer();
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("the repository leads to its app, by any path; nothing else does", async () => {
  const app = await makeApp();
  expect((await appOfRepo(app.repo)).name).toBe(app.app);
  symlinkSync(app.repo, server.path("by-another-name"));
  expect((await appOfRepo(server.path("by-another-name"))).name).toBe(app.app);
  const stranger = server.path(`elsewhere/${basename(app.repo)}`);
  mkdirSync(stranger, { recursive: true });
  for (const repo of [stranger, `${app.repo}/hooks`, server.path("missing.git"), "."]) {
    const error = await errorOf(appOfRepo(repo));
    expect(error?.exit).toBe("usage");
    expect(error?.message).toContain("is not the repository of an app");
  }
});
