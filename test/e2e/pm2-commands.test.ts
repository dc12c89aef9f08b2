// Settings, one-off commands and the end of an app on the real pm2, without root.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pm2Folder, pm2Unavailable } from "../support/pm2.ts";
import { pidsWith, sandbox, type Sandbox } from "../support/sandbox.ts";

setDefaultTimeout(120_000);
const why = pm2Unavailable();
const VALUE = `$HOME "double" 'single' grüße a=b # c`;

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
    await box.release({ say: "one" });
  });
  afterAll(() => box?.stop());
  const dp = async (code: number, ...words: string[]) => {
    const outcome = await box.dp(...words);
    expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
    return outcome;
  };

  test("a change of settings is a new instance with them; a bad one goes back", async () => {
    await dp(0, "env", "shop", "set", `SETTING=${VALUE}`);
    const live = box.link("current")!;
    const [pid] = box.instances()[live]!;
    expect(readFileSync(`/proc/${pid}/environ`, "utf8").split("\0")).toContain(`SETTING=${VALUE}`);
    expect(await box.answer()).toBe(`one ${live}`);
    await box.release({ mode: "setting" });
    const before = box.link("current");
    await dp(7, "env", "shop", "unset", "SETTING");
    expect([box.link("current"), await box.answer()]).toEqual([before, `one ${before}`]);
    expect((await dp(5, "run", "shop", "--", "sh", "-c", 'test "$SETTING" && exit 5')).code).toBe(5);
    const since = await dp(0, "logs", "shop", "--since", "10m", "--grep", "listening");
    expect(since.stdout).toMatch(new RegExp(`^20\\d\\d-\\S+Z web\\[${before}\\]: listening on`, "m"));
  });

  test("destroy ends all of it, the daemon too", async () => {
    expect((await dp(0, "destroy", "shop", "--yes")).stdout).toContain("stopped shop@");
    expect([existsSync(box.base), existsSync(box.repo), pidsWith(box.base)]).toEqual([false, false, []]);
  });
});
