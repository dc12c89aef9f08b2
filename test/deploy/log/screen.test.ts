// The first and last lines of a deploy: what it is, how it ended, what serves, and what to type.
import { beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../../../lib/pipeline/run-file.ts";
import { DpError, type ExitName } from "../../../lib/errors.ts";
import { point } from "../../../lib/host/link.ts";
import { places } from "../../../lib/paths.ts";
import { closingLine, failureScreen, headLine, urlOf } from "../../../lib/deploy/log/screen.ts";
import { appOf } from "../../../lib/release/app.ts";
import type { ServerConfig } from "../../../lib/config/types.ts";
import { useServer } from "../../support/core-server.ts";

useServer();
let app: string;
let count = 0;
beforeEach(() => {
  app = `screen${++count}`;
  mkdirSync(places(app).releases, { recursive: true });
});

const server = {
  ...{ port: 8000, manager: "builtin", env: "production", branch: "main", host: "127.0.0.1", keep: 5 },
  ...{ strategy: "restart", front: "none", protocol: "http", trustedProxies: [], gate: true },
  ...{ stopTimeout: 1, stepTimeout: 1, verifyTime: 0, drainTimeout: 1, holdTimeout: 1, keepWarm: 0, settings: {} },
};
const run = (facts: Record<string, unknown> = {}, journal: Run["journal"] = {}): Run => ({
  version: 1,
  facts: {
    app,
    id: "42-3f9c2ab",
    kind: "deploy",
    subject: 'Fix "it"',
    by: "ann@203.0.113.5",
    server,
    config: { name: app, type: "python", healthCheck: { path: "/" }, hooks: {} },
    release: "/base/releases/42-3f9c2ab",
    ...facts,
  },
  journal,
});
const own = () => appOf({ app, server: server as unknown as ServerConfig });
const plain = (line: string) => line;

test("the head says what, who and where", () => {
  expect(headLine(run())).toBe(`dp: ${app} 42-3f9c2ab "Fix \\"it\\"" by ann@203.0.113.5 → production`);
  expect(headLine(run({ kind: "rollback", id: "43-3f9c2ab" }))).toStartWith(`dp: ${app} back to 42-3f9c2ab `);
});

test("a subject is one line of plain text, and not too long", () => {
  const head = headLine(run({ subject: `\u001b[31mred\nnext ${"x".repeat(100)}` }));
  expect(head).not.toMatch(/[\u0000-\u001f]/);
  expect(head.length).toBeLessThan(160);
});

test("the end says what is live, where, and how long it took", () => {
  expect(closingLine(app, run(), 3_240)).toBe(`live: ${app} 42-3f9c2ab at http://127.0.0.1:8000, 3.2 s in all`);
  const workers = run({ config: { name: app, type: "python", hooks: {}, processes: { worker: {} } } });
  expect(closingLine(app, workers, 3_240)).toBe(`live: ${app} 42-3f9c2ab, 3.2 s in all`);
  expect(urlOf({ host: "0.0.0.0", port: 80, domains: [] })).not.toContain("0.0.0.0");
  const domains = [{ name: "*.a.test" }, { name: "www.a.test", redirect: "a.test" }, { name: "a.test" }];
  expect(urlOf({ host: "127.0.0.1", port: 80, domains })).toBe("https://a.test");
});

describe("a failure", () => {
  const entry = { state: "undone", startedAt: "x", error: "y" } as const;
  const screen = async (error: unknown, journal: Run["journal"] = {}, shown?: readonly string[]) =>
    failureScreen(await own(), run({}, journal), error, (line) => line.replaceAll("secret", "***"), shown);

  test("names the step, shows the words, masks the secrets, and ends with the next command", async () => {
    await point(places(app).current, join(places(app).releases, "41-aaaaaaa"));
    const error = new DpError("command", "sh secret exited with code 3", {
      lines: ["one secret"],
      hint: "mend secret",
    });
    expect(await screen(error, { read: { state: "undone", startedAt: "x" }, build: entry })).toEqual([
      "",
      "FAILED at build: sh *** exited with code 3",
      "  | one ***",
      "  → mend ***",
      "serving: 41-aaaaaaa, as before",
      `log: ${places(app).logs}/42-3f9c2ab.log`,
      "next: mend it, commit, and push again",
    ]);
  });

  test("does not say again what stands right above", async () => {
    const error = new DpError("command", "x", { lines: ["one", "two"] });
    expect(await screen(error, {}, ["one", "two"])).not.toContain("  | one");
    expect(await screen(error, {}, ["one"])).toContain("  | two");
    expect(await screen(error, {}, [...Array<string>(90).fill("x"), "one", "two"])).not.toContain("  | one");
    expect(await screen(error, {}, ["one", "two", ...Array<string>(18).fill("x")])).not.toContain("  | one");
    expect(await screen(error, {}, ["one", "two", ...Array<string>(20).fill("x")])).toContain("  | one");
  });

  test("of dp itself is called so", async () => {
    const lines = await screen(new TypeError("undefined is not a function"));
    expect(lines).toContain("  this is a bug in dp");
  });

  test.each<[ExitName, string]>([
    ["locked", "dp releases "],
    ["config", "mend it, commit, and push again"],
    ["command", "mend it, commit, and push again"],
    ["host", "mend it on the server, then push again"],
    ["unhealthy", "dp logs "],
  ])("by %s: next is %s", async (exit, next) => {
    expect((await screen(new DpError(exit, "x"))).at(-1)).toStartWith(`next: ${next}`);
  });

  test.each<[string, ExitName, string]>([
    ["deploy", "terminated", "push again, or continue it: dp resume APP"],
    ["deploy", "interrupted", "push again, or continue it: dp resume APP"],
    ["rollback", "terminated", "dp rollback APP 42-3f9c2ab, to start it again"],
    ["rollback", "unhealthy", "dp logs APP --failed, mend it, and dp rollback APP 42-3f9c2ab; or: dp releases APP"],
    ["restart", "unhealthy", "dp logs APP --failed, mend it, and dp restart APP"],
    ["deploy", "bug", "mend it, and push again"],
    ["restart", "terminated", "dp restart APP, to start it again"],
  ])("of a %s by %s does not speak of mending what was only ended", async (kind, exit, next) => {
    const lines = await failureScreen(await own(), run({ kind }), new DpError(exit, "x"), plain);
    expect(lines.at(-1)).toBe(`next: ${next.replaceAll("APP", app)}`);
  });

  test("of settings that were tried tells to set others", async () => {
    const lines = await failureScreen(
      await own(),
      run({ kind: "restart", envBefore: "A=1\n" }),
      new DpError("unhealthy", "x"),
      plain,
    );
    expect(lines.at(-1)).toBe(`next: dp logs ${app} --failed, mend it, and change the settings again: dp env ${app}`);
  });

  test("for want of a setting is no reason for another commit", async () => {
    const said = await screen(new DpError("command", "x", { hint: "dp env", reason: "setting" }));
    expect(said.at(-1)).toBe("next: set it, and push again");
  });

  test("of a first deploy leaves nothing that serves, and says so", async () => {
    expect((await screen(new DpError("command", "x"))).join("\n")).toContain("serving: nothing, as before");
  });

  test("after the old release was stopped tells that it was started again", async () => {
    await point(places(app).current, join(places(app).releases, "41-aaaaaaa"));
    const lines = await screen(new DpError("unhealthy", "x"), { start: entry });
    expect(lines).toContain("serving: 41-aaaaaaa, started again, and healthy");
  });

  test("whose way back failed too claims nothing", async () => {
    await point(places(app).current, join(places(app).releases, "41-aaaaaaa"));
    expect(await screen(new DpError("stuck", "x"))).toContain(`serving: unknown; see dp status ${app}`);
    const cured = await screen(new DpError("stuck", "x", { hint: "dp step start --undo" }));
    expect(cured).toContain("  → dp step start --undo");
    expect(cured.filter((line) => line.startsWith("next: "))).toEqual([]);
  });

  test("with a line longer than a screen is cut", async () => {
    const lines = await failureScreen(
      await own(),
      run(),
      new DpError("command", "x", { lines: ["x".repeat(5_000)] }),
      plain,
    );
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(500);
  });
});
