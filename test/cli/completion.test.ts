// Completion as the shells do it: bash, zsh and fish themselves are asked.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployYml, project, sandbox, type Sandbox } from "../support/sandbox.ts";
import { inTerminal } from "../support/typed.ts";

let box: Sandbox;
let env: Record<string, string>;
const script = (shell: string) => join(box.root, `completion.${shell}`);

beforeAll(async () => {
  box = await sandbox();
  const processes = "processes: {worker: {command: exec sleep 1000, healthCheck: {stayUp: 1s}}}\n";
  const cron = 'cron: [{schedule: "@yearly", command: "true", name: tidy}]\n';
  await box.release({ "deploy.yml": deployYml("shop", processes + cron) });
  await box.dp("env", "shop", "set", "COLOUR=blue", "--no-restart");
  await box.dp("setup", "shopping", "--manager", "builtin");
  const target = { stdin: Buffer.from("command=/usr/bin/true\n"), env: box.env };
  await Bun.spawn([box.program, "notify", "add", "own", "command", "--untested"], target).exited;
  const tools = join(box.root, "bin");
  mkdirSync(tools);
  writeFileSync(join(tools, "dp"), `#!/bin/sh\nexec '${join(project, "bin/dp")}' "$@"\n`);
  chmodSync(join(tools, "dp"), 0o755);
  env = { ...box.env, PATH: `${tools}:${box.env["PATH"]}` };
  for (const shell of ["bash", "zsh", "fish"]) writeFileSync(script(shell), (await box.dp("completion", shell)).stdout);
});
afterAll(() => box?.stop());

const words = (text: string) => text.split(/\s+/).filter(Boolean).sort();
const found = (shell: string) => Bun.which(shell) === null;

/** Typed words, the last one half, and what it can become. */
const TABLE: [string[], (words: string[]) => void][] = [
  [["rest"], (all) => expect(all).toEqual(["restart"])],
  [["help", "rest"], (all) => expect(all).toEqual(["restart"])],
  [["help", "shared"], (all) => expect(all).toEqual(["shared-files"])],
  [["help", "roll"], (all) => expect(all).toEqual(["rollback"])],
  [["help", "restart", ""], (all) => expect(all).toEqual([])],
  [["status", "sho"], (all) => expect(all).toEqual(["shop", "shopping"])],
  [["step", "sw"], (all) => expect(all).toEqual(["swap"])],
  [["resume", "shop", "--from", "ver"], (all) => expect(all).toEqual(["verify"])],
  [["rollback", "shop", ""], (all) => expect(all).toEqual([box.link("current")!])],
  [["rollback", "shop", "--with-"], (all) => expect(all).toEqual(["--with-env"])],
  [["deploy", "shop", "ma"], (all) => expect(all).toEqual(["main"])],
  [["lock", "s"], (all) => expect(all).toEqual(["shop", "shopping", "status"])],
  [["lock", "status", "shopp"], (all) => expect(all).toEqual(["shopping"])],
  [["env", "shop", "un"], (all) => expect(all).toEqual(["unset"])],
  [["env", "shop", "unset", "C"], (all) => expect(all).toEqual(["COLOUR"])],
  [["setup", "new", "--manager", "b"], (all) => expect(all).toEqual(["builtin"])],
  [["keys", "a"], (all) => expect(all).toEqual(["add", "allow"])],
  [["keys", "add", "ann", "--role", "op"], (all) => expect(all).toEqual(["operate"])],
  [["keys", "add", "ann", "--app", "shopp"], (all) => expect(all).toEqual(["shopping"])],
  [["status", "--onl"], (all) => expect(all).toEqual([])],
  [["init", "--type", "st"], (all) => expect(all).toEqual(["static"])],
  [["restart", "shop", "w"], (all) => expect(all).toEqual(["web", "worker"])],
  [["stop", "shop", "wo"], (all) => expect(all).toEqual(["worker"])],
  [["logs", "shop", ""], (all) => expect(all).toEqual(["cron.tidy", "web", "worker"])],
  [["cron", "r"], (all) => expect(all).toEqual(["run"])],
  [["cron", "run", "shopp"], (all) => expect(all).toEqual(["shopping"])],
  [["cron", "run", "shop", "t"], (all) => expect(all).toEqual(["tidy"])],
  [["scale", "shop", "wo"], (all) => expect(all).toEqual(["worker="])],
  [["ps:scale", "shop", "wo"], (all) => expect(all).toEqual(["worker="])],
  [["ps:restart", "shopp"], (all) => expect(all).toEqual(["shopping"])],
  [["config:unset", "shop", "C"], (all) => expect(all).toEqual(["COLOUR"])],
  [["releases:rollback", "shop", ""], (all) => expect(all).toEqual([box.link("current")!])],
  [["notify", "m"], (all) => expect(all).toEqual(["mute"])],
  [["notify", ""], (all) => expect(all).toEqual(["add", "log", "mute", "remove", "set", "test", "unmute"])],
  [["notify", "mute", "shopp"], (all) => expect(all).toEqual(["shopping"])],
  [["notify", "add", "team", "sl"], (all) => expect(all).toEqual(["slack"])],
  [["notify", "set", "depl"], (all) => expect(all).toEqual(["deployed="])],
  [["notify", "test", ""], (all) => expect(all).toEqual(["own"])],
  [["notify", "remove", "own", ""], (all) => expect(all).toEqual([])],
  [["completion", ""], (all) => expect(all).toEqual(["bash", "fish", "zsh"])],
];

