// A command line of the laptop: the remote taken out, the app put in, and nothing else changed.
import { describe, expect, test } from "bun:test";
import { declared } from "../../lib/cli.ts";
import { takesValue } from "../../lib/cli/argv.ts";
import { inDpsWords } from "../../lib/cli/alias.ts";
import {
  addressed,
  appOfRun,
  commandIn,
  fileAt,
  hasOption,
  isInteractive,
  meantBy,
  readsStdin,
  withoutRemote,
} from "../../lib/remote/words.ts";

const cli = declared();
const of = (word: string) => cli.commands.find(({ name }) => name === inDpsWords([word])[0]);
const known = {
  takesApp: (word: string) => of(word)?.args[0]?.value === "app" || of(word) === undefined,
  takesValue: (word: string, option: string) => of(word) !== undefined && takesValue(of(word)!, option),
};
const words = (line: string) => line.split(" ").filter(Boolean);

describe("the remote", () => {
  test.each([
    ["-r staging rollback", "staging", "rollback"],
    ["rollback -r staging", "staging", "rollback"],
    ["logs -f --remote=staging -n 5", "staging", "logs -f -n 5"],
    ["--remote staging -rproduction ps", "production", "ps"],
    ["-r staging run -- grep -r x", "staging", "run -- grep -r x"],
    ["run grep -r x", undefined, "run grep -r x"],
    ["run shop grep -r x", undefined, "run shop grep -r x"],
    ["run --no-tty -r staging shop grep -r x", "staging", "run --no-tty shop grep -r x"],
    ["env set -- -r x", undefined, "env set -- -r x"],
    ["rollback", undefined, "rollback"],
  ])("dp %s", (line, remote, left) => {
    expect(withoutRemote(words(line))).toEqual({ words: words(left), remote });
  });

  test.each(["-r", "rollback --remote", "rollback --remote=", "-r --force rollback"])("dp %s needs a name", (line) => {
    expect(() => withoutRemote(words(line))).toThrow("needs the name of a git remote");
  });

  test("is not taken for the command", () => {
    expect(commandIn(words("-r staging rollback"))).toBe("rollback");
    expect(commandIn(words("-r staging"))).toBeUndefined();
    expect(hasOption(words("run ls --help"), "--help")).toBe(false);
    expect(hasOption(words("run --help"), "--help")).toBe(true);
  });
});

describe("the app", () => {
  test.each([
    ["logs -f", "logs shop -f"],
    ["logs shop -f", "logs shop -f"],
    ["logs -f shop", "logs -f shop"],
    ["logs -n 5 shop", "logs -n 5 shop"],
    ["logs -n 5", "logs shop -n 5"],
    ["logs web", "logs shop web"],
    ["logs --grep shop", "logs shop --grep shop"],
    ["rollback 42", "rollback shop 42"],
    ["run -- cat shop", "run shop -- cat shop"],
    ["run cat shop", "run shop cat shop"],
    ["run shop cat", "run shop cat"],
    ["run --no-tty -- cat", "run shop --no-tty -- cat"],
    ["env", "env shop"],
    ["env set A=1", "env shop set A=1"],
    ["env shop set A=1", "env shop set A=1"],
    ["env set shop A=1", "env set shop A=1"],
    ["config:set A=1", "config:set shop A=1"],
    ["apps", "apps"],
    ["apps:list", "apps:list"],
    ["runtimes install node 22", "runtimes install node 22"],
    ["lock -m why", "lock shop -m why"],
    ["lock status", "lock status shop"],
    ["lock status shop", "lock status shop"],
    ["fleet sync", "fleet sync shop"],
    ["fleet sync shop --json", "fleet sync shop --json"],
    ["watch --json", "watch --json"],
    ["cron", "cron shop"],
    ["cron run cleanup", "cron run shop cleanup"],
    ["status", "status shop"],
    ["status --all", "status"],
    ["doctor --all --fix", "doctor --fix"],
    ["audit --all -n 5", "audit -n 5"],
    ["logs --all", "logs shop --all"],
    ["setup --port 8001", "setup shop --port 8001"],
    ["setup blog", "setup blog"],
    ["setup https://host/shop.git", "setup shop https://host/shop.git"],
    ["restart worker", "restart shop worker"],
    ["teleport --far away", "teleport shop --far away"],
  ])("dp %s", (line, wanted) => {
    expect(addressed(words(line), "shop", known)).toEqual(words(wanted));
  });
});

