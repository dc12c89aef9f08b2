// What a pusher, or a slip of the hand, may try: each is refused with a clear line, or harmless.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployYml, project, sandbox, type Outcome, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let first: string;
beforeAll(async () => {
  box = await sandbox();
  await box.release({});
  first = (await box.git("rev-parse", "HEAD")).stdout.trim();
});
afterAll(() => box?.stop());

const marker = () => join(box.root, "marker");

async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}

/** The working copy as the server's branch is. */
async function fresh(): Promise<void> {
  await box.git("fetch", "--quiet", "production", "main");
  await box.git("reset", "--quiet", "--hard", "FETCH_HEAD");
}

/** What dp says to a commit with these files; links are given as `-> TARGET`. */
async function planOf(files: Record<string, string>): Promise<Outcome> {
  await box.git("reset", "--quiet", "--hard", first);
  const links = Object.entries(files).filter(([, text]) => text.startsWith("-> "));
  await box.git("rm", "--quiet", "--ignore-unmatch", ...links.map(([name]) => name), "say");
  for (const [name, text] of links) symlinkSync(text.slice(3), join(box.code, name));
  await box.commit(Object.fromEntries(Object.entries(files).filter(([, text]) => !text.startsWith("-> "))));
  await box.git("--git-dir", box.repo, "fetch", "--quiet", box.code, "+HEAD:refs/heads/trial");
  return box.dp("plan", "shop", "trial");
}

test.each([
  "Shop",
  "../shop",
  "/etc",
  "shop/../x",
  "-a",
  "--port",
  "a--b",
  "ssh",
  "root",
  "sh op",
  "shop\n",
  "shop;id",
  "x".repeat(29),
  "",
  "@",
  "shöp",
  "dp",
  "%h",
])("dp setup refuses the name %j", async (name) => {
  const before = readdirSync(join(box.root, "opt/deployments"));
  const outcome = await box.dp("setup", name);
  expect(outcome.code).toBe(2);
  expect(outcome.text.length).toBeGreaterThan(20);
  expect(readdirSync(join(box.root, "opt/deployments"))).toEqual(before);
});

describe("deploy.yml", () => {
  const yml = (changes: Record<string, string>) => {
    const keys: Record<string, string> = {
      name: "shop",
      type: "python",
      healthCheck: "/health",
      command: "exec true",
      ...changes,
    };
    return Object.entries(keys)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join("");
  };
  test.each([
    ["another app's name", { name: "other" }, /is for "other", and this is "shop"/],
    ["a unit's name", { name: "'ssh.service'" }, /deploy\.yml:1:1 name/],
    ["a name that is an option", { name: "'--host=evil'" }, /deploy\.yml:1:1 name/],
    ["a path as name", { name: "'../../etc'" }, /deploy\.yml:1:1 name/],
    ["a health path with a host", { healthCheck: "'@169.254.169.254/x'" }, /healthCheck/],
    ["a health path with a scheme", { healthCheck: "'http://169.254.169.254/'" }, /healthCheck/],
    ["a health path with two slashes", { healthCheck: "'//169.254.169.254/'" }, /healthCheck/],
    ["a health path with a new line", { healthCheck: '"/a\\r\\nHost: x"' }, /healthCheck/],
    ["a health path with digits for the port", { healthCheck: "'80/x'" }, /healthCheck/],
    ["a redirect as healthy", { healthCheck: "{path: /, status: 302}" }, /healthCheck\.status/],
    ["a command with a NUL", { command: '"a\\0b"' }, /command/],
    ["a command with a new line", { command: '"a\\nb"' }, /command/],
    ["an empty command", { command: '""' }, /command/],
    ["a list as command", { command: "[a, b]" }, /command/],
    ["an absolute hook", { hooks: "{preDeploy: /usr/bin/id}" }, /hooks\.preDeploy.*relative/],
    ["a hook out of the repo", { hooks: "{preDeploy: ./../../../x.sh}" }, /hooks\.preDeploy.*stay inside/],
    ["a hook that is not there", { hooks: "{preDeploy: ./none.sh}" }, /the commit has no file none\.sh/],
    ["a hook that is a folder", { hooks: "{preDeploy: ./}" }, /hooks\.preDeploy/],
    ["an alias bomb", { command: "&a [*a, *a]" }, /deploy\.yml/],
    ["a tag", { command: "!!js/function 'x'" }, /deploy\.yml/],
    ["a key twice", { "command ": "x", "? command\n": "y" }, /deploy\.yml/],
    ["an unknown key", { usr: "root" }, /usr: unknown key/],
    [
      "the operator's keys",
      { port: "22", user: "root" },
      /port: the public port is set on the server[\s\S]*user: is set on the server/,
    ],
  ])("with %s is refused", async (_, changes, says) => {
    const outcome = await expectCode(planOf({ "deploy.yml": yml(changes as Record<string, string>) }), 3);
    expect(outcome.text).toMatch(says);
  });

  test.each([
    [
      "a hook that is not executable",
      { "deploy.yml": deployYml("shop", "hooks: {preDeploy: ./a.sh}\n"), "a.sh": "echo\n" },
      /a\.sh is not executable: git update-index --chmod=\+x a\.sh/,
    ],
    [
      "a hook with Windows line ends",
      { "deploy.yml": deployYml("shop", "hooks: {preDeploy: ./a.sh}\n"), "a.sh": "#!/bin/sh\r\necho\r\n" },
      /a\.sh has Windows line ends/,
    ],
    [
      "a hook that is a link out of the repo",
      { "deploy.yml": deployYml("shop", "hooks: {preDeploy: ./a.sh}\n"), "a.sh": "-> /usr/bin/id" },
      /a\.sh: a link out of the repository, to \/usr\/bin\/id/,
    ],
    ["a deploy.yml that is a link", { "deploy.yml": "-> server.py" }, /deploy\.yml is a symlink, not a file/],
    ["a link to the server's files", { secrets: "-> ../../../../etc/shadow" }, /secrets: a link out of the repository/],
    ["an absolute link", { secrets: "-> /etc/shadow" }, /secrets: a link out of the repository/],
    ["a deploy.yml that is empty", { "deploy.yml": "" }, /deploy\.yml/],
    ["a deploy.yml that is no UTF-8 text", { "deploy.yml": "name: \0\0" }, /deploy\.yml/],
  ])("%s is refused", async (_, files, says) => {
    const outcome = await expectCode(planOf(files as Record<string, string>), 3);
    expect(outcome.text).toMatch(says);
  });

  test.each([
    ["without an address", null, "lib: a submodule without a url in .gitmodules"],
    ["that is a program", "ext::touch %S", "fetches submodules by https, http, git and ssh only"],
    ["that is a folder of the server", "/etc", "fetches submodules by https, http, git and ssh only"],
    ["that is an option", "--upload-pack=touch", "fetches submodules by https, http, git and ssh only"],
  ])("a submodule %s is refused", async (_, url, words) => {
    await box.git("reset", "--quiet", "--hard", first);
    if (url !== null) {
      writeFileSync(join(box.code, ".gitmodules"), `[submodule "lib"]\n\tpath = lib\n\turl = "${url}"\n`);
      await box.git("add", ".gitmodules");
    }
    await box.git("update-index", "--add", "--cacheinfo", `160000,${first},lib`);
    await box.git("commit", "--quiet", "-m", "Submodule");
    await box.git("--git-dir", box.repo, "fetch", "--quiet", box.code, "+HEAD:refs/heads/trial");
    const outcome = await expectCode(box.dp("plan", "shop", "trial"), 3);
    expect(outcome.text).toContain(words);
    await box.git("reset", "--quiet", "--hard", first);
  });
});

