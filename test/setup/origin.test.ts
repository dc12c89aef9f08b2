// The repository that an app's own is fetched from: by a path, and over HTTP with a password that others cannot read.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import { plainEnv } from "../../lib/host/run.ts";
import type { NamedApp } from "../../lib/contracts/app.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { addressOf, fetchFrom, fetchOrigin, hasCredentials } from "../../lib/setup/origin.ts";
import { repositoryDrift, setupRepository } from "../../lib/setup/repository.ts";
import { watchArguments } from "../support/argv-watch.ts";
import { commit, io, useServer } from "../support/core-server.ts";

const server = useServer();
const PASSWORD = "tok%2Fen-4711-of-nobody";
let app: NamedApp;
let repo: string;
let origin: string;
let count = 0;
beforeEach(async () => {
  app = namedApp(`origin${++count}`);
  repo = app.places.repo;
  origin = server.path(`${app.name}-origin.git`);
  await io.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", origin]);
  await setupRepository(app, "main", io);
});
const git = (...words: string[]) =>
  Bun.spawnSync(["git", "--git-dir", repo, ...words], { env: plainEnv() })
    .stdout.toString()
    .trim();
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );
const branch = () => git("rev-parse", "refs/heads/main");

describe("by a path:", () => {
  test("it is fetched from, remembered, and fetched again", async () => {
    const first = await commit(origin, { a: "1" });
    expect(await fetchOrigin(app, "main", io)).toBe(false);
    expect(await fetchFrom(app, origin, "main", io)).toBe(origin);
    expect(branch()).toBe(first);
    const second = await commit(origin, { a: "2" });
    expect(await fetchOrigin(app, "main", io)).toBe(true);
    expect(branch()).toBe(second);
  });

  test.each(["/no/such/repository", "ext::sh -c touch% /tmp/never", "--upload-pack=touch /tmp/never"])(
    "%s is git's failure, and runs nothing",
    async (url) => {
      expect((await errorOf(fetchFrom(app, url, "main", io)))?.exit).toBe("command");
      expect(existsSync("/tmp/never")).toBe(false);
    },
  );
});

describe("by HTTP:", () => {
  const wanted = `Basic ${btoa(`robot:${decodeURIComponent(PASSWORD)}`)}`;
  /** git's files as they lie there, for who knows the password. */
  const http = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      if (request.headers.get("authorization") !== wanted)
        return new Response("who?", { status: 401, headers: { "www-authenticate": "Basic realm=git" } });
      const file = server.path(new URL(request.url).pathname.slice(1));
      return existsSync(file) ? new Response(Bun.file(file)) : new Response("none", { status: 404 });
    },
  });
  afterAll(() => http.stop(true));
  const host = `127.0.0.1:${http.port}`;
  const published = async (files: Record<string, string>) => {
    const sha = await commit(origin, files);
    await io.run(["git", "--git-dir", origin, "update-server-info"]);
    return sha;
  };

  test("the password is in a file for dp alone: in no setting, answer or argument, and is used again", async () => {
    const first = await published({ a: "1" });
    const url = `http://${host}/${app.name}-origin.git`;
    const watching = watchArguments(decodeURIComponent(PASSWORD));
    expect(await fetchFrom(app, url.replace("//", `//robot:${PASSWORD}@`), "main", io)).toBe(url);
    expect(branch()).toBe(first);
    const second = await published({ a: "2" });
    expect(await fetchOrigin(app, "main", io)).toBe(true);
    expect(branch()).toBe(second);
    // The same address, typed without the password, is the same address.
    expect(await fetchFrom(app, url, "main", io)).toBe(url);
    expect(await watching.stop()).toEqual([]);
    expect(git("config", "remote.origin.url")).toBe(url);
    const file = join(repo, "dp-credentials");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toBe("username=robot\npassword=tok/en-4711-of-nobody\n");
  });

  test("a wrong one fails, and is not forgotten for it", async () => {
    await published({ a: "1" });
    const url = `http://robot:wrong@${host}/${app.name}-origin.git`;
    const error = await errorOf(fetchFrom(app, url, "main", io));
    expect(error?.exit).toBe("command");
    expect([error?.message, ...(error?.lines ?? [])].join("\n")).not.toContain("wrong");
    expect(readFileSync(join(repo, "dp-credentials"), "utf8")).toContain("password=wrong");
  });

  test("one that an earlier dp left in git's settings is taken out by setup, and by the next fetch", async () => {
    const sha = await published({ a: "1" });
    const url = `http://${host}/${app.name}-origin.git`;
    const before = url.replace("//", `//robot:${PASSWORD}@`);
    git("config", "remote.origin.url", before);
    const path = `${repo}/config`;
    const what = `${path} has a password, in the address of origin`;
    expect(await repositoryDrift(app, io)).toEqual([{ path, kind: "changed", what }]);
    expect(await setupRepository(app, "main", io)).toEqual([`removed the password of origin from ${repo}/config`]);
    expect(git("config", "remote.origin.url")).toBe(url);
    expect(await repositoryDrift(app, io)).toEqual([]);
    git("config", "remote.origin.url", before);
    expect(await fetchOrigin(app, "main", io)).toBe(true);
    expect([branch(), await hasCredentials(app)]).toEqual([sha, false]);
  });

  test("another address does not get the password of the one before", async () => {
    await published({ a: "1" });
    await fetchFrom(app, `http://robot:${PASSWORD}@${host}/${app.name}-origin.git`, "main", io);
    writeFileSync(server.path("plain"), "");
    const error = await errorOf(fetchFrom(app, `http://${host}/other.git`, "main", io));
    expect(error?.exit).toBe("command");
    expect(existsSync(join(repo, "dp-credentials"))).toBe(false);
  });
});

test.each([
  ["https://host/a.git", "https://host/a.git", null],
  ["https://me@host/a.git", "https://me@host/a.git", null],
  ["https://me:p%40ss@host:8443/a.git", "https://host:8443/a.git", "username=me\npassword=p@ss\n"],
  ["HTTPS://x:100%@host/a.git", "HTTPS://host/a.git", "username=x\npassword=100%\n"],
  ["https://:token@host/a.git", "https://host/a.git", "username=\npassword=token\n"],
  ["ssh://git@host/a.git", "ssh://git@host/a.git", null],
  ["https://host/a@b:c@d.git", "https://host/a@b:c@d.git", null],
])("%s is %s and %p", (text, url, credentials) => {
  expect(addressOf(text)).toEqual({ url, credentials });
});

test("a line break in a password is refused", () => {
  expect(() => addressOf("https://me:a%0Ahost=evil@host/a.git")).toThrow(/line break/);
});
