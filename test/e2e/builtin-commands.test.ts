// One-off commands, logs, the list of apps and their end, without root.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AppRow } from "../../lib/commands/apps.ts";
import {
  deployYml,
  isRunning,
  pidsWith,
  project,
  sandbox,
  SERVER,
  until,
  type Outcome,
  type Sandbox,
} from "../support/sandbox.ts";
import { freePort } from "../support/port.ts";
import { inTerminal } from "../support/typed.ts";

const SECRET = "s3cr3t-of-the-shop";
const DP = join(project, "bin/dp");
let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
});
afterAll(() => box?.stop());

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const dp = (code: number, ...words: string[]) => expectCode(box.dp(...words), code);
/** Sets up one more app, with a port that no other test takes meanwhile. */
const setUp = async (name: string) => dp(0, "setup", name, "--manager", "builtin", "--port", String(await freePort()));

test("without a live release, they say so", async () => {
  expect((await dp(2, "run", "shop", "--", "true")).text).toContain("shop has no live release yet");
  expect((await dp(2, "restart", "shop")).text).toContain("shop has no live release yet");
  expect((await dp(2, "run", "shp", "--", "true")).text).toContain('did you mean "shop"?');
  expect(JSON.parse((await dp(0, "apps", "--json")).stdout)).toMatchObject([
    { app: "shop", live: null, lastRun: null },
  ]);
});

describe("dp run", () => {
  beforeAll(async () => {
    writeFileSync(join(box.base, ".env.production"), `SECRET=${SECRET}\n`, { mode: 0o600 });
    await box.release({ "tool.sh": '#!/bin/sh\necho "$SECRET in $DP_RELEASE at $(pwd)" with "$@"\nexit 23\n' });
  });

  test("runs in the live release with its environment, hands on the words, and ends with its exit code", async () => {
    const id = box.link("current")!;
    const { stdout } = await dp(23, "run", "shop", "--", "./tool.sh", "a b", "--json", "$HOME");
    expect(stdout).toBe(`${SECRET} in ${id} at ${join(box.base, "releases", id)} with a b --json $HOME\n`);
    await dp(23, "run", "shop", "./tool.sh", "--help");
  });

  test("one word with spaces is a line for sh", async () => {
    expect((await dp(3, "run", "shop", "echo one | tr a-z A-Z; exit 3")).stdout).toBe("ONE\n");
  });

  test.each([
    [["no-such-program"], 127],
    [["sh", "-c", "kill -TERM $$"], 143],
  ])("%j ends with %d", async (words, code) => void (await dp(code, "run", "shop", "--", ...words)));

  test("nothing of dp's own environment is handed on", async () => {
    const { stdout } = await expectCode(
      box.start([DP, "run", "shop", "env"], { OWN_TOKEN: "mine", SSH_AUTH_SOCK: "/x" }).done,
      0,
    );
    expect(stdout).not.toMatch(/OWN_TOKEN|SSH_AUTH_SOCK|DP_ROOT/);
  });

  test("is a part of a pipe: stdin, stdout and stderr are apart, and bytes stay bytes", async () => {
    const line = `head -c 300000 /dev/urandom > "$1"; "$2" run shop -- sh -c 'cat; echo words >&2' < "$1" 2>"$1.err" | cmp - "$1"`;
    const path = join(box.root, "bytes");
    await expectCode(box.start(["/bin/sh", "-c", line, "sh", path, DP]).done, 0);
    expect(readFileSync(`${path}.err`, "utf8")).toBe("words\n");
  });

  test("ends with its reader", async () => {
    const line = '"$1" run shop -- yes | head -n 2';
    expect((await expectCode(box.start(["/bin/sh", "-c", line, "sh", DP]).done, 0)).stdout).toBe("y\ny\n");
  });

  test("a signal to dp goes to all of it", async () => {
    const mark = `${60_000 + Math.floor(Math.random() * 9_999)}`;
    const running = box.start([DP, "run", "shop", "--", "sh", "-c", `sleep ${mark} & wait`]);
    await until("it runs", () => pidsWith(`sleep\0${mark}`).length > 0);
    process.kill(running.pid, "SIGTERM");
    expect((await running.done).code).toBe(143);
    await until("all of it ended", () => pidsWith(`sleep\0${mark}`).length === 0);
  });
});