describe("a commit that means to run inside dp", () => {
  beforeAll(async () => {
    await box.git("reset", "--quiet", "--hard", first);
    const evil = `require("fs").appendFileSync(${JSON.stringify(marker())}, process.argv.join(" ") + "\\n");\n`;
    await box.release({
      "evil.js": evil,
      "bunfig.toml": 'preload = ["./evil.js"]\n[run]\nbun = true\n',
      ".env": `DP_ROOT=/nowhere\nDP_STEPS=/nowhere\nBUN_OPTIONS=--preload=./evil.js\nNODE_OPTIONS=--require=./evil.js\n`,
      "tsconfig.json":
        '{"compilerOptions": {"paths": {"*": ["./evil.js"], "node:fs": ["./evil.js"], "valibot": ["./evil.js"]}}}\n',
      "package.json": '{"name": "evil", "imports": {"#x": "./evil.js"}, "overrides": {"valibot": "file:."}}\n',
      "node_modules/valibot/index.js": evil,
    });
  });

  test("did not, while it was deployed", () => expect(existsSync(marker())).toBe(false));

  test.each([["status"], ["releases", "shop"], ["plan"], ["step"], ["deploy", "shop"], ["fact"]])(
    "does not when dp %s is typed in its folder",
    async (...words: unknown[]) => {
      const args = words.filter((word) => typeof word === "string");
      for (const cwd of [box.code, join(box.base, "current")]) {
        const argv = ["/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", cwd, join(project, "bin/dp"), ...args];
        await expectCode(box.start(argv).done, 0);
      }
      expect(existsSync(marker())).toBe(false);
    },
  );

  test("does not when a step is run in its folder", async () => {
    const context = (await box.dp("begin", "shop")).stdout.trim();
    await expectCode(box.start([join(project, "steps/read.ts"), context]).done, 0);
    expect(existsSync(marker())).toBe(false);
  });
});

test("a link named venv, and folders that dp has names for, are just files of the app", async () => {
  await fresh();
  mkdirSync(join(box.code, "current"));
  writeFileSync(join(box.code, "current/file"), "x");
  symlinkSync("current", join(box.code, "venv"));
  const id = await box.release({ "releases/1-0000000/x": "x", "requirements-dev.txt": "" });
  expect(await box.answer()).toEndWith(id);
  expect(statSync(join(box.base, "releases", id)).isDirectory()).toBe(true);
});

