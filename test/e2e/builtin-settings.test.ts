// Settings from the env file to the app, hooks and build, changed by dp env, remembered by each release.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DUMP, DUMPS, ODD_VALUES, valuesIn } from "../support/odd-values.ts";
import type { Status } from "../../lib/commands/status.ts";
import { deployYml, project, sandbox, until, type Outcome, type Sandbox } from "../support/sandbox.ts";
import { inTerminal } from "../support/typed.ts";

/** Answers its environment as JSON; BROKEN makes it unhealthy. */
const APP = `import json, os, http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        ok = not (self.path == "/health" and os.environ.get("BROKEN"))
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200 if ok else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer((os.environ["DP_HOST"], int(os.environ["PORT"])), Handler).serve_forever()
`;

const SECRET = "0penSesame-and-more";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
  await box.commit({
    "server.py": APP,
    ...DUMP,
    "deploy.yml": deployYml("shop", DUMPS),
  });
});
afterAll(() => box?.stop());

const file = () => join(box.base, ".env.production");
const text = () => readFileSync(file(), "utf8");
const environment = async () => JSON.parse(await box.answer()) as Record<string, string>;
async function expectCode(command: Promise<Outcome>, code: number): Promise<Outcome> {
  const outcome = await command;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome;
}
const dp = (code: number, ...words: string[]) => expectCode(box.dp(...words), code);
const piped = (input: string, ...words: string[]) => {
  const argv = ["/bin/sh", "-c", 'input=$1; shift; printf %s "$input" | "$@"', "sh", input];
  return box.start([...argv, join(project, "bin/dp"), ...words]).done;
};
const dumped = (name: string) => valuesIn(readFileSync(join(box.base, "home", name), "utf8"));

describe("before the first deploy", () => {
  test("set takes several at once, and keeps what is in the file", async () => {
    writeFileSync(file(), "# the shop\nKEPT=1 # why\n", { mode: 0o644 });
    const words = Object.entries(ODD_VALUES).map(([name, value]) => `${name}=${value}`);
    const { stdout } = await dp(0, "env", "shop", "set", ...words);
    expect(stdout).toContain("the next deploy uses it");
    expect(text()).toStartWith("# the shop\nKEPT=1 # why\n");
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(box.base).filter((name) => name.includes(".tmp."))).toEqual([]);
  });

  test("the list masks, --reveal shows, get prints one", async () => {
    const masked = (await dp(0, "env", "shop")).stdout;
    expect(masked).toContain("KEPT=********");
    for (const value of Object.values(ODD_VALUES).filter((value) => value.length > 4))
      expect(masked).not.toContain(value);
    expect(JSON.parse((await dp(0, "env", "shop", "--json")).stdout)).toMatchObject({ KEPT: null, EQUALS: null });
    const shown = JSON.parse((await dp(0, "env", "shop", "list", "--reveal", "--json")).stdout);
    expect(shown).toEqual({ KEPT: "1", ...ODD_VALUES });
    expect((await dp(0, "env", "shop", "get", "EQUALS")).stdout).toBe("a=b=c\n");
    expect((await dp(0, "config:get", "shop", "EQUALS")).stdout).toBe("a=b=c\n");
    expect((await dp(2, "env", "shop", "get", "EQUAL")).text).toContain('did you mean "EQUALS"?');
  });

  test.each([
    [["set", "PORT=1"], "dp setup shop --port N"],
    [["set", "DP_APP=x"], "is set by dp or git"],
    [["set", "PATH=/x"], "use path in config.yml"],
    [["set", "A=1", "2B=2"], "must be letters, digits and underscores"],
    [["set", "A=1", "A=2"], "is named twice"],
    [["set"], "NAME=value"],
    [["set", "A", "B"], "stdin holds one value"],
    [["unset", "A", "KEPT"], '"A" is not set'],
    [["unset"], "name the settings"],
    [["sett", "A=1"], 'did you mean "set"?'],
    [["import", "/no/such"], "there is no file"],
  ])("%j is refused, and nothing is changed", async (words, why) => {
    const before = text();
    const { text: said } = await dp(2, "env", "shop", ...words);
    expect(said).toContain(why);
    expect(text()).toBe(before);
  });

  test("a word that was meant as a value is not shown", async () => {
    expect((await dp(2, "env", "shop", "set", "SECRET", SECRET)).text).not.toContain(SECRET);
    expect((await dp(2, "env", "shop", "set", `SECRET ${SECRET}=`)).text).not.toContain(SECRET);
  });

  test("import takes all lines or none, from a file or stdin; set takes a value from stdin", async () => {
    const more = join(box.root, "more.env");
    writeFileSync(more, `TOKEN='from a file'\n`);
    await dp(0, "env", "shop", "import", more);
    await expectCode(piped("PIPED=1\nBAD LINE\n", "env", "shop", "import", "-"), 3);
    expect(text()).not.toContain("PIPED");
    await expectCode(piped("PIPED=1\n", "env", "shop", "import", "-"), 0);
    await expectCode(piped("line one\nline two\n", "env", "shop", "set", "KEY"), 0);
    expect((await dp(0, "env", "shop", "get", "KEY")).stdout).toBe("line one\nline two\n");
    // Nothing on stdin is no value: a timer or CI has none, and meant another.
    const empty = await expectCode(piped("", "env", "shop", "set", "KEY"), 2);
    expect(empty.text).toContain("stdin is empty");
    expect((await dp(0, "env", "shop", "get", "KEY")).stdout).toBe("line one\nline two\n");
    await dp(0, "env", "shop", "unset", "TOKEN", "PIPED", "KEY");
  });

  test("a value is typed in the dark", async () => {
    const typed = inTerminal([join(project, "bin/dp"), "env", "shop", "set", "TYPED"], box.env);
    await typed.sees("TYPED (what you type is not shown): ");
    typed.type(`${SECRET}xx\x7f\x7f\r`);
    expect(await typed.done).toBe(0);
    expect(typed.shown()).not.toContain(SECRET);
    expect((await dp(0, "env", "shop", "get", "TYPED")).stdout).toBe(`${SECRET}\n`);
    await dp(0, "env", "shop", "unset", "TYPED");
  });
});

