// Giving up rights: what the user's program gets, and what root's programs on the way to it do not.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { commandInTerminal, commandOf } from "../../../lib/host/process/privilege.ts";
import { run } from "../../../lib/host/run.ts";
import { loginName } from "../../../lib/host/users.ts";
import { SYSTEM_PATH } from "../../../lib/paths.ts";

const asRoot = process.getuid!() === 0;
/** What a C library, a loader or a shell heeds, beside values that are hard to hand on. */
const ENV = {
  GCONV_PATH: "/nowhere",
  LOCPATH: "/nowhere",
  GLIBC_TUNABLES: "glibc.malloc.check=0",
  LANG: "C.UTF-8",
  TMPDIR: "/tmp",
  PATH: "/usr/bin:/bin:/nowhere",
  HOME: "/nowhere/home",
  DP_APP: "shop",
  LINES_: "one\ntwo\n\nthree",
  QUOTES: `'"$HOME" \`id\` \\ %s`,
  EMPTY: "",
  i: "7",
  IFS: "o",
};

test("without another user the command is as it was", () => {
  for (const user of [undefined, "", asRoot ? "root" : loginName()])
    expect(commandOf(["a", "b"], ENV, user, "/srv")).toEqual({ argv: ["a", "b"], env: ENV });
});

test("who is not root runs nothing as another user: not as the caller either", () => {
  const drop = `if (process.getuid() === 0) process.setuid(65533);
    for (const user of ["root", "daemon"]) try { p.commandOf(["id"], {}, user); p.asUser(["id"], user); console.log("ran"); } catch (e) { console.log(e.exit, e.message); }
    console.log(p.commandOf(["id"], {}, undefined).argv.join());`;
  const source = `const p = await import(${JSON.stringify(join(import.meta.dir, "../../../lib/host/process/privilege.ts"))}); ${drop}`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", source], { env: {}, cwd: "/" });
  const refused = ["root", "daemon"].map((user) => `host dp is not root, and runs nothing as ${user}\n`);
  expect(stdout.toString()).toBe(`${refused.join("")}id\n`);
});

describe.skipIf(!asRoot)("as another user", () => {
  test("root's programs get no variable by which code is loaded, and no value is an argument", () => {
    for (const make of [commandOf, commandInTerminal]) {
      const { argv, env } = make(["a"], ENV, "daemon", "/srv");
      const names = Object.keys(env).filter((name) => !/^DP_VALUES?(?:_[0-9]+)?$/.test(name));
      expect(names.sort()).toEqual(["DP_APP", "HOME", "PATH"]);
      expect(env["PATH"]).toBe(SYSTEM_PATH);
      expect(argv.join(" ")).not.toContain("nowhere");
    }
  });

  test("its program gets every value as it is, and nothing of the way", async () => {
    const { text } = await run(["/usr/bin/env", "-0"], { env: ENV, user: "daemon", quiet: true });
    const entries = text.split("\0").filter(Boolean);
    const found = Object.fromEntries(entries.map((entry) => entry.split(/=([^]*)/, 2) as [string, string]));
    for (const own of ["PWD", "OLDPWD", "SHLVL", "_"]) delete found[own];
    expect(found).toEqual(ENV);
  });

  test("a name that only bash owns, or that no shell knows, does not end the command", async () => {
    const env = { UID: "4711", "A-B": "x", OPTIND: "none", LAST: "there" };
    const { text } = await run(["sh", "-c", 'echo "$LAST"'], { env, user: "daemon", quiet: true });
    expect(text).toBe("there");
  });

  test("a folder that it may not enter ends it", async () => {
    const { code } = await run(["true"], { user: "daemon", cwd: "/root", check: false, quiet: true });
    expect(code).not.toBe(0);
  });
});
