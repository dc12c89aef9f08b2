// Command lines as people type them, read by dp's own declarations; then the same by the real program.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { declared } from "../../lib/cli.ts";
import { readLine } from "../../lib/cli/argv.ts";
import { DpError } from "../../lib/errors.ts";
import { freePort } from "../support/port.ts";
import { sandbox, type Sandbox } from "../support/sandbox.ts";

const read = (words: readonly string[]) => {
  const { command, words: behind, options } = readLine(declared(), words);
  return [command?.name, behind, options] as const;
};
const line = (text: string) => read(text.split(" ").filter(Boolean));

describe("options", () => {
  test.each([
    ["logs shop", {}],
    ["logs shop -n2", { lines: "2" }],
    ["logs shop -n=2", { lines: "2" }],
    ["logs shop -n 2", { lines: "2" }],
    ["logs -n 2 shop", { lines: "2" }],
    ["logs shop --lines 2", { lines: "2" }],
    ["logs shop --lines=2", { lines: "2" }],
    ["logs shop -n 2 -n 3", { lines: "3" }],
    ["logs shop -n2 --lines=3 -n4", { lines: "4" }],
    ["logs shop -fn2", { follow: true, lines: "2" }],
    ["logs shop -f -f", { follow: true }],
    ["logs shop --since=10m", { since: "10m" }],
    ["logs shop --since 10m --since=2h", { since: "2h" }],
    ["logs shop --grep=a=b", { grep: "a=b" }],
    ["logs shop --grep=", { grep: "" }],
    ["logs shop --grep=-x", { grep: "-x" }],
    ["logs shop --deploy", { deploy: true }],
    ["logs shop --deploy -f", { deploy: true, follow: true }],
    ["logs shop --deploy 007", { deploy: "007" }],
    ["logs shop --deploy=12345678901234567890", { deploy: "12345678901234567890" }],
    ["logs shop -n 1e3", { lines: "1e3" }],
    ["logs shop --grep true", { grep: "true" }],
    ["--json logs shop", { json: true }],
    ["logs:failed -n 5 shop", { lines: "5", failed: true }],
  ])("dp %s", (text, options) => expect(line(text)).toEqual(["logs", ["shop"], options]));

  test("no-options are false, and all names are as they are declared", () => {
    expect(line("env shop --no-restart")).toEqual(["env", ["shop"], { restart: false }]);
    expect(line("deploy shop --skip-hooks")[2]).toEqual({ skipHooks: true });
  });
});

describe("words stay as they were typed", () => {
  test.each([
    ["rollback shop 007", ["shop", "007"]],
    ["rollback shop 1e3", ["shop", "1e3"]],
    ["deploy shop 1234567890123456789", ["shop", "1234567890123456789"]],
    ["env shop import -", ["shop", "import", "-"]],
    ["env shop set A=1 B=--json", ["shop", "set", "A=1", "B=--json"]],
    ["lock shop true", ["shop", "true"]],
    ["rollback shop -- -1", ["shop", "-1"]],
    ["rollback -- shop 3", ["shop", "3"]],
    ["-- rollback shop 3", ["shop", "3"]],
  ])("dp %s", (text, words) => expect(line(text).slice(1)).toEqual([words, {}]));

  test.each([
    ["run shop -- ls -la", ["ls", "-la"], {}],
    ["run shop ls -la --json", ["ls", "-la", "--json"], {}],
    ["run --no-tty shop python --version", ["python", "--version"], { tty: false }],
    ["run shop --no-tty -- ls", ["ls"], { tty: false }],
    ["run shop --no-tty ls -h", ["ls", "-h"], { tty: false }],
    ["run shop -- --help", ["--help"], {}],
    ["run shop -- -- x", ["--", "x"], {}],
    ["run shop git log -- file", ["git", "log", "--", "file"], {}],
    ["run shop", [], {}],
  ])("dp %s", (text, own, options) => expect(line(text)).toEqual(["run", ["shop", ...own], options]));
});

describe("help, wherever it is asked for", () => {
  test.each([
    ["-h", undefined],
    ["--help", undefined],
    ["help", undefined],
    ["logs -h", "logs"],
    ["logs shop -h", "logs"],
    ["-h logs", "logs"],
    ["--help logs shop", "logs"],
    ["logs shop -fh", "logs"],
    ["logs --no-such -h", "logs"],
    ["logs -n -h", "logs"],
    ["help logs", "logs"],
    ["env shop set -h", "env"],
    ["config:set -h", "env"],
    ["run shop --help", "run"],
    ["setup --help", "setup"],
  ])("dp %s", (text, name) => {
    const [command, , options] = line(text);
    expect([command, options["help"]]).toEqual([name, true]);
  });

  test.each(["run shop ls -h", "env shop set -- -h"])("but not in dp %s", (text) => {
    expect(line(text)[2]["help"]).toBe(undefined);
  });
});