describe("with a live release", () => {
  test("app, build, hooks, jobs and dp run get the same values, and what dp adds", async () => {
    await box.release({ say: "one" });
    await dp(0, "cron", "run", "shop", "dump");
    const seen = {
      ...{ app: await environment(), build: dumped("build"), pre: dumped("pre"), post: dumped("post") },
      ...{ cron: dumped("cron"), run: valuesIn((await dp(0, "run", "shop", "--", "env", "-0")).stdout) },
    };
    const id = box.link("current")!;
    const sha = (await box.git("rev-parse", "HEAD")).stdout.trim();
    const added = { DP_APP: "shop", DP_RELEASE: id, DP_COMMIT: sha, GIT_REV: sha, DP_ENV: "production", KEPT: "1" };
    for (const [where, env] of Object.entries(seen)) {
      expect([where, env]).toEqual([where, expect.objectContaining({ ...ODD_VALUES, ...added })]);
      // Nothing but web has a port of its own: a job does not listen.
      if (where !== "cron") expect(env["PORT"]).toMatch(/^\d+$/);
    }
  });

  test("set starts a new instance beside the old one: no request fails, the old one is gone, the file has it", async () => {
    const before = box.link("current")!;
    let [asked, failed, isDone] = [0, 0, false];
    const load = (async () => {
      for (; !isDone; asked++) await box.answer().catch(() => failed++);
    })();
    const { stdout, text: said } = await dp(0, "env", "shop", "set", `SECRET=${SECRET}`, "KEPT=2");
    isDone = true;
    await load;
    expect([failed, asked > 0]).toEqual([0, true]);
    expect(stdout).toContain(`restarts ${before}, set SECRET, KEPT, by `);
    expect(said).toContain("dp: the build saw the old settings: if it reads them, dp deploy shop builds again\n");
    expect(await environment()).toMatchObject({ SECRET, KEPT: "2", DP_RELEASE: box.link("current")! });
    expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
    expect(text()).toContain(`KEPT=2 # why\n`);
    expect(box.run().facts["kind"]).toBe("restart");
  });

  test("what makes it unhealthy is refused with 7: the old instance goes on, the file is as before", async () => {
    const [before, live] = [text(), box.link("current")!];
    const [pid] = box.instances()[live]!;
    const { stdout } = await dp(7, "env", "shop", "set", "BROKEN=yes-it-is", "SPACES=other");
    expect(stdout).toContain(`serving: ${live}, as before`);
    const tried = /the ones that were tried are in (\S+)/.exec(stdout)![1]!;
    expect(readFileSync(tried, "utf8")).toContain("BROKEN=yes-it-is");
    expect(statSync(tried).mode & 0o777).toBe(0o600);
    expect(text()).toBe(before);
    expect(box.instances()).toEqual({ [live]: [pid!] });
    expect(readdirSync(join(box.base, "releases"))).not.toContain(box.ids().at(-1)!);
    expect((await dp(0, "logs", "shop", "--deploy", "--failed", "--grep", "FAILED")).stdout).toContain(
      "FAILED at check",
    );
  });

  test("nothing different, nothing restarted", async () => {
    const runs = box.ids().length;
    expect((await dp(0, "env", "shop", "set", "KEPT=2")).stdout).toContain("nothing to change");
    expect(box.ids()).toHaveLength(runs);
  });

  test("--no-restart only writes; restart brings it", async () => {
    const live = box.link("current")!;
    await dp(0, "env", "shop", "unset", "EMPTY", "--no-restart");
    expect([box.link("current"), "EMPTY" in (await environment())]).toEqual([live, true]);
    await dp(0, "restart", "shop");
    expect("EMPTY" in (await environment())).toBe(false);
  });

  test("the answer for programs tells names, never values", async () => {
    const { stdout } = await dp(0, "env", "shop", "set", "COLOUR=dark-and-blue", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      app: "shop",
      set: ["COLOUR"],
      unset: [],
      restart: { code: 0, state: "good" },
    });
    expect(stdout).not.toContain("dark-and-blue");
  });

  test("changes made at the same time are all there", async () => {
    const names = ["ONE", "TWO", "THREE"];
    const ended = await Promise.all(names.map((name) => box.dp("env", "shop", "set", `${name}=${name.toLowerCase()}`)));
    expect(ended.map(({ code, text: said }) => (code === 0 ? 0 : said))).toEqual([0, 0, 0]);
    expect(await environment()).toMatchObject({ ONE: "one", TWO: "two", THREE: "three" });
    expect(text()).toContain("THREE=three\n");
  });

  test("a change that was begun before somebody edited the file is refused, not mixed", async () => {
    const door = join(box.root, "door");
    await box.commit({ "dump.sh": `#!/bin/sh\nwhile [ ! -e ${door} ]; do sleep 0.02; done\n` });
    const pushing = box.push();
    await until("the deploy is under way", () =>
      box.ids().some((id) => box.run(id).journal["build"]?.state === "running"),
    );
    const setting = box.start([join(project, "bin/dp"), "env", "shop", "set", "LATE=1"]);
    writeFileSync(door, "");
    await expectCode(pushing, 0);
    await expectCode(setting.done, 0);
    expect(await environment()).toMatchObject({ LATE: "1" });
  });
});

