// swap: one rename decides; done twice nothing changes, undone all is as before.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { load } from "../../lib/pipeline/run-file.ts";
import type { Front } from "../../lib/contracts/front.ts";
import { DpError } from "../../lib/errors.ts";
import none from "../../lib/fronts/none.ts";
import { point, target } from "../../lib/host/link.ts";
import builtin from "../../lib/managers/builtin.ts";
import { endInstances, io, makeApp, runSteps, undo, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp();
});
afterEach(() => endInstances(app.app));

const links = async () => [await target(app.current), await target(app.previous)];
const previousFact = async (context: string) => (await load(context)).facts["previous"];

test("the first swap has no previous; undone there is no current", async () => {
  const { release, context } = await makeRelease(app, 1);
  await runSteps(context, "start", "check", "swap");
  expect(await links()).toEqual([release, null]);
  expect(await previousFact(context)).toBeNull();
  await runSteps(context, "swap");
  expect(await links()).toEqual([release, null]);
  expect(await previousFact(context)).toBeNull();
  await undo("swap", context);
  expect(await links()).toEqual([null, null]);
  await undo("swap", context);
  expect(await links()).toEqual([null, null]);
});

/** Releases 1 and 2 of the past, 2 live, and 3 started and healthy. */
async function third() {
  const first = await makeRelease(app, 1, { state: "good" });
  const second = await makeLive(app, 2);
  await point(app.previous, first.release);
  const made = await makeRelease(app, 3);
  await runSteps(made.context, "start", "check");
  return { first: first.release, second: second.release, third: made.release, context: made.context };
}

test("previous is what current named, the second time as well", async () => {
  const { second, third: release, context } = await third();
  await runSteps(context, "swap");
  expect(await links()).toEqual([release, second]);
  await runSteps(context, "swap");
  expect(await links()).toEqual([release, second]);
  expect(await previousFact(context)).toBe(second);
});

test("undone, both links are as before, twice as well", async () => {
  const { first, second, context } = await third();
  await runSteps(context, "swap");
  await undo("swap", context);
  expect(await links()).toEqual([second, first]);
  await undo("swap", context);
  expect(await links()).toEqual([second, first]);
});

test("cut off between the two links, it can be done and undone", async () => {
  const { first, second, third: release, context } = await third();
  await point(app.current, release);
  await undo("swap", context);
  expect(await links()).toEqual([second, first]);
  await point(app.current, release);
  await runSteps(context, "swap");
  expect(await links()).toEqual([release, second]);
  expect(await previousFact(context)).toBe(second);
});

test("an instance that ended after the check is not switched to", async () => {
  const { first, second, context } = await third();
  await builtin.stop({ app: app.app, id: "3-aaaaaaa" }, io);
  const error = (await runSteps(context, "swap").catch((thrown: unknown) => thrown)) as DpError;
  expect(error.exit).toBe("unhealthy");
  expect(await links()).toEqual([second, first]);
});

test("a folder named current is refused, and nothing is changed", async () => {
  const { context } = await makeRelease(app, 1);
  await runSteps(context, "start", "check");
  mkdirSync(app.current);
  const error = (await runSteps(context, "swap").catch((thrown: unknown) => thrown)) as DpError;
  expect(error.exit).toBe("host");
  expect(error.hint).toContain("mv ");
  expect(await target(app.previous)).toBeNull();
});

test.each(["deploy", "rollback"] as const)("a server that the front cannot prepare, in a %s", async (kind) => {
  const { release, context } = await makeRelease(app, 1, { kind });
  await runSteps(context, "start", "check");
  const front: Front = none;
  front.prepare = async () => {
    throw new DpError("command", "the service shop-blue does not start on web2");
  };
  try {
    const swapped = await runSteps(context, "swap").catch((thrown: unknown) => (thrown as DpError).message);
    const said = "the service shop-blue does not start on web2";
    if (kind === "deploy") expect(swapped).toBe(said);
    else expect(swapped).toContain(`  ! ${said}`);
    expect(await target(app.current)).toBe(kind === "deploy" ? null : release);
  } finally {
    delete front.prepare;
  }
});
