// One child at a time: its words, its end, and the end of all that it started.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DpError } from "../../lib/errors.ts";
import { isAlive } from "../../lib/host/process/process.ts";
import { tail } from "../../lib/host/process/output.ts";
import { asUser } from "../../lib/host/process/privilege.ts";
import { plainEnv, run } from "../../lib/host/run.ts";
import { until } from "../managers/contract.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-run-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const sh = (script: string) => ["sh", "-c", script];
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const pidIn = (file: string) => Number(readFileSync(join(folder, file), "utf8"));

describe("words", () => {
  test("both outputs arrive in their order, as lines and as text", async () => {
    const lines: string[] = [];
    const script = "echo one; echo two >&2; printf 'three\\n\\nno end'";
    const result = await run(sh(script), { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(["one", "two", "three", "", "no end"]);
    expect(result).toEqual({ code: 0, signal: null, timedOut: false, text: "one\ntwo\nthree\n\nno end" });
  });

  test("/dev/stderr and /dev/stdout can be opened by the child", async () => {
    const { text } = await run(sh("echo err > /dev/stderr; echo out > /dev/stdout; echo more >> /dev/stderr"));
    expect(text).toBe("err\nout\nmore");
  });

  test("a character that is cut by the pipe arrives whole", async () => {
    const { text } = await run(sh("printf '\\303'; sleep 0.1; printf '\\244'"));
    expect(text).toBe("ä");
  });

  test("of much output the end is kept, and every line was passed on", async () => {
    let count = 0;
    const { text } = await run(sh("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"), {
      keep: 100,
      onLine: () => count++,
    });
    expect(count).toBe(20_000);
    expect(text.length).toBeLessThanOrEqual(100);
    expect(text).toEndWith("line 19998\nline 19999");
  });

  test("the beginning of a line without end is passed on, and its end is kept", async () => {
    const lines: string[] = [];
    const { text } = await run(sh("head -c 20000000 /dev/zero | tr '\\0' x; printf end"), {
      onLine: (line) => lines.push(line),
    });
    expect(lines.map((line) => line.length)).toEqual([64 * 1024]);
    expect([text.length, text.slice(-4)]).toEqual([1024 * 1024, "xend"]);
  });

  test("a line without end does not grow for ever", async () => {
    const lines: string[] = [];
    await run(sh("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo next"), {
      keep: 1000,
      onLine: (line) => lines.push(line),
    });
    expect(lines.at(-1)).toBe("next");
    expect(lines[0]!.length).toBeLessThan(200_000);
  });

  test("stdin is empty unless a file is given; stdout may go to a file", async () => {
    expect((await run(["cat"])).text).toBe("");
    writeFileSync(join(folder, "in"), "from a file");
    const [stdin, stdout] = [openSync(join(folder, "in"), "r"), openSync(join(folder, "out"), "w")];
    const { text } = await run(sh("cat; echo talk >&2"), { stdin, stdout });
    for (const fd of [stdin, stdout]) closeSync(fd);
    expect([text, readFileSync(join(folder, "out"), "utf8")]).toEqual(["talk", "from a file"]);
  });
});

describe("ends", () => {
  test("a failure says what failed, how, and its last 25 lines", async () => {
    const error = await errorOf(
      run(sh("for i in 1 2 3 4 5 6 7 8 9; do echo $i$i; echo; echo $i-; echo $i+; done; exit 3")),
    );
    expect(error).toBeInstanceOf(DpError);
    const { exit, message, lines } = error as DpError;
    expect(exit).toBe("command");
    expect(message).toEndWith("exited with code 3");
    expect(lines.length).toBe(25);
    expect(lines.at(-1)).toBe("9+");
  });

  test("a failure is an answer when it is asked for", async () => {
    expect(await run(sh("exit 3"), { check: false })).toMatchObject({ code: 3, signal: null });
    expect(await run(sh("kill -9 $$"), { check: false })).toMatchObject({ code: 137, signal: "SIGKILL" });
  });

  test("a signal is named", async () => {
    expect(String(await errorOf(run(sh("kill -SEGV $$"))))).toContain("was killed by SIGSEGV");
  });

  test.each([
    ["missing", ["no-such-program-anywhere"]],
    ["missing by path", ["/no/such/program"]],
    ["not to be run", ["/etc/passwd"]],
  ])("a program that is %s is the host's lack", async (_, argv) => {
    const error = (await errorOf(run(argv))) as DpError;
    expect(error.exit).toBe("host");
    expect(error.message).toStartWith(argv[0]!);
  });

  test("arguments reach the program as they are", async () => {
    const words = ["a b", "$HOME", "`id`", "*", "", "'\"", "-n", "two\nlines"];
    const { text } = await run(["sh", "-c", 'printf "[%s]" "$@"', "sh", ...words]);
    expect(text).toBe(words.map((word) => `[${word}]`).join(""));
  });
});

describe("surroundings", () => {
  test("the environment is exactly what was given", async () => {
    process.env["DP_SECRET_OF_TEST"] = "leaked";
    const { text } = await run(["/usr/bin/env"], { env: { ONE: "1", TWO: "a b" } });
    expect(text.split("\n").sort()).toEqual(["ONE=1", "TWO=a b"]);
    const plain = await run(["/usr/bin/env"]);
    delete process.env["DP_SECRET_OF_TEST"];
    expect(
      plain.text
        .split("\n")
        .map((line) => line.split("=")[0])
        .sort(),
    ).toEqual(Object.keys(plainEnv()).sort());
    expect(plain.text).not.toContain("leaked");
  });

  test("what git hands to its hooks goes no further", async () => {
    process.env["GIT_DIR"] = ".";
    const { text } = await run(["/usr/bin/env"]);
    delete process.env["GIT_DIR"];
    expect(text).not.toContain("GIT_");
  });

  test("the current folder is / unless given, never dp's own", async () => {
    expect((await run(["pwd"])).text).toBe("/");
    expect((await run(["pwd"], { cwd: folder })).text).toBe(folder);
  });

  test("a child leads a group and a session of its own", async () => {
    const { text } = await run(sh("cut -d' ' -f5,6 /proc/$$/stat; echo $$"));
    const [ids, pid] = text.split("\n");
    expect(ids).toBe(`${pid} ${pid}`);
  });

  test.skipIf(process.getuid!() !== 0)("another user has nothing of root's left", async () => {
    const { text } = await run(sh("id -un; id -G; grep -E 'CapEff|CapBnd|NoNewPrivs|CapInh' /proc/self/status; pwd"), {
      user: "daemon",
    });
    expect(text).toStartWith("daemon\n");
    expect(text).toMatch(/CapInh:\t0+\n/);
    expect(text).toMatch(/CapEff:\t0+\n/);
    expect(text).toMatch(/NoNewPrivs:\t1/);
    expect(text.split("\n")[1]!.split(" ")).not.toContain("0");
  });

  test.skipIf(process.getuid!() !== 0)("another user can open /dev/stderr and /dev/stdout, too", async () => {
    const { text } = await run(sh("echo err > /dev/stderr; echo out > /dev/stdout"), { user: "daemon" });
    expect(text).toBe("err\nout");
  });

  test("a user that is root, or none, changes nothing", () => {
    expect(asUser(["a", "b"], undefined)).toEqual(["a", "b"]);
    expect(asUser(["a", "b"], "root")).toEqual(["a", "b"]);
  });
});

describe("time and abort", () => {
  const STUBBORN = "trap '' TERM; sleep 1000 & echo $! > grandchild; echo $$ > child; while :; do sleep 1000; done";

  test("a time limit ends the child, its children, and says so", async () => {
    const error = (await errorOf(
      run(sh("echo begun; sleep 1000 & echo $! > grandchild; wait"), { cwd: folder, timeout: 300 }),
    )) as DpError;
    expect(error.exit).toBe("command");
    expect(error.message).toContain("did not end within 0 s and was stopped");
    expect(error.lines).toEqual(["begun"]);
    await until("the grandchild is gone", () => !isAlive(pidIn("grandchild")));
  });

  test("who ignores SIGTERM is killed, and its children with it", async () => {
    const result = await run(sh(STUBBORN), { cwd: folder, timeout: 300, check: false });
    expect(result).toMatchObject({ timedOut: true, signal: "SIGKILL" });
    for (const name of ["child", "grandchild"]) await until(`${name} is gone`, () => !isAlive(pidIn(name)));
  }, 30_000);

  test("a grandchild that ignores SIGTERM does not outlive a child that heeds it", async () => {
    const script = "(trap '' TERM; echo $$ > child; sh -c 'echo $$ > grandchild; exec sleep 1000') & wait";
    const result = await run(sh(script), { cwd: folder, timeout: 500, check: false });
    expect(result.timedOut).toBe(true);
    await until("the grandchild is gone", () => !isAlive(pidIn("grandchild")));
  }, 30_000);

  test("a grandchild that ignores SIGTERM and holds no pipe does not outlive it either", async () => {
    const script = "(trap '' TERM; sh -c 'echo $$ > grandchild; exec sleep 1000') >/dev/null 2>&1 & wait";
    await run(sh(script), { cwd: folder, timeout: 500, check: false });
    await until("the grandchild is gone", () => !isAlive(pidIn("grandchild")));
  }, 30_000);

  test("an abort ends the group, and its reason is the error", async () => {
    const stop = new AbortController();
    const running = errorOf(run(sh("sleep 1000 & echo $! > grandchild; wait"), { cwd: folder, signal: stop.signal }));
    await until("it runs", () => existsSync(join(folder, "grandchild")) && pidIn("grandchild") > 0);
    const reason = new DpError("terminated", "stopped");
    stop.abort(reason);
    expect(await running).toBe(reason);
    await until("the grandchild is gone", () => !isAlive(pidIn("grandchild")));
  });

  test("what is aborted already does no work", async () => {
    const reason = new DpError("terminated", "stopped");
    const error = await errorOf(run(sh("sleep 1; touch done"), { cwd: folder, signal: AbortSignal.abort(reason) }));
    expect(error).toBe(reason);
    expect(existsSync(join(folder, "done"))).toBe(false);
  });

  test("a daemon that holds the pipe does not hold dp, and goes on", async () => {
    const { text, code } = await run(sh("sleep 1000 & echo $!"));
    expect(code).toBe(0);
    expect(isAlive(Number(text))).toBe(true);
    process.kill(Number(text), "SIGKILL");
  });

  test("a child that ends before its limit leaves no timer that could hit another", async () => {
    expect(await run(sh("exit 0"), { timeout: 60_000 })).toMatchObject({ timedOut: false });
    const child = Bun.spawnSync(
      [
        process.execPath,
        "-e",
        `const { run } = await import(${JSON.stringify(join(import.meta.dir, "../../lib/host/run.ts"))}); await run(["true"], { timeout: 3600000 });`,
      ],
      { env: plainEnv(), stdout: "ignore", stderr: "inherit" },
    );
    expect(child.exitCode).toBe(0);
  });
});

test("200 runs leave no open file behind, however they end", async () => {
  const open = () => readdirSync("/proc/self/fd").length;
  await run(["true"]);
  const before = open();
  for (let turn = 0; turn < 25; turn++) {
    const kinds = [
      ["true"],
      ["false"],
      ["no-such-program"],
      sh("echo x"),
      ["true"],
      ["echo", "y"],
      ["true"],
      sh("exit 2"),
    ];
    await Promise.all(kinds.map((argv) => errorOf(run(argv))));
  }
  // Bun closes its watch on a child a moment after the child's end is told.
  await until("they are closed", () => open() <= before + 2);
});

test.each([
  ["a\nb\n\nc\n\n", 2, ["b", "c"]],
  ["", 3, []],
  ["one", 3, ["one"]],
])("the tail of %j, %d lines", (text, count, expected) => expect(tail(text, count)).toEqual(expected));
