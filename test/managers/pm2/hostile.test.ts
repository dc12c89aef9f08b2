// A daemon that is not pm2's: its socket is the app's, and so is every word of it.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { DpError } from "../../../lib/errors.ts";
import { homeOf } from "../../../lib/managers/pm2/home.ts";
import { listed, listing } from "../../../lib/managers/pm2/listing.ts";
import { call, frame } from "../../../lib/managers/pm2/rpc.ts";
import { statusFrom } from "../../../lib/managers/pm2/status.ts";

const NAME = { app: "shop", id: "1-aaaaaaa" };
const before = process.env["DP_ROOT"];
let folder: string;
let daemon: Bun.UnixSocketListener<undefined> | null = null;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-pm2-"));
  process.env["DP_ROOT"] = folder;
  mkdirSync(dirname(homeOf(NAME.app).rpc), { recursive: true });
});
afterEach(() => {
  daemon?.stop(true);
  rmSync(homeOf(NAME.app).rpc, { force: true });
});
afterAll(() => {
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});

/** Answers each call with these bytes; null: the connection is closed, undefined: never. */
function answer(bytes: Buffer | null | undefined): void {
  const data = (socket: Bun.Socket) => {
    if (bytes === null) socket.end();
    else if (bytes !== undefined) socket.write(bytes);
  };
  daemon = Bun.listen({ unix: homeOf(NAME.app).rpc, socket: { data } });
}
const one = (env: Record<string, unknown>) => ({
  ...{ pid: 0, name: "shop-1-aaaaaaa", pm_id: 0 },
  pm2_env: { status: "online", exec_mode: "cluster_mode", restart_time: 0, pm_uptime: 1, exit_code: null, ...env },
});
const failure = (done: Promise<unknown>) =>
  done.then(
    () => null,
    (error: unknown) => error as DpError,
  );

describe("numbers out of bounds count as not known:", () => {
  test.each([
    ["a time that is no date", { pm_uptime: 1e300 }, 1],
    ["the first time that is no date", { pm_uptime: 8.64e15 + 1 }, 1],
    ["a time that is none", { pm_uptime: "yesterday" }, 1],
    ["restarts without end", { restart_time: 1e300 }, 1],
    ["a code that is none", { status: "errored", exit_code: 1e300 }, 0],
    ["a process that cannot be", {}, 1e15],
  ])("%s", async (_, env, pid) => {
    answer(frame({ args: [[{ ...one(env), pid }]] }));
    const { restarts, detail, since } = await statusFrom(NAME, await listed(NAME));
    expect([restarts, detail, since === null || since.startsWith("1970-01-01T00:00:00.00")]).toEqual([0, "", true]);
  });
});

describe("an answer that is none is a failed command:", () => {
  const deep = `j:{"args":[${"[".repeat(30_000)}${"]".repeat(30_000)}]}`;
  const size = Buffer.alloc(4);
  size.writeUInt32BE(deep.length);
  test.each<[string, Buffer | null, string]>([
    ["no JSON", Buffer.concat([frame({}).subarray(0, 5), Buffer.from("j:{x")]), "not JSON"],
    [
      "one that is too deep to be written again",
      Buffer.concat([Buffer.from([18]), size, Buffer.from(deep)]),
      "not JSON",
    ],
    ["an error that is no text", frame({ error: { toString: 1, valueOf: 1 } }), "something that is not a message"],
    ["a list that is none", frame({ args: [{ length: 3 }] }), "in an unknown format"],
    ["more processes than a server has", frame({ args: [Array(1_001).fill(one({}))] }), "in an unknown format"],
    ["the end, each time", null, "ends each time it is asked"],
  ])("%s", async (_, bytes, why) => {
    answer(bytes);
    const error = await failure(listing(NAME.app));
    expect([error?.exit, error?.message]).toEqual(["command", expect.stringContaining(why)]);
  });

  test("a book is cut", async () => {
    answer(frame({ error: "x".repeat(50_000) }));
    expect((await failure(listing(NAME.app)))!.message.length).toBeLessThan(2_000);
  });

  test("none at all", async () => {
    answer(undefined);
    const error = await failure(call(NAME.app, "ping", [{}], 100));
    expect([error?.exit, error?.message]).toEqual(["command", expect.stringContaining("does not answer within 1 s")]);
  });
});
