// The hooks as git runs them, with real pushes: dp is started when there is something to do, and only then.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainEnv } from "../../lib/host/run.ts";
import { render, template } from "../../lib/host/template.ts";

let folder: string;
let repo: string;
/** What dp was started for since the last push, one line each: hook, then its words without the repository. */
const calls = () => {
  const text = existsSync(log()) ? readFileSync(log(), "utf8") : "";
  rmSync(log(), { force: true });
  return text.split("\n").filter((line) => line !== "");
};
const log = () => join(folder, "calls");

const identity = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_AUTHOR_NAME: "D", GIT_COMMITTER_NAME: "D" };
const mail = { GIT_AUTHOR_EMAIL: "d@localhost", GIT_COMMITTER_EMAIL: "d@localhost" };
function git(...words: string[]): { code: number; text: string } {
  const env = { ...plainEnv(), ...identity, ...mail };
  const { exitCode, stdout, stderr } = Bun.spawnSync(["git", ...words], { cwd: join(folder, "code"), env });
  return { code: exitCode, text: `${stdout.toString()}${stderr.toString()}` };
}
const push = (...words: string[]) => git("push", "--quiet", repo, ...words);

/** A dp that writes down where and for what it was started; update does `then` as well. */
const DP = `#!/bin/sh
[ "$PWD" = / ] || echo "in $PWD" >>"$CALLS"
[ -z "\${BUN_OPTIONS-}\${BUN_BE_BUN-}" ] || echo "with BUN_OPTIONS" >>"$CALLS"
shift
hook=$1
shift 2
echo "$hook\${1:+ $1}" >>"$CALLS"
if [ "$hook" = update ] && [ -n "\${UNGATED-}" ]; then : >"$REPO/dp-owed"; fi
`;

async function writeHooks(more = ""): Promise<void> {
  const dp = join(folder, "dp");
  writeFileSync(dp, DP, { mode: 0o755 });
  const environment = `CALLS=${log()} REPO=${repo}; export CALLS REPO\n${more}`;
  for (const hook of ["pre-receive", "update", "post-receive"]) {
    const text = render(await template(`${hook}.sh`), { app: "shop", environment, program: dp, dp });
    writeFileSync(join(repo, "hooks", hook), text, { mode: 0o755 });
  }
}

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-hooks-")));
  repo = join(folder, "shop.git");
  mkdirSync(join(folder, "code"));
  git("init", "--quiet", "--initial-branch=main");
  git("init", "--quiet", "--bare", repo);
  git("--git-dir", repo, "config", "receive.advertisePushOptions", "true");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  await writeHooks();
  git("commit", "--quiet", "--allow-empty", "-m", "Change");
  calls();
});

describe("without push options", () => {
  test("a push of the deploy branch starts dp once, for the gate", () => {
    expect(push("main").code).toBe(0);
    expect(calls()).toEqual(["update refs/heads/main"]);
  });

  test("a push of another branch, of a tag and of a deletion: once for each, to say that it is stored", () => {
    git("tag", "--force", "v1");
    expect(push("main:feature", "v1").code).toBe(0);
    expect(calls().sort()).toEqual(["update refs/heads/feature", "update refs/tags/v1"]);
    expect(push(":feature", ":v1").code).toBe(0);
    expect(calls().sort()).toEqual(["update refs/heads/feature", "update refs/tags/v1"]);
  });

  test("a dp that is gone is told, and what to do", () => {
    rmSync(join(folder, "dp"));
    const { code, text } = push("main");
    expect(code).not.toBe(0);
    expect(text).toContain("dp is not installed on this server any more: run its install.sh, then push again");
  });

  test("a push of nothing new starts no dp", () => {
    expect([push("main").code, calls().length]).toEqual([0, 1]);
    expect(push("main").code).toBe(0);
    expect(calls()).toEqual([]);
  });

  test("what an earlier push noted under the same number is not taken for this one's", () => {
    // Which number git gets cannot be known: the note is made at the last moment.
    const hook = join(repo, "hooks/pre-receive");
    const stale = 'mkdir -p "$repo/dp-push-options"; echo "[]" >"$repo/dp-push-options/$PPID"\n';
    const text = readFileSync(hook, "utf8").replace("# Most pushes", () => `${stale}# Most pushes`);
    writeFileSync(hook, text, { mode: 0o755 });
    const update = join(repo, "hooks/update");
    const seen = '[ ! -e "$repo/dp-push-options/$PPID" ] || echo stale >>"$CALLS"\n';
    writeFileSync(
      update,
      readFileSync(update, "utf8").replace("exec ", () => `${seen}exec `),
      { mode: 0o755 },
    );
    expect(push("main").code).toBe(0);
    expect(calls().filter((line) => line === "stale")).toEqual([]);
  });
});

test("with push options dp hears of them first", () => {
  expect(push("--push-option=dry-run", "main").code).toBe(0);
  expect(calls()).toEqual(["pre-receive", "update refs/heads/main"]);
});

test("post-receive starts dp when update has left word for it, which stays until a deploy has begun", async () => {
  await writeHooks("UNGATED=1; export UNGATED\n");
  expect(push("main").code).toBe(0);
  expect(calls()).toEqual(["update refs/heads/main", "post-receive"]);
  expect(existsSync(join(repo, "dp-owed"))).toBe(true);
  rmSync(join(repo, "dp-owed"));
});

test("the environment of git cannot get code into dp", async () => {
  await writeHooks();
  const env = { ...plainEnv(), ...identity, ...mail, BUN_OPTIONS: "--preload=/x.ts", BUN_BE_BUN: "1" };
  const { exitCode } = Bun.spawnSync(["git", "push", "--quiet", repo, "main"], { cwd: join(folder, "code"), env });
  expect([exitCode, calls()]).toEqual([0, ["update refs/heads/main"]]);
});