describe("dp run in a terminal", () => {
  const open = (...words: string[]) => inTerminal([DP, "run", "shop", "--", ...words], { ...box.env, TERM: "screen" });

  test("has one of its own, of the same kind and size, which follows", async () => {
    const typed = open(
      "sh",
      "-c",
      'tty; echo "$TERM"; while read -r line && test -z "$line"; do stty size; done; exit 5',
    );
    await typed.sees("screen\n");
    expect(typed.shown()).toMatch(/^\/dev\/pts\/\d+\nscreen\n/);
    typed.type("\r");
    await typed.sees("31 91");
    typed.resize(120, 40);
    // Nothing tells from here that it has arrived: the command is asked until it says so.
    await until("the new size", () => {
      typed.type("\r");
      return typed.shown().includes("40 120");
    });
    typed.type("end\r");
    expect(await typed.done).toBe(5);
  });

  test("Ctrl-C is for the command, Ctrl-D ends its input, and the terminal is as it was", async () => {
    const wait = `trap 'seen=1; echo caught' INT; echo ready; while [ -z "$seen" ]; do sleep 0.05; done; cat; echo over; exit 4`;
    const typed = open("sh", "-c", wait);
    await typed.sees("ready");
    typed.type("\x03");
    await typed.sees("caught");
    typed.type("line\r");
    await typed.sees("line\nline\n");
    typed.type("\x04");
    expect(await typed.done).toBe(4);
    expect(typed.shown()).toContain("over");
  });

  test("it is what controls the command: nothing of the operator's session does", async () => {
    const typed = open(
      "sh",
      "-c",
      'echo "$(tty) is /dev/$(ps -o tty= -p $$), session $(ps -o sid= -p $PPID) and $(ps -o sid= -p $$)"',
    );
    expect(await typed.done).toBe(0);
    const [, mine, controls, parents, own] = /(\S+) is (\S+), session +(\d+) and +(\d+)/.exec(typed.shown())!;
    expect(controls).toBe(mine!);
    expect(own).not.toBe(parents!);
  });

  test("it is not the operator's: what is typed into it by force stays in it", async () => {
    const force = `import fcntl, termios, time
for letter in b"echo hijacked\\n":
    try:
        fcntl.ioctl(0, termios.TIOCSTI, bytes([letter]))
    except OSError:
        print("refused"); break
print("tried", flush=True)`;
    writeFileSync(join(box.root, "force.py"), force);
    const line = `"$1" run shop -- python3 "$2"; echo "back with $?"; read -r -t 1 left; echo "left: [$left]"`;
    const typed = inTerminal(["bash", "-c", line, "bash", DP, join(box.root, "force.py")], box.env);
    await typed.done;
    expect(typed.shown()).toContain("tried");
    expect(typed.shown()).toContain("back with 0");
    expect(typed.shown()).toContain("left: []");
  });

  test("with its output elsewhere, it has no terminal at all", async () => {
    const line = `"$1" run shop -- sh -c 'test -t 0 || test -t 1 || test -t 2 || echo none' > "$2"`;
    const path = join(box.root, "elsewhere");
    const typed = inTerminal(["sh", "-c", line, "sh", DP, path], box.env);
    expect(await typed.done).toBe(0);
    expect(readFileSync(path, "utf8")).toBe("none\n");
    const plain = inTerminal([DP, "run", "--no-tty", "shop", "tty"], box.env);
    expect(await plain.done).toBe(1);
    expect(plain.shown()).toBe("not a tty\n");
  });
});

