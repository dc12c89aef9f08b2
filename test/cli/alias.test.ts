import { describe, expect, test } from "bun:test";
import { ALIASES, withoutAliases } from "../../lib/cli/alias.ts";

const words = (line: string) =>
  withoutAliases(["bun", "dp", ...line.split(" ").filter(Boolean)])
    .slice(2)
    .join(" ");

describe("the words of other tools", () => {
  test.each([
    ["config:set shop A=1 B=2", "env shop set A=1 B=2"],
    ["config:set --no-restart shop A=1", "env --no-restart shop set A=1"],
    ["config:set shop A=1 --no-restart", "env shop set A=1 --no-restart"],
    ["config shop", "env shop list"],
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
    ["run shop ls -l", "run shop -- ls -l"],
    ["run shop --no-tty -- ls", "run shop --no-tty -- ls"],
    ["run shop git log -- file", "run shop -- git log -- file"],
    ["", ""],
    ["constructor shop", "constructor shop"],
  ])("%j is %j", (line, expected) => expect(words(line)).toBe(expected));

  test("each stands for a command that is no alias itself", () => {
    for (const [command] of Object.values(ALIASES)) expect(Object.keys(ALIASES)).not.toContain(command);
  });
});

describe("what follows dp run APP is not dp's", () => {
  test.each([
    ["run shop -- ls -la", "run shop -- ls -la"],
    ["run shop ls -la", "run shop -- ls -la"],
    ["run --no-tty shop python --version", "run --no-tty shop -- python --version"],
    ["run shop -- --help", "run shop -- --help"],
    ["run shop -- -- x", "run shop -- -- x"],
    ["run shop", "run shop --"],
    ["run --help", "run --help"],
  ])("%j is %j", (line, expected) => expect(words(line)).toBe(expected));
});
