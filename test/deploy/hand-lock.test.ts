// The lock by hand, as the deploy whose turn comes sees it.
import { beforeEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import { isLocked } from "../../lib/host/lock.ts";
import type { NamedApp } from "../../lib/contracts/app.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { describeHandLock, handLock, lockByHand, requireUnlocked, unlockByHand } from "../../lib/deploy/hand-lock.ts";
import { queueFile } from "../../lib/release/history.ts";
import { takeTurn } from "../../lib/deploy/queue.ts";
import { useServer } from "../support/core-server.ts";

useServer();
let app: NamedApp;
let count = 0;
beforeEach(() => {
  app = namedApp(`hand${++count}`);
  mkdirSync(app.places.base, { recursive: true });
});
const file = () => join(app.places.base, "locked.json");
const never = new AbortController().signal;
const take = (force = false) =>
  takeTurn(app, { id: "1-aaaaaaa", kind: "deploy", by: "somebody", force }, () => undefined, never);
const errorOf = async (work: () => unknown) => {
  try {
    await work();
    return null;
  } catch (error) {
    return error as DpError;
  }
};

test("holds until it is taken away, of this app alone, and leaves one file", async () => {
  expect([handLock(app), await unlockByHand(app)]).toEqual([null, null]);
  const made = await lockByHand(app, "why");
  expect(handLock(app)).toEqual(made);
  expect(readdirSync(app.places.base)).toEqual(["locked.json"]);
  expect(() => requireUnlocked(namedApp("other"))).not.toThrow();
  const error = await errorOf(() => requireUnlocked(app));
  expect([error?.exit, error?.hint]).toEqual(["locked", `dp unlock ${app.name}`]);
  expect(error?.message).toBe(`${app.name} is locked by ${describeHandLock(made)}`);
  expect(await unlockByHand(app)).toEqual(made);
  expect([handLock(app), readdirSync(app.places.base)]).toEqual([null, []]);
});

test("is not replaced by a second one", async () => {
  const first = await lockByHand(app, "first");
  expect((await errorOf(() => lockByHand(app, "second")))?.exit).toBe("locked");
  expect(handLock(app)).toEqual(first);
  expect(readdirSync(app.places.base)).toEqual(["locked.json"]);
});

test.each(["", "{", "[]", '{"by":1}', "null"])("holds as %j, too: a damaged one frees nobody", async (text) => {
  writeFileSync(file(), text);
  expect((await errorOf(() => requireUnlocked(app)))?.message).toContain("locked.json is damaged");
  expect(await unlockByHand(app)).not.toBeNull();
  expect(handLock(app)).toBeNull();
});

test("refuses a deploy when its turn comes, which then holds nothing and waits for nothing", async () => {
  await lockByHand(app, null);
  expect((await errorOf(() => take()))?.exit).toBe("locked");
  expect(isLocked(app.places.lock)).toBe(false);
  expect(readdirSync(join(queueFile(app, "1-aaaaaaa"), ".."))).toEqual([]);
  (await take(true)).release();
});