describe("names of commits and releases that look like something else", () => {
  const refs = [
    "--upload-pack=touch x",
    "-h",
    "--help-me",
    "main; id",
    "$(id)",
    "../../HEAD",
    "HEAD^{/x}",
    "",
    "refs/dp/../main",
  ];
  test.each(refs)("dp deploy shop %j is refused and deploys nothing", async (ref) => {
    const before = box.ids();
    for (const args of [[ref], ["--", ref]])
      expect((await box.dp("deploy", "shop", ...args)).code).toBe(ref === "-h" && args.length === 1 ? 0 : 2);
    expect(box.ids()).toEqual(before);
  });

  test.each(["--all", "../1", "999", "1-fffffff", "zzzz", "1e0", "007"])(
    "dp rollback shop %j is refused",
    async (wish) => {
      const live = box.link("current");
      const outcome = await expectCode(box.dp("rollback", "shop", "--", wish), 2);
      expect(outcome.text).toContain("dp:");
      expect(box.link("current")).toBe(live);
    },
  );

  test.each(["main", "HEAD", "-1", "0".repeat(40), "f".repeat(40), "a".repeat(39), "--exec=id"])(
    "dp execute with the commit %j is refused",
    async (sha) => {
      const before = box.ids();
      const outcome = await expectCode(box.dp("execute", box.repo, sha), 2);
      expect(outcome.text).toMatch(/is not the full name of a commit|has no commit|unknown option/);
      expect(box.ids()).toEqual(before);
    },
  );

  test.each(["/", "/nowhere", ".", ""])("dp execute on %j, no app's repository, is refused", async (repo) => {
    const outcome = await expectCode(box.dp("execute", repo, first), 2);
    expect(outcome.text).toContain("is not the repository of an app");
  });

  test("a copy of the repository, and a link to another, are no app's", async () => {
    const copy = join(box.root, "copy/shop.git");
    await expectCode(box.git("clone", "--quiet", "--bare", box.repo, copy), 0);
    await expectCode(box.dp("execute", copy, first), 2);
    const link = join(box.root, "var/repos/other.git");
    symlinkSync(copy, link);
    await expectCode(box.dp("execute", link, first), 2);
  });
});

describe("the env file", () => {
  const values = {
    SPACES: '"two  words"',
    DOLLAR: "'$(touch /nowhere) `id` $HOME'",
    HASH: '"a # b"',
    QUOTES: `"it's \\"so\\""`,
    LINES: '"one\\ntwo"',
    PERCENT: "100%h%n",
    BACKSLASH: "'C:\\\\temp'",
    EMPTY: "",
    UNICODE: "grüße",
  };
  test("reaches build and app as it is, whatever it holds", async () => {
    const path = join(box.base, ".env.production");
    writeFileSync(
      path,
      Object.entries(values)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
    );
    await fresh();
    const dump = "python3 -c 'import os, json; print(json.dumps(dict(os.environ)))' > env.json";
    await box.release({ "deploy.yml": deployYml("shop", `build: ${JSON.stringify(dump)}\n`) });
    const env = (await Bun.file(join(box.base, "current/env.json")).json()) as Record<string, string>;
    expect(env).toMatchObject({
      SPACES: "two  words",
      DOLLAR: "$(touch /nowhere) `id` $HOME",
      HASH: "a # b",
      QUOTES: `it's "so"`,
      LINES: "one\ntwo",
      PERCENT: "100%h%n",
      BACKSLASH: "C:\\\\temp",
      EMPTY: "",
      UNICODE: "grüße",
      DP_APP: "shop",
      PORT: String(box.port),
    });
    const allowed =
      /^(SPACES|DOLLAR|HASH|QUOTES|LINES|PERCENT|BACKSLASH|EMPTY|UNICODE|LANG|PYTHONUNBUFFERED|PATH|HOME|PORT|DP_(HOST|APP|RELEASE|COMMIT|ENV|BUILD)|GIT_REV|PWD|OLDPWD|SHLVL|_|LC_CTYPE)$/;
    expect(Object.keys(env).filter((name) => !allowed.test(name))).toEqual([]);
  });

  test.each(["PATH=/tmp", "LD PRELOAD=x", "DP_ROOT=/tmp", "A=1\nA=2", 'A="open', "A = 1", "=x", "PORT=1"])(
    "with %j is refused by line, and nothing is deployed",
    async (text) => {
      writeFileSync(join(box.base, ".env.production"), `${text}\n`);
      const outcome = await box.dp("plan", "shop");
      expect(outcome.text).toMatch(/\.env\.production:\d/);
      expect(outcome.code).toBe(3);
      writeFileSync(join(box.base, ".env.production"), "");
    },
  );
});
