// Settings, secrets, one-off commands, a node app's bad releases and the end of an app on the real pm2, without root.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { watchArguments } from "../support/argv-watch.ts";
import { fixture } from "../support/load-run.ts";
import { DUMP, DUMPS, ODD_VALUES, valuesIn } from "../support/odd-values.ts";
import { pm2Folder, pm2Unavailable } from "../support/pm2.ts";
import { deployYml, pidsWith, sandbox, type Sandbox } from "../support/sandbox.ts";

setDefaultTimeout(120_000);
const why = pm2Unavailable();

describe.skipIf(why !== null)(`pm2${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = await sandbox();
    for (const name of ["pm2", "node"])
      symlinkSync(
        name === "pm2" ? join(await pm2Folder(), "pm2") : Bun.which("node")!,
        join(dirname(box.root), "tools", name),
      );
    const config = join(box.base, "config.yml");
    const text = readFileSync(config, "utf8").replace("manager: builtin", "manager: pm2");
    writeFileSync(config, text.replace(/^path:.*$/m, `path: ${box.env["PATH"]}`));
    await dp(0, "env", "shop", "set", ...Object.entries(ODD_VALUES).map(([name, value]) => `${name}=${value}`));
    await box.release({ say: "one", ...DUMP, "deploy.yml": deployYml("shop", DUMPS) });
  });
  afterAll(() => box?.stop());
  const dp = async (code: number, ...words: string[]) => {
    const outcome = await box.dp(...words);
    expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
    return outcome;
  };

  const environment = () => readFileSync(`/proc/${box.instances()[box.link("current")!]![0]}/environ`, "utf8");

  test("odd values reach app, build, hooks, jobs and dp run as they are", async () => {
    await dp(0, "cron", "run", "shop", "dump");
    const seen = { app: environment(), run: (await dp(0, "run", "shop", "--", "env", "-0")).stdout };
    const dumps = ["build", "pre", "post", "cron"].map((name) => [
      name,
      readFileSync(join(box.base, "home", name), "utf8"),
    ]);
    for (const [where, dump] of [...Object.entries(seen), ...dumps])
      expect([where, valuesIn(dump!)]).toEqual([where!, expect.objectContaining({ ...ODD_VALUES, DP_APP: "shop" })]);
  });

  test("a change of settings is a new instance with them; a bad one goes back", async () => {
    await dp(0, "env", "shop", "set", "SETTING=on");
    const live = box.link("current")!;
    expect(valuesIn(environment())).toMatchObject({ ...ODD_VALUES, SETTING: "on" });
    expect(await box.answer()).toBe(`one ${live}`);
    await box.release({ mode: "setting" });
    const before = box.link("current");
    await dp(7, "env", "shop", "unset", "SETTING");
    expect([box.link("current"), await box.answer()]).toEqual([before, `one ${before}`]);
    expect((await dp(5, "run", "shop", "--", "sh", "-c", 'test "$SETTING" && exit 5')).code).toBe(5);
    const since = await dp(0, "logs", "shop", "--since", "10m", "--grep", "listening");
    expect(since.stdout).toMatch(new RegExp(`^20\\d\\d-\\S+Z web\\[${before}\\]: listening on`, "m"));
  });

  test("a value that the app prints is in no log, run file, list of processes, or file of pm2's", async () => {
    const secret = "tr0ub4dor-and-3-horses";
    const env = join(box.base, ".env.production");
    writeFileSync(env, `${readFileSync(env, "utf8")}SECRET=${secret}\n`);
    const watching = watchArguments(secret);
    const say = (when: string) => `'echo "${when} has $SECRET"'`;
    const lines = `build: ${say("build")}\nhooks: {preDeploy: ${say("pre")}, postDeploy: ${say("post")}}\n`;
    await box.commit({ mode: null, "deploy.yml": deployYml("shop", lines) });
    const good = await box.push();
    expect([good.code, good.text]).toEqual([
      0,
      expect.stringMatching(/build has \*\*\*[^]*pre has \*\*\*[^]*post has \*\*\*/),
    ]);
    const shown = await Promise.all([["logs"], ["status"], ["releases"]].map(([word]) => dp(0, word!, "shop")));
    expect(shown[0]!.stdout).toMatch(/listening on \d+ \*\*\*/);
    await box.commit({ "server.py": 'import os, sys\nsys.exit("crash with " + os.environ["SECRET"])\n' });
    const bad = await box.push();
    expect([bad.code, bad.text]).toEqual([1, expect.stringContaining("crash with ***")]);
    await box.git("reset", "--quiet", "--hard", "HEAD~1");
    expect(await watching.stop()).toEqual([]);
    for (const { text } of [good, bad, ...shown]) expect(text).not.toContain(secret);
    const kept = ["runs", "home/.pm2"].map((name) => join(box.base, name));
    // What the app says itself is in its own log as it said it.
    const exclude = ["--exclude=*.env", "--exclude-dir=logs"];
    const grep = ["grep", "-rlF", ...exclude, "--", secret, ...kept, join(box.root, "var/log/deployments")];
    expect(Bun.spawnSync(grep).stdout.toString()).toBe("");
  });

  test("a node app takes python's place; its failed build and its unhealthy release are refused", async () => {
    const pkg = JSON.stringify({ name: "shop", private: true, scripts: { start: "node server.js" } });
    const yml = (more = "", startTimeout = "30s") =>
      `name: shop\ntype: node\nhealthCheck: {path: /health, startTimeout: ${startTimeout}, interval: 50ms}\n${more}`;
    await box.release({
      "deploy.yml": yml(),
      "package.json": pkg,
      "server.js": fixture("server.js"),
      "server.py": null,
    });
    const live = box.link("current")!;
    for (const [files, says] of [
      [
        { "deploy.yml": yml("build: echo so it goes; exit 3\n") },
        /so it goes[^]*FAILED at build: .*exited with code 3/,
      ],
      // It has to answer within that, on a busy machine too, and is then waited for to the end of it.
      [{ sick: "yes", "deploy.yml": yml("", "8s") }, /FAILED at check: .*\b500/],
    ] as [Record<string, string>, RegExp][]) {
      await box.commit(files);
      const pushed = await box.push();
      expect([pushed.code, pushed.text]).toEqual([1, expect.stringMatching(says)]);
      await box.git("reset", "--quiet", "--hard", "HEAD~1");
      expect([box.link("current"), await box.answer(), Object.keys(box.instances())]).toEqual([live, live, [live]]);
    }
  });

  test("dp doctor finds nothing wrong, but for a pm2 save that knows nothing of the live release", async () => {
    expect((await dp(0, "doctor", "shop")).stdout).toBe("nothing wrong: shop\n");
    const dump = join(box.base, "home/.pm2/dump.pm2");
    writeFileSync(dump, readFileSync(dump, "utf8").replaceAll(`shop-${box.link("current")}`, "shop-1-abcdef0"));
    const { stdout } = await dp(7, "doctor", "shop");
    expect(stdout).toContain(`shop@1-abcdef0 starts at boot, but it should be shop@${box.link("current")}`);
    expect((await dp(0, "doctor", "shop", "--fix")).stdout).toBe(
      "fixed: did: dp reconcile shop\nnothing wrong: shop\n",
    );
    expect(readFileSync(dump, "utf8")).toContain(`"shop-${box.link("current")}"`);
  });

  test("destroy ends all of it, the daemon too", async () => {
    expect((await dp(0, "destroy", "shop", "--yes")).stdout).toContain("stopped shop@");
    expect([existsSync(box.base), existsSync(box.repo), pidsWith(box.base)]).toEqual([false, false, []]);
  });
});
