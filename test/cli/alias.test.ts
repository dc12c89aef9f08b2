import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { ALIASES, inDpsWords, insteadOf } from "../../lib/cli/alias.ts";

const project = join(import.meta.dir, "../..");
const words = (line: string) => inDpsWords(line.split(" ").filter(Boolean)).join(" ");

describe("the words of other tools", () => {
  test.each([
    ["config:set shop A=1 B=2", "env shop set A=1 B=2"],
    ["config:set --no-restart shop A=1", "env --no-restart shop set A=1"],
    ["config:set shop A=1 --no-restart", "env shop set A=1 --no-restart"],
    ["config shop", "env shop"],
    ["config set shop A=1", "env set shop A=1"],
    ["config:get shop A", "env shop get A"],
    ["env:unset shop A", "env shop unset A"],
    ["apps:list", "apps"],
    ["apps:list --json", "apps --json"],
    ["apps:destroy shop --yes", "destroy shop --yes"],
    ["apps:lock shop -m why", "lock shop -m why"],
    ["apps:unlock shop", "unlock shop"],
    ["builds:cancel shop", "cancel shop"],
    ["ps:restart shop", "restart shop"],
    ["ps:scale shop worker=2", "scale shop worker=2"],
    ["ps:stop shop worker", "stop shop worker"],
    ["releases:rollback shop", "rollback shop"],
    ["logs:failed shop", "logs shop --failed"],
    ["config:set", "env"],
    ["status shop", "status shop"],
    ["run shop -- ls -l", "run shop -- ls -l"],
    ["run shop ls -l", "run shop ls -l"],
    ["", ""],
    ["constructor shop", "constructor shop"],
  ])("%j is %j", (line, expected) => expect(words(line)).toBe(expected));

  test("each stands for a command that is no alias itself", () => {
    for (const [command] of Object.values(ALIASES)) expect(Object.keys(ALIASES)).not.toContain(command);
  });
});

describe("what dp has no word for is answered with what to type", () => {
  test.each([
    ["jobs", "shop", "dp cron shop lists what runs on a schedule"],
    ["shell", "shop", "dp run shop -- sh"],
    ["console", undefined, "dp run APP -- COMMAND"],
    ["history", "shop", "dp releases shop"],
    ["undo", undefined, "dp rollback APP"],
    ["revert", "shop", "dp rollback shop"],
    ["open", "shop", "dp status shop prints its address"],
    ["push", "shop", "git push production main"],
    ["tail", "shop", "dp logs shop -f"],
    ["update", undefined, "dp upgrade"],
    ["version", undefined, "dp --version"],
    ["backup", "shop", "/opt/deployments/shop -czf shop.tar.gz shared"],
    ["shell", "-x; rm", "dp run APP -- sh"],
  ])("dp %s %s", (word, app, expected) => expect(insteadOf(word, app)).toContain(expected));

  test("none is a command of dp's, and others are left to the suggestion", () => {
    expect([insteadOf("stauts", "shop"), insteadOf("constructor", "shop")]).toEqual([null, null]);
  });
});

describe("dp help", () => {
  test.each([
    ["help", "--help"],
    ["help status", "status --help"],
    ["help run shop -- rm x", "run --help"],
    ["help shell", "shell --help"],
    ["help config:set", "env --help"],
    ["help --help", "help --help"],
    ["status help", "status help"],
  ])("%j is %j", (line, expected) => expect(words(line)).toBe(expected));

  const dp = (...argv: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, join(project, "bin/dp"), ...argv], {
      env: { PATH: process.env["PATH"] ?? "" },
    });
    return [exitCode, stdout.toString(), stderr.toString()] as const;
  };

  test("is dp --help, and dp COMMAND --help", () => {
    const [whole, one] = [dp("--help"), dp("lock", "--help")];
    expect([whole[0], one[0]]).toEqual([0, 0]);
    expect(whole[1]).toContain("help [topic]");
    expect(one[1]).toContain("--message");
    expect(dp("help")).toEqual(whole);
    expect(dp("help", "reconcile")).toEqual(dp("reconcile", "--help"));
  });

  test.each(["stauts --help", "stauts -h", "--help stauts", "stauts shop --help"])(
    "dp %s knows no such command",
    (line) => {
      const [code, stdout, stderr] = dp(...line.split(" "));
      expect([code, stdout, stderr]).toEqual([2, "", dp("stauts")[2]]);
      expect(stderr).toMatch(/unknown command "stauts"[\s\S]*did you mean "status"\?/);
    },
  );
});