describe("what cannot be is said", () => {
  test.each([
    ["logs shop -n", "-n needs a value", "dp logs --help"],
    ["logs shop --since -f", "--since needs a value", "when that is its value: --since=-f"],
    ["logs shop --sinc=10m", 'unknown option "--sinc"', 'did you mean "--since"?'],
    ["logs shop -json", 'unknown option "-json"', 'did you mean "--json"?'],
    ["logs shop -fx", 'unknown option "-x"', "dp logs --help"],
    ["logs shop --json=yes", "--json takes no value", "dp logs --help"],
    ["logs shop --version", 'unknown option "--version"', "dp logs --help"],
    ["deploy shop --skipHooks", 'unknown option "--skipHooks"', 'did you mean "--skip-hooks"?'],
    ["--no-such", 'unknown option "--no-such"', "dp --help"],
  ])("dp %s", (text, message, hint) => {
    const error = (() => {
      try {
        return line(text);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(DpError);
    expect(error).toMatchObject({ exit: "usage", message, hint });
  });

  test("a command that is not there is left to the caller", () => {
    expect(read(["stauts", "shop", "--json"])).toEqual([undefined, ["stauts", "shop", "--json"], {}]);
  });
});

describe("by the program", () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = await sandbox();
  });
  afterAll(() => box?.stop());
  const said = async (text: string) => {
    const { code, stdout, stderr } = await box.dp(...text.split(" "));
    return [code, code === 0 ? stdout : stderr] as const;
  };
  const usage = (text: string): [number, string] => [2, expect.stringContaining(text) as string];

  test("the last of several counts, and a number is what was typed", async () => {
    expect(await said("audit shop -n 1 -n2x")).toEqual(usage('--lines must be a whole number up to 1000000, not "2x"'));
    expect((await said("audit shop -n2x -n1"))[0]).toBe(0);
    expect(await said("rollback shop 1e3")).toEqual(usage('"1e3"'));
  });

  test("words that are missing or too many", async () => {
    expect(await said("deploy")).toEqual(usage("dp deploy needs APP"));
    expect(await said("status shop more -- -x")).toEqual(usage('too many words after dp status shop: "more", "-x"'));
  });

  test("dp env set APP, dp env:set, dp config set", async () => {
    const list = async () => (await said("env shop --reveal"))[1];
    expect((await said("env set shop A=1 --no-restart"))[0]).toBe(0);
    expect((await said("env:set shop B=2 --no-restart"))[0]).toBe(0);
    expect((await said("config set shop C=3 --no-restart"))[0]).toBe(0);
    expect(await list()).toBe("A=1\nB=2\nC=3\n");
    expect(await said("env get shop B")).toEqual([0, "2\n"]);
    expect((await said("env unset shop B C --no-restart"))[0]).toBe(0);
    expect(await said("env list shop --reveal")).toEqual([0, "A=1\n"]);
    // The audit log has the app, not the word before it.
    expect((await said("audit set"))[0]).toBe(2);
    expect((await said("audit shop"))[1]).toContain("env unset");
    expect(await said("env set A=1")).toEqual(usage("dp env APP set"));
    expect(await said("env A=1 B=2")).toEqual(usage("dp env APP set"));
    expect(await said("env set")).toEqual(usage("dp env APP set"));
  });

  test("an app called set is an app", async () => {
    expect((await said(`setup set --manager builtin --port ${await freePort()}`))[0]).toBe(0);
    expect((await said("env set set A=1 --no-restart"))[0]).toBe(0);
    expect(await said("env set --reveal")).toEqual([0, "A=1\n"]);
    expect(await said("env set shop")).toEqual(usage('unknown action "shop"'));
  });

  test.each([
    ["shell shop", "dp run shop -- sh"],
    ["jobs", "dp cron APP"],
    ["stauts", 'did you mean "status"?'],
    ["env:sett shop", 'did you mean "env:set"?'],
  ])("dp %s", async (text, hint) => expect(await said(text)).toEqual(usage(hint)));

  test("importing the program does nothing", async () => {
    const file = join(import.meta.dir, "../../lib/cli.ts");
    const script = `process.umask(0o077); await import(${JSON.stringify(file)}); console.log(process.umask());`;
    const { code, text } = await box.start([process.execPath, "-e", script]).done;
    expect([code, text]).toEqual([0, `${0o077}\n`]);
  });
});