describe("what a release ran with", () => {
  test("is remembered, for dp alone, and no fact", async () => {
    const runs = join(box.base, "runs");
    const live = box.link("current")!;
    const kept = readFileSync(join(runs, `${live}.env`), "utf8");
    expect(kept).toBe(text());
    for (const name of readdirSync(runs)) {
      if (name.endsWith(".json")) expect(readFileSync(join(runs, name), "utf8")).not.toContain(SECRET);
      else expect([name, statSync(join(runs, name)).mode & 0o777]).toEqual([name, 0o600]);
    }
  });

  test("is what it is started with again, whatever the file says by then", async () => {
    const live = box.link("current")!;
    writeFileSync(file(), "BROKEN=1\n");
    const { pid } = JSON.parse((await dp(0, "status", "shop", "--json")).stdout).process;
    process.kill(pid, "SIGKILL");
    await until("it is back", async () => {
      const now = JSON.parse((await box.dp("status", "shop", "--json")).stdout);
      return now.isHealthy && now.process.pid !== pid;
    });
    expect([box.link("current"), (await environment())["SECRET"]]).toEqual([live, SECRET]);
    writeFileSync(file(), readFileSync(join(box.base, "runs", `${live}.env`), "utf8"));
  });

  test("rollback goes back to other code, with the settings of today", async () => {
    await dp(0, "env", "shop", "set", "GREETING=good-morning");
    await dp(0, "rollback", "shop");
    const env = await environment();
    expect(env["GREETING"]).toBe("good-morning");
    expect(env["DP_COMMIT"]).toBe((await box.git("rev-parse", "HEAD~1")).stdout.trim());
    await dp(0, "deploy", "shop");
  });

  test("rollback --with-env takes a change of settings back, in the file too", async () => {
    const before = text();
    const live = box.link("current")!;
    await dp(0, "env", "shop", "set", "GREETING=good-evening", "MORE=1");
    expect((await environment())["GREETING"]).toBe("good-evening");
    // Plain dp rollback does not take it, so it is not what status says to type.
    const { stdout } = await dp(0, "status", "shop");
    expect(stdout).toContain(
      `  settings   ${live}  the same files, its own settings: dp rollback shop --with-env goes back`,
    );
    expect(stdout).not.toContain(`dp rollback shop ${live}`);
    const { rollbackTarget } = JSON.parse((await dp(0, "status", "shop", "--json")).stdout) as Status;
    expect(stdout).toContain(`  rollback   ${rollbackTarget}  dp rollback shop goes back`);
    await dp(0, "rollback", "shop", "--with-env");
    expect(await environment()).toMatchObject({ GREETING: "good-morning", DP_RELEASE: live });
    expect(text()).toBe(before);
  });

  test("goes with the release, and never its files before it", async () => {
    for (let number = 0; number < 4; number++) await dp(0, "env", "shop", "set", `NUMBER=n${number}`);
    writeFileSync(join(box.base, "config.yml"), readFileSync(join(box.base, "config.yml"), "utf8") + "keep: 1\n");
    await box.release({ say: "last" });
    const live = box.link("current")!;
    const onDisk = readdirSync(join(box.base, "releases"));
    expect(onDisk).toContain(live);
    expect(existsSync(join(box.base, "previous/server.py"))).toBe(true);
    const settings = readdirSync(join(box.base, "runs")).filter((name) => name.endsWith(".env"));
    expect(settings.length).toBeLessThan(box.ids().length);
    expect(settings).toContain(`${live}.env`);
  });
});