test("a deploy neither ends a one-off command nor takes its release away", async () => {
  const door = join(box.root, "door");
  const running = box.start([
    DP,
    "run",
    "shop",
    "--",
    "sh",
    "-c",
    `echo in; while [ ! -e ${door} ]; do sleep 0.05; done; cat say`,
  ]);
  const old = box.link("current")!;
  const said = (await box.dp("run", "shop", "cat", "say")).stdout;
  writeFileSync(join(box.base, "config.yml"), `${readFileSync(join(box.base, "config.yml"), "utf8")}keep: 1\n`);
  for (const say of ["two", "three", "four"]) await box.release({ say });
  expect(readdirSync(join(box.base, "releases"))).toContain(old);
  writeFileSync(door, "");
  const { code, stdout } = await running.done;
  expect([code, stdout]).toEqual([0, `in\n${said}`]);
  await box.release({ say: "five" });
  expect(readdirSync(join(box.base, "releases"))).not.toContain(old);
  expect(existsSync(join(box.root, "var/log/deployments/shop", `${old}.app.log`))).toBe(false);
});

describe("dp logs", () => {
  const lines = async (...words: string[]) => (await dp(0, "logs", "shop", ...words)).stdout.trimEnd().split("\n");
  const texts = async (...words: string[]) => (await lines(...words)).map((line) => line.replace(/^\S+ \S+ /, ""));

  beforeAll(async () => {
    const talk = 'print("listening on", server.getsockname()[1], os.environ.get("SECRET", ""), flush=True)';
    const more = `${talk}\nfor number in range(200):\n    print("number", number, flush=True)\n`;
    await box.release({ "server.py": SERVER.replace(talk, more) });
    await until("all is said", async () => (await texts("-n", "1"))[0] === "number 199");
  });

  test("each line has its time and process; secrets are masked", async () => {
    const found = await lines();
    expect(found).toHaveLength(100);
    for (const line of found)
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z web\[\d+-\w{7}\]: number \d+$/);
    expect((await texts("--grep", "listening"))[0]).toMatch(/^listening on \d+ \*\*\*$/);
  });

  test("-n counts what matches, and --since what is not older", async () => {
    expect(await texts("--grep", "^number 1?[57]$", "-n", "3")).toEqual(["number 7", "number 15", "number 17"]);
    expect(await texts("--since", "1h")).toHaveLength(201);
    expect((await dp(0, "logs", "shop", "--since", "0s")).stdout).toBe("");
    expect(JSON.parse((await lines("-n", "1", "--json"))[0]!)).toMatchObject({
      app: "shop",
      process: "web",
      line: "number 199",
    });
  });

  test.each([
    [["--grep", "("], "--grep"],
    [["--since", "tomorrow"], "is not a time"],
    [["--since"], "--since needs a value"],
    [["--deploy", "--since", "1h"], "has none"],
    [["--failed"], "has failed"],
  ])("%j is refused", async (words, why) => {
    expect((await dp(2, "logs", "shop", ...words)).text).toContain(why);
  });

  test("-f goes on with the release that comes next", async () => {
    const following = Bun.spawn([DP, "logs", "shop", "-f", "-n", "1"], {
      cwd: "/",
      env: box.env,
      stdin: "ignore",
      stdout: "pipe",
    });
    const reader = following.stdout.getReader();
    let seen = "";
    const see = async (text: string) => {
      while (!seen.includes(text)) seen += Buffer.from((await reader.read()).value!).toString();
    };
    await see("number 199");
    const next = await box.release({ "server.py": SERVER, say: "six" });
    await see(`web[${next}]: listening on`);
    following.kill("SIGINT");
    expect(await following.exited).toBe(0);
    expect(seen).not.toContain(SECRET);
  });

  test("--failed shows what the failed release said, and what its deploy said", async () => {
    await box.commit({ mode: "crash" });
    await expectCode(box.push(), 1);
    expect((await texts("--failed")).at(-1)).toBe("boom: it does not start");
    expect((await dp(0, "logs:failed", "shop", "--deploy")).stdout).toContain("FAILED at check");
    const good = box.ids().at(-2)!;
    expect((await dp(0, "logs", "shop", "--deploy", good)).stdout).toContain(`live: shop ${good}`);
    await box.release({ mode: "" });
  });
});

