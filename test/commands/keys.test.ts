// `dp keys` without root's rights over a server: mistakes are told first, and nothing is made.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { newKeyPair } from "../../lib/access/new-key.ts";
import { makeApp, runDp, useServer } from "../support/core-server.ts";

const server = useServer();
const { blob, type } = newKeyPair("ann").public;

test("mistakes are those of the command line, and keys need a whole server", async () => {
  const { app } = await makeApp();
  const file = server.path("ann.pub");
  await Bun.write(file, `${type} ${blob} ann@laptop\n`);
  const cases: [words: string[], code: number, text: string][] = [
    [["add"], 2, "whose key?"],
    [["add", "ann", "--app", app], 2, "in which role?"],
    [["add", "ann", "--role", "push"], 2, "which app is ann for?"],
    [["add", "ann", "--app", app, "--role", "pusher", file], 2, 'did you mean "push"'],
    [
      ["add", "ann", "--app", app, "--role", "view,push", file],
      2,
      'unknown role "view,push"; the roles are view, push',
    ],
    [["add", "ann", "--app", "nope", "--role", "push", file], 2, 'there is no app "nope"'],
    [["add", "Ann", "--app", app, "--role", "push", file], 2, "the name of a key"],
    [["add", "ann", "--app", app, "--role", "push", "/nowhere"], 2, "there is no file /nowhere"],
    [["add", "ann", "--app", app, "--role", "push"], 2, "there is no key"],
    [["ad", "ann"], 2, 'did you mean "add"'],
    [["allow", "ann", "--role", "push"], 2, "which app?"],
    [["add", "ann", "--app", app, "--role", "push", file], 8, "dp keys needs root"],
    [["new", "ci", "--app", app, "--role", "push"], 8, "dp keys needs root"],
    [["allow", "ann", app, "--role", "push"], 8, "dp keys needs root"],
    [["allow", "ann", app, "--role", "operate,server"], 8, "dp keys needs root"],
    [["deny", "ann", app], 8, "dp keys needs root"],
    [["remove", "ann"], 8, "dp keys needs root"],
  ];
  for (const [words, code, text] of cases) {
    const answer = await runDp(["keys", ...words]);
    expect([words, answer.code, answer.err]).toEqual([words, code, expect.stringContaining(text)]);
  }
  expect(existsSync(join(server.path("var"), "lib/dp/keys.json"))).toBe(false);
  expect(await runDp(["keys", "--json"])).toMatchObject({ code: 0, out: "[]\n" });
  expect((await runDp(["ssh-keys:add", "ann"])).err).toContain("→ dp keys add NAME --app APP --role push < FILE.pub");
}, 60_000);