describe("dp complete", () => {
  test.each(TABLE)("%j", async (typed, check) => {
    const { code, stdout, stderr } = await box.dp("complete", "--", ...typed);
    expect([code, stderr]).toEqual([0, ""]);
    check(
      stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => line.split("\t")[0]!)
        .sort(),
    );
  });

  test("commands, but none that dp calls itself; other tools' words once they are begun", async () => {
    const all = async (typed: string) => (await box.dp("complete", "--", typed)).stdout;
    expect(await all("")).toMatch(/^deploy\tDeploy a branch/m);
    expect(await all("")).not.toMatch(/^(work|hook|complete|config:set)\b/m);
    expect(await all("config:")).toMatch(/^config:set$/m);
  });

  test.each([[["run", "shop", "-"]], [["no-such", ""]], [["status", "no", ""]], [["rollback", "no-such", ""]]])(
    "nothing for %j, and no complaint",
    async (typed) => {
      const { code, text } = await box.dp("complete", "--", ...typed);
      expect([code, text]).toEqual([0, ""]);
    },
  );

  test("a branch is only offered when a shell takes its name as it is", async () => {
    const names = [
      "ops;id",
      "ops$(id)",
      "ops`id`",
      "ops&id",
      "ops|id",
      "ops'",
      'ops"',
      "ops{a,b}",
      "ops!1",
      "ops#1",
      "ops(1",
    ];
    const sha = (await box.git("rev-parse", "HEAD")).stdout.trim();
    const make = (name: string) => box.git("--git-dir", box.repo, "update-ref", `refs/heads/${name}`, sha);
    for (const name of [...names, "--help", "ops/v1.2+3@x_y-z"]) expect((await make(name)).code).toBe(0);
    const { stdout } = await box.dp("complete", "--", "deploy", "shop", "");
    expect(stdout).toBe("main\nops/v1.2+3@x_y-z\n");
  });

  test("values are never offered", async () => {
    expect((await box.dp("complete", "--", "env", "shop", "set", "")).text).not.toContain("blue");
  });
});

test.skipIf(found("bash"))("bash", async () => {
  for (const [typed, check] of TABLE) {
    const line = `source "$0"; COMP_WORDS=(dp "$@"); COMP_CWORD=$#; _dp; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, stdout, stderr } = await box.start(["bash", "-c", line, script("bash"), ...typed], env).done;
    expect([typed, code, stderr]).toEqual([typed, 0, ""]);
    check(words(stdout));
  }
  const typed = inTerminal(["bash", "--norc", "-i"], { ...env, PS1: "> " });
  typed.type(`source ${script("bash")}\rdp status shopp\t; echo "is it $?"\r`);
  await typed.sees("shopping ;");
  typed.type("\x15dp config:uns\t");
  await typed.sees("dp config:unset ");
  typed.type("shop COL\t");
  await typed.sees("dp config:unset shop COLOUR ");
  typed.type("\x15dp scale shop wo\t2");
  await typed.sees("dp scale shop worker=2");
  typed.type("\x15exit\r");
  await typed.done;
});

test.skipIf(found("fish"))("fish", async () => {
  for (const [typed, check] of TABLE) {
    const line = `source "${script("fish")}"; complete -C "dp ${typed.join(" ")}"`;
    const { code, stdout } = await box.start(["fish", "--no-config", "-c", line], env).done;
    expect(code).toBe(0);
    check(words(stdout.replaceAll(/\t.*/g, "")));
  }
});

test.skipIf(found("zsh"))("zsh", async () => {
  const typed = inTerminal(["zsh", "-f", "-i"], { ...env, PS1: "> " });
  typed.type(`autoload -U compinit; compinit -u -D; source ${script("zsh")}; echo re""ady\r`);
  await typed.sees("ready");
  typed.type("dp status shopp\t");
  await typed.sees("dp status shopping");
  typed.type("\x15dp step swa\t");
  await typed.sees("dp step swap");
  typed.type("\x15dp rest\t");
  await typed.sees("dp restart");
  typed.type("\x15dp ps:sto\t");
  await typed.sees("dp ps:stop");
  typed.type("\x15dp ps:stop shop wo\t");
  await typed.sees("dp ps:stop shop worker");
  typed.type("\x15dp rollback shop 1\t");
  await typed.sees(`dp rollback shop ${box.link("current")}`);
  typed.type("\x15dp rollback shop --with-\t");
  await typed.sees("--with-env");
  typed.type("\x15exit\r");
  await typed.done;
});

test("another shell is refused", async () => {
  const { code, text } = await box.dp("completion", "bsh");
  expect([code, text]).toEqual([2, expect.stringContaining('did you mean "bash"?')]);
});