describe("several apps", () => {
  const apps = async () => JSON.parse((await dp(0, "apps:list", "--json")).stdout) as AppRow[];

  test("dp apps shows each, damaged ones too", async () => {
    for (const name of ["shopping", "other"]) await setUp(name);
    mkdirSync(join(box.base, "../broken"));
    writeFileSync(join(box.base, "../broken/config.yml"), "port: many\n");
    const found = await apps();
    expect(found.map(({ app }) => app)).toEqual(["broken", "other", "shop", "shopping"]);
    expect(found[0]!.error).toContain("config.yml");
    const live = box.link("current")!;
    expect(found[2]).toMatchObject({
      ...{ type: "python", manager: "builtin", port: box.port, live, process: { state: "running" }, error: null },
      lastRun: { id: live, state: "good", kind: "deploy" },
    });
    const table = (await dp(0, "apps")).stdout;
    expect(table).toMatch(/^APP +TYPE +MANAGER +PORT +LIVE +HEALTH +LAST DEPLOY\n/);
    expect(table).toMatch(new RegExp(`\nshop +python +builtin +${box.port} +${live} +running, healthy `));
  });

  test("dp destroy asks for the name, and refuses while a deploy runs", async () => {
    expect((await dp(2, "destroy", "shop")).text).toContain("--yes");
    const typed = inTerminal([DP, "destroy", "shop"], box.env);
    await typed.sees("Type its name: ");
    typed.type("shopping\r");
    expect(await typed.done).toBe(2);
    expect(typed.shown()).toContain("nothing was changed");
    const door = join(box.root, "next");
    await box.commit({ "deploy.yml": deployYml("shop", `build: while [ ! -e ${door} ]; do sleep 0.02; done\n`) });
    const pushing = box.push();
    await until("it builds", () => box.run().journal["build"]?.state === "running");
    expect((await dp(5, "destroy", "shop", "--yes")).text).toContain("is running");
    writeFileSync(door, "");
    await expectCode(pushing, 0);
    expect(await box.answer()).toStartWith("six");
  });

  test("dp destroy takes one away, all of it, keeps what cannot be pushed again, and leaves the others alone", async () => {
    writeFileSync(join(box.base, "shared/diary"), "dear diary");
    const [pid] = Object.values(box.instances()).flat();
    const mark = `${70_000 + Math.floor(Math.random() * 9_999)}`;
    const oneOff = box.start([DP, "run", "shop", "--", "sh", "-c", `exec sleep ${mark}`]);
    await until("it runs", () => pidsWith(`sleep\0${mark}`).length > 0);
    const others = JSON.stringify((await apps()).filter(({ app }) => app !== "shop"));
    const typed = inTerminal([DP, "destroy", "shop"], box.env);
    await typed.sees("Type its name: ");
    typed.type("shop\r");
    expect(await typed.done).toBe(0);
    expect((await oneOff.done).code).not.toBe(0);
    expect(isRunning(pid!)).toBe(false);
    expect(JSON.stringify(await apps())).toBe(others);
    for (const path of [box.base, box.repo, join(box.root, "var/log/deployments/shop")])
      expect(existsSync(path)).toBe(false);
    for (const name of ["shopping", "other"]) expect(existsSync(join(box.base, "..", name, "config.yml"))).toBe(true);
    await expect(box.answer()).rejects.toThrow();
    const archive = /are in (\S+)/.exec(typed.shown())![1]!;
    const kept = await expectCode(
      box.start(["tar", "-xzOf", archive, "./shared/diary", "./.env.production", "./config.yml"]).done,
      0,
    );
    expect(kept.stdout).toContain("dear diary");
    expect(kept.stdout).toContain(SECRET);
    expect((await dp(2, "destroy", "shop", "--yes")).text).toContain('there is no app "shop"');
  });

  test.each([
    ["tar", 1],
    ["rm", 1],
    ["rm", 2],
    ["rm", 4],
    ["rm", 6],
  ])(
    "killed at its call %s number %d, destroy is typed again, and ends with all of it gone and kept",
    async (program, number) => {
      const fake = join(box.root, `fake-${program}-${number}`);
      const real = Bun.which(program, { PATH: "/usr/bin:/bin" })!;
      mkdirSync(fake);
      const count = `n=$(cat '${fake}/count' 2>/dev/null || echo 0); n=$((n + 1)); echo $n > '${fake}/count'`;
      const script = `#!/bin/sh\n${count}\n[ $n != ${number} ] || { kill -9 $PPID; exit 1; }\nexec ${real} "$@"\n`;
      writeFileSync(join(fake, program), script, { mode: 0o755 });
      await setUp("short");
      const base = join(box.base, "../short");
      writeFileSync(join(base, "shared/diary"), "dear diary");
      const { code } = await box.start([DP, "destroy", "short", "--yes"], { PATH: `${fake}:${box.env["PATH"]}` }).done;
      expect(code).toBe(137);
      await dp(0, "destroy", "short", "--yes");
      for (const path of [base, join(box.root, "var/repos/short.git"), join(box.root, "var/log/deployments/short")])
        expect([path, existsSync(path)]).toEqual([path, false]);
      const backups = join(box.root, "var/backups/dp");
      const newest = readdirSync(backups)
        .filter((name) => /^short-.*\.gz$/.test(name))
        .sort()
        .at(-1)!;
      const kept = await expectCode(box.start(["tar", "-xzOf", join(backups, newest), "./shared/diary"]).done, 0);
      expect(kept.stdout).toBe("dear diary");
      for (const name of readdirSync(backups))
        if (name.startsWith("short-")) await box.start(["rm", join(backups, name)]).done;
    },
  );

  test("an app that was set up again after a destroy that failed is archived anew", async () => {
    await setUp("again");
    const base = join(box.base, "../again");
    // A file system of its own, say: what rm cannot take away, as long as there is something in it.
    const fake = join(box.root, "fake-rm");
    mkdirSync(fake);
    const script = `#!/bin/sh\ncase "$*" in *again/shared) exit 1;; esac\nexec /bin/rm "$@"\n`;
    writeFileSync(join(fake, "rm"), script, { mode: 0o755 });
    const path = `${fake}:${box.env["PATH"]}`;
    const { code } = await box.start([DP, "destroy", "again", "--yes"], { PATH: path }).done;
    expect([code !== 0, existsSync(join(base, "destroyed"))]).toEqual([true, true]);
    await dp(0, "setup", "again", "--manager", "builtin");
    writeFileSync(join(base, "shared/diary"), "written since");
    const { stdout } = await dp(0, "destroy", "again", "--yes", "--json");
    const { archive } = JSON.parse(stdout) as { archive: string };
    const kept = await expectCode(box.start(["tar", "-xzOf", archive, "./shared/diary"]).done, 0);
    expect(kept.stdout).toBe("written since");
  });

  test("two at once: both set the app up, one of them destroys it", async () => {
    for (const name of ["twice", "again-twice", "thrice"]) {
      const words = ["setup", name, "--manager", "builtin", "--port", String(await freePort())];
      const set = await Promise.all([1, 2].map(() => box.dp(...words)));
      expect(set.map(({ code, text }) => (code === 0 ? "" : text))).toEqual(["", ""]);
      expect(readdirSync(dirname(box.repo)).filter((file) => file.startsWith(name))).toEqual([`${name}.git`]);
      const gone = await Promise.all([1, 2].map(() => box.dp("destroy", name, "--yes", "--purge")));
      expect(gone.filter(({ code }) => code === 0)).toHaveLength(1);
      expect(gone.map(({ text }) => text).join("")).toMatch(/there is no app|is running/);
      expect(existsSync(join(dirname(box.base), name))).toBe(false);
    }
  });

  test("what an interrupted destroy left is taken away by the next; --purge keeps nothing", async () => {
    const base = join(box.base, "../other");
    mkdirSync(join(base, "releases/1-aaaaaaa"), { recursive: true });
    const { stdout } = await dp(0, "destroy", "other", "--yes", "--purge", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ app: "other", archive: null });
    mkdirSync(base);
    writeFileSync(join(base, "lock"), "");
    await dp(0, "destroy", "other", "--yes");
    expect(existsSync(base)).toBe(false);
    await dp(0, "destroy", "shopping", "--yes");
  });
});