describe("a change that is cut off", () => {
  test.each(["reuse:recorded", "start:done", "check:recorded"])("at %s: the next run takes it back", async (place) => {
    const [before, live] = [text(), box.link("current")!];
    expect((await box.dpKilledAt(place, "env", "shop", "set", `CUT=${place.replace(":", "-")}`)).code).not.toBe(0);
    expect([box.link("current"), text()]).toEqual([live, before]);
    await dp(0, "restart", "shop");
    expect(text()).toBe(before);
    expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
    expect(await environment()).not.toHaveProperty("CUT");
  });

  test.each(["swap:recorded", "retire:recorded", "save-env:1"])("at %s: it is gone on with", async (place) => {
    const value = place.replace(":", "-");
    expect((await box.dpKilledAt(place, "env", "shop", "set", `CUT=${value}`)).code).not.toBe(0);
    await dp(0, "resume", "shop");
    expect(text()).toContain(`CUT=${value}\n`);
    expect(await environment()).toMatchObject({ CUT: value, DP_RELEASE: box.link("current")! });
    expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
    await dp(0, "env", "shop", "unset", "CUT");
  });
});

describe("strategy restart", () => {
  test("a good change is live; a bad one is taken back, and the old instance has its old settings", async () => {
    const config = join(box.base, "config.yml");
    writeFileSync(config, `${readFileSync(config, "utf8")}strategy: restart\n`);
    await dp(0, "env", "shop", "set", "MODE=held");
    expect(await environment()).toMatchObject({ MODE: "held" });
    const [before, live] = [text(), box.link("current")!];
    await dp(7, "env", "shop", "set", "MODE=other", "BROKEN=again");
    expect(await environment()).toMatchObject({ MODE: "held", DP_RELEASE: live });
    expect(await environment()).not.toHaveProperty("BROKEN");
    expect(text()).toBe(before);
  });
});

test("a value is nowhere in what dp wrote or said, in the audit log neither", () => {
  const logs = join(box.root, "var/log/deployments");
  const all = readdirSync(logs, { recursive: true, encoding: "utf8" }).filter((name) => /\.log(\.\d+)?$/.test(name));
  expect(all).toContain("audit.log");
  for (const name of all) {
    // What the app says itself is in its own log as it said it.
    if (!name.endsWith(".app.log"))
      expect([name, readFileSync(join(logs, name), "utf8").includes(SECRET)]).toEqual([name, false]);
  }
});