test("the remote that is meant: by the app in its place, or any of a server that is meant as a whole", () => {
  const meant = (line: string) => meantBy(words(line), known);
  for (const line of ["status blog", "logs -n 5 blog", "env set blog A=1", "lock status blog", "run blog -- ls"])
    expect([line, meant(line).names.includes("blog"), meant(line).isOfServer]).toEqual([line, true, false]);
  for (const line of ["logs --grep blog", "run -- blog", "env set A=blog"])
    expect([line, meant(line).names.includes("blog")]).toEqual([line, false]);
  for (const line of [
    "apps",
    "report",
    "status",
    "doctor --json",
    "audit -n 5",
    "doctor --all --fix",
    "reconcile --all",
  ])
    expect([line, meant(line).isOfServer]).toEqual([line, true]);
  expect(meant("fleet sync blog")).toEqual({ command: "fleet sync", names: ["sync", "blog"], isOfServer: false });
  for (const line of ["rollback", "doctor --fix", "reconcile", "logs", "logs --all", "status blog"])
    expect([line, meant(line).isOfServer]).toEqual([line, false]);
  expect(addressed(words("doctor --json"), null, known)).toEqual(words("doctor --json"));
  expect(addressed(words("doctor --all --fix"), null, known)).toEqual(words("doctor --fix"));
});

test("the run that a command starts", () => {
  for (const line of ["deploy shop", "rollback shop 42", "restart shop", "restart shop --wait 5"])
    expect([line, appOfRun(words(line), known)]).toEqual([line, "shop"]);
  for (const line of ["restart shop worker", "logs shop", "apps", "status"])
    expect([line, appOfRun(words(line), known)]).toEqual([line, null]);
});

test("a terminal is wanted where the server asks, or runs a program", () => {
  const wants = words(
    "run|run -- sh|destroy|destroy --yes|env set NAME|config:set NAME|env set shop NAME"
      .replaceAll(" ", "_")
      .replaceAll("|", " "),
  );
  const full = (line: string) => inDpsWords(addressed(words(line.replaceAll("_", " ")), "shop", known));
  for (const line of wants) expect([line, isInteractive(full(line))]).toEqual([line, true]);
  for (const line of ["run_--no-tty_--_sh", "env_set_NAME=1", "env_get_NAME", "logs_-f", "deploy", "env"])
    expect([line, isInteractive(full(line))]).toEqual([line, false]);
});

test("stdin is left to what is around dp where the command does not read it", () => {
  for (const word of ["run", "env", "teleport"]) expect([word, readsStdin([word])]).toEqual([word, true]);
  for (const word of ["logs", "status", "deploy"]) expect([word, readsStdin([word])]).toEqual([word, false]);
});

test("the file that a command reads is one of this machine", () => {
  const at = (line: string) => fileAt(words(line), known);
  expect(at("env shop import .env")).toBe(3);
  expect(at("env shop import --no-restart .env")).toBe(4);
  for (const line of ["env shop import -", "env shop import", "env shop set A=1", "logs shop import x"])
    expect([line, at(line)]).toEqual([line, -1]);
  expect(at("keys add colleague --app shop --role push key.pub")).toBe(7);
  expect(at("keys add colleague key.pub --app shop")).toBe(3);
  for (const line of ["keys add colleague --app shop", "keys add colleague -", "keys allow colleague shop x"])
    expect([line, at(line)]).toEqual([line, -1]);
});
