// `dp help TOPIC`, as it is typed: a command, a page, both, neither.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { declared } from "../../lib/cli.ts";
import { commandNames } from "../../lib/cli/help.ts";
import { project } from "../support/sandbox.ts";

function dp(...argv: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, join(project, "bin/dp"), ...argv], {
    env: { PATH: process.env["PATH"] ?? "" },
  });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("dp help", () => {
  test("with a command that has a page: how it is used, then the page", () => {
    const { code, stdout } = dp("help", "rollback");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /\$ dp rollback <app> \[id\][\s\S]*--with-env[\s\S]*\n\nRollback\n========\n\n`dp rollback shop`/,
    );
    expect(stdout).toMatch(/\S\n$/);
  });

  test("with a command that a page lists among its words, or with its name in other tools", () => {
    expect(dp("help", "lock").stdout).toMatch(/\$ dp lock <app>[\s\S]*\nLocking and queueing\n=/);
    expect(dp("help", "config:set").stdout).toMatch(/\$ dp env <app>[\s\S]*\nEnvironment variables\n=/);
  });

  test("with a command that has no page: how it is used", () => {
    expect(dp("help", "reconcile")).toEqual(dp("reconcile", "--help"));
  });

  test.each(["shared-files", "shared", "SQLITE"])("with a page alone, by its name or a word for it: %s", (topic) => {
    const { code, stdout, stderr } = dp("help", topic);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toStartWith("Shared files\n============\n");
    expect(stdout).not.toMatch(/<!--|\]\(|```/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("topics: every page by its name", () => {
    const { code, stdout } = dp("help", "topics");
    expect(code).toBe(0);
    for (const path of new Bun.Glob("*.md").scanSync({ cwd: join(project, "docs") }))
      expect(stdout).toMatch(new RegExp(`^${path.replace(".md", "")} +\\S`, "m"));
  });

  test.each([
    ["stauts", "status"],
    ["rolback", "rollback"],
    ["shared-file", "shared-files"],
  ])("%s: neither, and what is near", (topic, near) => {
    const { code, stdout, stderr } = dp("help", topic);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`no command and no page is called "${topic}"`);
    expect(stderr).toContain(`did you mean "${near}"?`);
  });

  test("neither, and nothing near: where both are listed", () => {
    expect(dp("help", "quantum").stderr).toContain("→ dp help topics lists the pages, dp --help the commands");
    expect(dp("help", "ls").stderr).toContain("→ dp apps");
  });
});

test("--help says what a command does, and no line of it ends with a blank", () => {
  const { stdout } = dp("status", "--help");
  expect(stdout).toStartWith("dp status: Show the live release and whether it is healthy");
  expect(stdout).toContain("\n  $ dp status [app]\n");
  for (const text of [stdout, dp("--help").stdout, dp("run", "--help").stdout]) expect(text).not.toMatch(/ $/m);
  expect(dp("--help").stdout).toStartWith("dp\n\nUsage:\n");
  expect(dp("gate", "--help").stdout).toStartWith("dp\n\nUsage:\n");
});

test("--help lists each command once, in a group", () => {
  const { stdout } = dp("--help");
  const [, list = ""] = /\n\n(Every day:\n[\s\S]*?)\n\nOptions:\n/.exec(stdout) ?? [];
  const groups = list.split("\n\n").map((group) => group.split("\n"));
  expect(groups.map(([title]) => title)).toEqual(
    ["Every day", "Apps", "Access", "Server", "Several servers", "Steps by hand", "This program"].map(
      (one) => `${one}:`,
    ),
  );
  const named = groups.flatMap(([, ...lines]) => lines.map((line) => /^ {2}(\S+)/.exec(line)?.[1]));
  expect(named.sort()).toEqual(commandNames(declared()).sort());
});

test("--help names the page of a command, where one is", () => {
  expect(dp("rollback", "--help").stdout).toEndWith("\nMore: dp help rollback\n");
  expect(dp("reconcile", "--help").stdout).not.toContain("More:");
});
