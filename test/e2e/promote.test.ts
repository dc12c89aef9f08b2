// What was proved on one app goes live on another, here and on another server: the same commit, the same built files, the
// other app's own settings, hooks and checks; and all the ways in which nothing changes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { claimPort } from "../support/port.ts";
import { connect, type Pair } from "../support/remote-laptop.ts";
import { deployYml, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";
import { sshdUnavailable, type Sshd } from "../support/sshd.ts";

let box: Sandbox;
let staging: { port: number; release(): void };
const STAGING = "shop-staging";

/** The app with a build that says what it was built with, and a hook that says what it runs with. */
const YML = deployYml(
  "shop",
  `build: mkdir -p out && echo "built with $SETTING as $DP_APP" > out/built
hooks: {preDeploy: 'echo "$SETTING" >> hooked && cp hooked out/hooked'}
shared: {files: [hooked], dirs: [data]}
`,
);

beforeAll(async () => {
  box = await sandbox();
  staging = await claimPort();
  const options = ["--port", String(staging.port), "--manager", "builtin", "--front", "relay"];
  expectCode(await box.dp("setup", STAGING, ...options), 0);
  appendFileSync(fileOf(STAGING, "config.yml"), "verifyTime: 0s\nfor: shop\n");
  writeFileSync(fileOf(STAGING, ".env.production"), "SETTING=of-staging\n", { mode: 0o600 });
  writeFileSync(fileOf("shop", ".env.production"), "SETTING=of-production\n", { mode: 0o600 });
  await box.git("remote", "add", "staging", join(box.root, "var/repos", `${STAGING}.git`));
  await box.commit({ "deploy.yml": YML });
});
afterAll(async () => {
  staging?.release();
  await box?.stop();
});

const fileOf = (app: string, ...path: string[]) => join(box.root, "opt/deployments", app, ...path);
const current = (app: string) => join(fileOf(app), "current");
const built = (app: string) => readFileSync(join(current(app), "out/built"), "utf8").trim();
const tip = async (app: string) =>
  (await box.git("--git-dir", join(box.root, "var/repos", `${app}.git`), "rev-parse", "main")).stdout.trim();
const head = async () => (await box.git("rev-parse", "HEAD")).stdout.trim();
const promote = (...more: string[]) => box.dp("promote", STAGING, "shop", ...more);
/** The files that wait for a run. */
const waiting = () =>
  (existsSync(fileOf("shop", "promoted")) ? readdirSync(fileOf("shop", "promoted")) : []).filter((name) =>
    name.endsWith(".tar"),
  );

function expectCode(outcome: Outcome, code: number): void {
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
}

/** A release that is live on staging; answers its ID. */
async function proved(files: Record<string, string | null>): Promise<string> {
  await box.commit(files);
  expectCode(await box.push("staging", "main"), 0);
  const status = JSON.parse((await box.dp("status", STAGING, "--json")).stdout) as { live: unknown };
  return /\d+-[0-9a-f]{7}/.exec(JSON.stringify(status))![0];
}

/** Nothing of the app has changed, and it serves. */
async function expectUnchanged(live: string | null, branch: string): Promise<void> {
  expect(box.link("current")).toBe(live);
  if (live !== null) expect(await box.answer()).toEndWith(live);
  expect(await tip("shop")).toBe(branch);
  expect(waiting()).toEqual([]);
}

describe("on one server", () => {
  test("nothing live: nothing to promote", async () => {
    const outcome = await promote();
    expectCode(outcome, 2);
    expect(outcome.stderr).toContain("dp: shop-staging has no live release yet");
    expect(box.ids()).toEqual([]);
  });

  test("the files that were proved, with the other app's settings, hook and branch", async () => {
    const id = await proved({ say: "one" });
    const outcome = await promote();
    expectCode(outcome, 0);
    expect(outcome.stdout).toContain(`from ${STAGING} ${id} by `);
    expect(outcome.stdout).toContain(`the files that ${STAGING} ${id} was proved with`);
    const live = box.link("current")!;
    expect(await box.answer()).toBe(`one ${live}`);
    // Built once, over there; the hook ran here, with what is set here, into this app's own shared file.
    expect(built("shop")).toBe("built with of-staging as shop-staging");
    expect(readFileSync(join(current("shop"), "out/hooked"), "utf8")).toBe("of-production\n");
    expect(readFileSync(fileOf(STAGING, "shared/hooked"), "utf8")).toBe("of-staging\n");
    expect(await tip("shop")).toBe(await head());
    expect(waiting()).toEqual([]);
  });

  test("the audit log has both apps, and the commit again is nothing to promote", async () => {
    const line = readFileSync(join(box.root, "var/log/deployments/audit.log"), "utf8").trim().split("\n").at(-1)!;
    expect(JSON.parse(line)).toMatchObject({ app: "shop", what: "promote", result: "ok" });
    expect(JSON.parse(line).detail).toStartWith(`${STAGING} 1-`);
    const before = box.ids();
    const again = await promote("--json");
    expectCode(again, 0);
    expect(JSON.parse(again.stdout)).toMatchObject({ app: "shop", state: "good", live: box.link("current") });
    expect(box.ids()).toEqual(before);
  });

  test("a push to the branch after it is a fast-forward", async () => {
    await box.commit({ say: "two" });
    expectCode(await box.push(), 0);
    expect(built("shop")).toBe("built with of-production as shop");
  });

  test("files that name their own folder are built anew", async () => {
    const build = YML.replace('echo "built', 'pwd > out/where && echo "built');
    const id = await proved({ say: "three", "deploy.yml": build });
    const outcome = await promote();
    expectCode(outcome, 0);
    expect(outcome.stdout).toContain(
      `built anew, not as ${STAGING} ${id} was: out/where names the folder of shop-staging`,
    );
    expect(readFileSync(join(current("shop"), "out/where"), "utf8")).toContain(box.base);
  });

  test("--build builds it anew with the settings here; dp rollback goes back, and a promotion forward again", async () => {
    const before = box.link("current")!;
    const id = await proved({ say: "four", "deploy.yml": YML });
    const outcome = await promote("--build");
    expectCode(outcome, 0);
    expect(outcome.stdout).toContain(`built anew, not as ${STAGING} ${id} was: as --build says`);
    expect(built("shop")).toBe("built with of-production as shop");
    expectCode(await box.dp("rollback", "shop"), 0);
    expect(box.link("current")).toBe(before);
    expectCode(await promote(), 0);
    expect(built("shop")).toBe("built with of-staging as shop-staging");
    expect(await box.answer()).toStartWith("four ");
  });
});

describe("what stays as it is", () => {
  test("the other app's health fails: the old release stays, the branch too", async () => {
    const [live, branch] = [box.link("current"), await tip("shop")];
    const mark = join(dirname(box.root), "mark");
    // Healthy on staging, which reads the mark before there is one.
    await proved({ mode: "marked", wait: mark, say: "five" });
    writeFileSync(mark, "");
    const outcome = await promote();
    expectCode(outcome, 7);
    expect(outcome.text).toContain(`serving: ${live}`);
    await expectUnchanged(live, branch);
    await box.start(["rm", mark]).done;
    // The files went with the failed run: it is built from the commit.
    const again = await box.dp("resume", "shop");
    expectCode(again, 0);
    expect(again.stdout).toContain("its files are not here any more");
    expect(await tip("shop")).toBe(await head());
  });

  test("a locked app, one of another type, and a name that there is not", async () => {
    const [live, branch] = [box.link("current"), await tip("shop")];
    expectCode(await box.dp("lock", "shop", "-m", "moving the database"), 0);
    const locked = await promote();
    expectCode(locked, 5);
    expect(locked.stderr).toContain("moving the database");
    await expectUnchanged(live, branch);
    expectCode(await box.dp("unlock", "shop"), 0);
    const gone = await box.dp("promote", STAGING, "shopp");
    expectCode(gone, 2);
    expectCode(await box.dp("promote", "shop", "shop"), 2);
    const page = { "deploy.yml": "name: shop\ntype: static\nhealthCheck: /\nstatic: {root: .}\n", "index.html": "hi" };
    await proved(page);
    const typed = await promote();
    expectCode(typed, 2);
    expect(typed.stderr).toContain("dp: shop is an app of type python, and shop-staging");
    // The first release of an app may be of any type.
    const other = await claimPort();
    const options = ["--port", String(other.port), "--manager", "builtin", "--front", "relay"];
    expectCode(await box.dp("setup", "page", ...options), 0);
    appendFileSync(fileOf("page", "config.yml"), "verifyTime: 0s\nfor: shop\n");
    const first = await box.dp("promote", STAGING, "page");
    expectCode(first, 0);
    expect(first.stdout).toContain("was proved with");
    other.release();
    await expectUnchanged(live, branch);
  });

  test("a branch with commits that the release lacks, until --force", async () => {
    await proved({ "deploy.yml": YML, "index.html": null, mode: null, say: "six" });
    const base = await head();
    await box.commit({ say: "hotfix" });
    expectCode(await box.push(), 0);
    const [live, branch] = [box.link("current"), await tip("shop")];
    const behind = await promote();
    expectCode(behind, 2);
    expect(behind.stderr).toContain(`which contains ${base.slice(0, 7)} and more`);
    await box.git("reset", "--quiet", "--hard", base);
    await proved({ say: "seven" });
    const apart = await promote();
    expectCode(apart, 2);
    expect(apart.stderr).toContain("main of shop has commits that shop-staging");
    expect(box.link("current")).toBe(live);
    expect(await tip("shop")).toBe(branch);
    expectCode(await promote("--force"), 0);
    expect(await tip("shop")).toBe(await head());
    expect(await box.answer()).toStartWith("seven ");
  });

  test("killed before the switch: dp resume ends it, with the files that were proved, also with gate: false", async () => {
    appendFileSync(fileOf("shop", "config.yml"), "gate: false\n");
    const mark = join(dirname(box.root), "let-in");
    writeFileSync(mark, "");
    const id = await proved({ say: "eight", mode: "slow", wait: mark });
    await box.start(["rm", mark]).done;
    const promoting = box.start([box.program, "promote", STAGING, "shop"]);
    const run = await until("the start of the app", () => {
      const newest = box.run();
      return newest.facts["sha"] !== undefined && newest.journal["check"]?.state === "running" ? newest : null;
    });
    expect(String(run.facts["subject"])).toBe("Change it");
    process.kill(JSON.parse(readFileSync(join(box.base, "lock"), "utf8")).pid as number, "SIGKILL");
    await promoting.done;
    expect(await box.answer()).toStartWith("seven ");
    writeFileSync(mark, "");
    expectCode(await box.dp("resume", "shop"), 0);
    expect(box.log(box.ids().at(-1)!)).toContain(`the files that ${STAGING} ${id} was proved with`);
    expect(await box.answer()).toStartWith("eight ");
    expect(await tip("shop")).toBe(await head());
    expect(waiting()).toEqual([]);
  });
});

const reason = sshdUnavailable();
describe.skipIf(reason !== null)(`over ssh${reason === null ? "" : `: skipped, ${reason}`}`, () => {
  let pair: Pair;
  let other: Sandbox;
  beforeAll(async () => {
    other = await sandbox();
    // The other server, with an app of the same name, behind an sshd; box is the first one.
    pair = await connect(other);
    mkdirSync(join(box.env["HOME"]!, ".config/dp"), { recursive: true });
    writeFileSync(join(box.env["HOME"]!, ".config/dp/fleet.yml"), "servers:\n  prod: root@server\n");
  });
  afterAll(async () => {
    await pair?.stop();
  });
  const there = (...args: string[]) =>
    box.start([box.program, ...args], { GIT_SSH_COMMAND: `ssh -F ${pair.sshd.config}` }).done;

  test("SERVER:APP gets the same files through one road", async () => {
    const id = await proved({ say: "ten" });
    const outcome = await there("promote", STAGING, "prod:shop");
    expectCode(outcome, 0);
    expect(outcome.stdout).toContain(`from ${STAGING} ${id} on `);
    expect(outcome.stdout).toContain("was proved with");
    expect(await other.answer()).toBe(`ten ${other.link("current")}`);
    const text = readFileSync(join(other.base, "current/out/built"), "utf8").trim();
    expect(text).toBe("built with of-staging as shop-staging");
    const moved = await other.git("--git-dir", other.repo, "rev-parse", "main");
    expect(moved.stdout.trim()).toBe(await head());
  });

  test("on a laptop the names of git remotes do, from one server to another, and on one", async () => {
    const one = await connect(box);
    try {
      const config = join(dirname(other.root), "both");
      const named = (sshd: Sshd, name: string) =>
        readFileSync(sshd.config, "utf8").replaceAll(/^Host (?:server|\*)$/gm, `Host ${name}`);
      writeFileSync(config, named(one.sshd, "one") + named(pair.sshd, "two"));
      const how = { env: { GIT_SSH_COMMAND: `ssh -F ${config}`, DP_MUX: "0" } };
      await pair.git("remote", "set-url", "production", "ssh://root@two/var/repos/shop.git");
      await pair.git("remote", "add", "staging", `ssh://root@one/var/repos/${STAGING}.git`);
      await pair.git("remote", "add", "beside", "ssh://root@one/var/repos/shop.git");
      const id = await proved({ say: "eleven" });
      const outcome = await pair.dpWith(how, "promote", "staging", "production");
      expectCode(outcome, 0);
      expect(outcome.stdout).toContain(`from ${STAGING} ${id} on staging by `);
      expect(await other.answer()).toStartWith("eleven ");
      const beside = await pair.dpWith(how, "promote", "staging", "beside");
      expectCode(beside, 0);
      expect(beside.stdout).toContain(`from ${STAGING} ${id} by `);
      expect(await box.answer()).toStartWith("eleven ");
      const lost = await pair.dpWith(how, "promote", "stagin", "production");
      expectCode(lost, 2);
      expect(lost.stderr).toContain('"stagin" is no remote of this folder');
    } finally {
      await one.sshd.stop();
    }
  });

  test("a server that answers without an end stops nobody for ever", async () => {
    const [live, program] = [other.link("current"), join(dirname(other.root), "tools/dp")];
    const real = readlinkSync(program);
    await proved({ say: "flood" });
    // Each part of the other side in turn, on stdout and on stderr.
    for (const [part, line, says] of [
      ["ready", "exec yes", "answered with more than 1 MiB"],
      ["take-files", "exec yes", "answered with more than 1 MiB"],
      ["take-commit", "yes | head -c 3000000 >&2; echo dp: it ends >&2; exit 6", "dp: it ends"],
    ] as const) {
      unlinkSync(program);
      const script = `#!/bin/sh\nif [ "$3" = ${part} ]; then ${line}; fi\nexec ${real} "$@"\n`;
      writeFileSync(program, script, { mode: 0o755 });
      const flooded = await there("promote", STAGING, "prod:shop");
      expect(flooded.stderr).toContain(says);
      expect(flooded.code).not.toBe(0);
    }
    unlinkSync(program);
    symlinkSync(real, program);
    expect(other.link("current")).toBe(live);
  });

  test("its failure and its refusal are told, with their codes; nothing is left", async () => {
    const live = other.link("current");
    expectCode(await other.dp("lock", "shop", "-m", "stocktaking"), 0);
    const locked = await there("promote", STAGING, "prod:shop");
    expectCode(locked, 5);
    expect(locked.stderr).toContain("stocktaking");
    expectCode(await other.dp("unlock", "shop"), 0);
    expect(other.link("current")).toBe(live);
    const nobody = await there("promote", STAGING, "elsewhere:shop");
    expectCode(nobody, 2);
    expect(nobody.stderr).toContain("there are prod");
    await pair.sshd.stop();
    const cut = await there("promote", STAGING, "prod:shop");
    expectCode(cut, 8);
    expect(cut.stderr).toContain("ssh to root@server failed or was cut");
    expect(other.link("current")).toBe(live);
  });
});
