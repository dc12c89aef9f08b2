// What `dp logs --grep` takes: any expression on the server, and by a key none whose search may never end.
import { expect, test } from "bun:test";
import { makeApp, runDp, useServer } from "../support/core-server.ts";

useServer();

/** Expressions, and whether they may come by a key. */
const EXPRESSIONS: [text: string, isTaken: boolean][] = [
  ["(a+)+$", false],
  ["a?a?aa", false],
  ["x{2,}", false],
  ["[\\\\](a|a)*$", false],
  ["a".repeat(201), false],
  ["ERROR|WARN", true],
  ['^GET [^ ]. \\(\\+\\) [*?(] {"level":$', true],
];

test("by a key no expression that repeats", async () => {
  const { app } = await makeApp();
  for (const [text, isTaken] of EXPRESSIONS) {
    const { code, err } = await runDp(["logs", app, "--deploy", "--grep", text], { DP_KEY: "ann" });
    const why = isTaken ? "has no deploy yet" : "--grep by a key takes";
    expect([text, code, err]).toEqual([text, 2, expect.stringContaining(why)]);
  }
}, 60_000);

test("without a key any, but for a wrong one", async () => {
  const { app } = await makeApp();
  const words = (text: string) => ["logs", app, "--deploy", "--grep", text];
  expect((await runDp(words("(a+)+$"))).err).toContain("has no deploy yet");
  expect((await runDp(words("(a+"))).err).toContain("--grep: Invalid regular expression");
}, 60_000);
