// What a push reads before git has received it: all of it can be read, and nothing on the server changes.
import { beforeEach, expect, test } from "bun:test";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rehearse } from "../../lib/deploy/rehearsal.ts";
import { isListed } from "../../lib/git/entries.ts";
import { load, save } from "../../lib/pipeline/run-file.ts";
import { commit, makeApp, useServer, type App } from "../support/core-server.ts";
import { makeLive } from "../support/core-release.ts";

const server = useServer();
const idle = () => true;
let app: App;
let sha: string;
beforeEach(async () => {
  app = await makeApp();
  sha = await commit(app.repo, { "deploy.yml": `name: ${app.app}\ntype: python\nhealthCheck: /\ncommand: ./serve\n` });
});

async function makeServing(): Promise<void> {
  const { context } = await makeLive(app, 1);
  const run = await load(context);
  await save(context, { ...run, facts: { ...run.facts, sha, group: null } });
}

/** Every file of the server but the output of apps, which run on; with when it was last changed. */
const files = () =>
  readdirSync(server.path(), { recursive: true, encoding: "utf8" })
    .filter((name) => !name.endsWith(".app.log"))
    .map((name) => [name, statSync(server.path(name), { throwIfNoEntry: false })?.mtimeMs])
    .sort();

test("the live release is read, and nothing changes", async () => {
  await makeServing();
  const before = files();
  await rehearse(app.own, new AbortController().signal, idle);
  expect(isListed(app.repo, sha)).toBeTrue();
  expect(files()).toEqual(before);
});

test("as soon as git asks, nothing more is read", async () => {
  await makeServing();
  const asked = AbortSignal.abort();
  expect(await rehearse(app.own, asked, idle).catch((error: Error) => error.name)).toBe("AbortError");
  expect(isListed(app.repo, sha)).toBeFalse();
});

test("while every processor is busy nothing is read", async () => {
  await makeServing();
  await rehearse(app.own, new AbortController().signal, () => false);
  expect(isListed(app.repo, sha)).toBeFalse();
});

test("without a live release there is nothing to rehearse", async () => {
  await rehearse(app.own, new AbortController().signal, idle);
  expect(isListed(app.repo, sha)).toBeFalse();
});

test("what cannot be read is left to the deploy, which says so", async () => {
  await makeServing();
  const path = join(app.base, "config.yml");
  writeFileSync(path, `${readFileSync(path, "utf8")}nonsense: 1\n`);
  const error = await rehearse(app.own, new AbortController().signal, idle).catch((thrown: Error) => thrown);
  expect(error?.message).toContain("config.yml: 1 problem");
});
