// The word of the server that leads, on one that follows: what it waits for, and when it waits no longer.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DpError } from "../../lib/errors.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { awaitWord, forgetWords, isKept, LEASE, noteWord, renewLease } from "../../lib/servers/word.ts";
import { makeApp, useServer } from "../support/core-server.ts";

const ID = "7-3f9c2ab";
useServer();

async function follower() {
  const { own: app } = await makeApp();
  const { runs } = app.places;
  mkdirSync(runs, { recursive: true });
  const wait = (word: "swap" | "keep", stop?: AbortSignal) =>
    awaitWord(app, { id: ID, word, lead: "a" }, makeIo(silentLog, stop)).then(
      () => "said",
      (error: DpError) => error.exit ?? error.message,
    );
  return { app, runs, wait };
}

describe("a server that follows", () => {
  test("waits until the word is said", async () => {
    const { app, wait } = await follower();
    renewLease(app, ID);
    const waiting = wait("swap");
    await noteWord(app, ID, "swap");
    expect(await waiting).toBe("said");
  });

  test("goes back at that word, and never after the release was to stay", async () => {
    const { app, wait } = await follower();
    renewLease(app, ID);
    await noteWord(app, ID, "back");
    expect(await wait("keep")).toBe("command");
    await forgetWords(app, ID);
    renewLease(app, ID);
    await noteWord(app, ID, "keep");
    await noteWord(app, ID, "back");
    expect([await wait("keep"), await isKept(app, ID)]).toEqual(["said", true]);
  });

  test.each([
    ["has said nothing for too long", (now: number) => `${now - LEASE - 1}`],
    ["was there before a reboot", (now: number) => `${now + 1000}`],
    ["has left half a note", () => ""],
  ])("goes back when the one that leads %s", async (_, since) => {
    const { runs, wait } = await follower();
    const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    writeFileSync(join(runs, `${ID}.lease`), since(uptime));
    expect(await wait("swap")).toBe("terminated");
  });

  test("goes back when nobody was ever there, and leaves nothing", async () => {
    const { app, runs, wait } = await follower();
    expect(await wait("swap")).toBe("terminated");
    renewLease(app, ID);
    await noteWord(app, ID, "swap");
    await forgetWords(app, ID);
    expect(existsSync(runs) ? readdirSync(runs) : []).toEqual([]);
  });

  test("stops waiting when the deploy is cancelled", async () => {
    const { app, wait } = await follower();
    renewLease(app, ID);
    const stop = new AbortController();
    const waiting = wait("swap", stop.signal);
    stop.abort(new DpError("interrupted", "cancelled"));
    expect(await waiting).toBe("interrupted");
  });
});
