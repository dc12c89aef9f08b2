// Real apps on the real pm2, without root: every way in which a deploy ends, under load, and what pm2 does meanwhile.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  ALL,
  complaints,
  configure,
  deployYml,
  ended,
  figures,
  fixture,
  loadSandbox,
  under,
} from "../support/load-run.ts";
import { pm2Folder, pm2Unavailable } from "../support/pm2.ts";
import { isRunning, until, type Sandbox } from "../support/sandbox.ts";

// pm2's command takes a second each time, and many on a busy machine.
setDefaultTimeout(60_000);

const why = pm2Unavailable();
const FLASK = {
  "flask_app.py": fixture("flask_app.py"),
  "requirements.txt": fixture("requirements.txt"),
  sick: null,
};
const GUNICORN = 'exec gunicorn --worker-class gthread --threads 16 --bind "$DP_HOST:$PORT" flask_app:app';
const HTTP = { ...ALL, websockets: 0 };

describe.skipIf(why !== null)(`pm2${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Sandbox;
  let home: string;
  let stranger: number;

  const pm2 = async (...args: string[]) => {
    const env = { PM2_HOME: home, PM2_DISCRETE_MODE: "true", NO_COLOR: "1" };
    const outcome = await box.start([join(dirname(box.root), "tools/pm2"), ...args], env).done;
    if (outcome.code !== 0) throw new Error(outcome.text);
    return outcome.stdout;
  };
  interface Row {
    name: string;
    pid: number;
    pm2_env: { status: string };
  }
  const list = async () => JSON.parse((await pm2("jlist")).split("\n").at(-1)!) as Row[];
  const names = async () => (await list()).map(({ name }) => name).sort();
  const dumped = () =>
    (JSON.parse(readFileSync(join(home, "dump.pm2"), "utf8")) as Row[]).map(({ name }) => name).sort();
  const live = () => box.link("current")!;
  const flask = (command = GUNICORN, more = "") => ({ ...FLASK, "deploy.yml": deployYml(box.app, command, more) });

  /** What must be true after every deploy that failed: the live release serves as before, and nothing else of dp's is there. */
  async function expectUnchanged(before: string): Promise<void> {
    expect(live()).toBe(before);
    expect(await box.answer()).toContain(before);
    expect(await names()).toEqual([`shop-${before}`, "stranger"].sort());
    expect(dumped()).toEqual([`shop-${before}`, "stranger"].sort());
  }

  beforeAll(async () => {
    box = await loadSandbox({}, ["node"]);
    home = join(box.base, "home/.pm2");
  });
  afterAll(() => box?.stop());

  test("setup says what is missing, and changes nothing", async () => {
    const refused = await box.dp("setup", "shop", "--manager", "pm2");
    expect(ended(refused, 8)).toBe("8");
    expect(refused.stderr).toContain("manager pm2: there is no pm2 in ");
    expect(refused.stderr).toContain("npm install --global pm2");
    expect(readFileSync(join(box.base, "config.yml"), "utf8")).toContain("manager: builtin");
  });

  test("the next deploy moves an app that is live already, and no request fails", async () => {
    const first = await box.release(flask());
    symlinkSync(join(await pm2Folder(), "pm2"), join(dirname(box.root), "tools/pm2"));
    const set = await box.dp("setup", "shop", "--manager", "pm2");
    expect(ended(set)).toBe("0");
    expect(set.stdout).toContain("manager is now pm2, it was builtin; the next deploy uses it");
    expect(await box.answer()).toContain(first);
    const proof = await under(box, HTTP, () => box.release(flask()));
    console.log(figures("from builtin to pm2", proof));
    expect(complaints(proof)).toEqual([]);
    expect(Object.keys(box.instances())).toEqual([live()]);
    expect(await names()).toEqual([`shop-${live()}`]);
    expect(dumped()).toEqual([`shop-${live()}`]);
    await pm2("start", "/bin/sleep", "--name", "stranger", "--interpreter", "none", "--", "100000");
    await pm2("save");
    stranger = (await list()).find(({ name }) => name === "stranger")!.pid;
  }, 120_000);

  test("a second deploy under load, with a build that fails, a crash at boot and bad health on the way", async () => {
    const before = live();
    const proof = await under(box, HTTP, async () => {
      const said: string[] = [];
      for (const files of [
        flask(GUNICORN, "build: echo so it goes; exit 3\n"),
        flask("echo the last words; exit 4"),
        { ...flask(), sick: "yes", "deploy.yml": deployYml(box.app, GUNICORN).replace("20s", "8s") },
      ]) {
        await box.commit(files);
        const pushed = await box.push();
        said.push(`${pushed.code} ${pushed.text}`);
        await expectUnchanged(before);
      }
      await box.release(flask());
      return said;
    });
    console.log(figures("on pm2, three refused and one good", proof));
    expect(complaints(proof)).toEqual([]);
    const [build, crash, sick] = proof.result;
    expect(build).toMatch(/^1 [\s\S]*FAILED at build: .*exited with code 3/);
    expect(crash).toMatch(/^1 [\s\S]*FAILED at check: .*exited with code 4[\s\S]*\| the last words/);
    expect(sick).toMatch(/^1 [\s\S]*FAILED at check: .*\b500/);
    await expectUnchanged(live());
    expect(live()).not.toBe(before);
  }, 180_000);

  test("status and logs are the app's own", async () => {
    const { process: shown, manager } = JSON.parse((await box.dp("status", "shop", "--json")).stdout) as {
      manager: string;
      process: { state: string; pid: number; restarts: number };
    };
    expect([manager, shown.state, shown.restarts]).toEqual(["pm2", "running", 0]);
    expect(box.instances()[live()]).toContain(shown.pid);
    const logs = await box.dp("logs", "shop", "-n", "50");
    expect(logs.stdout).toContain("Listening at: http://127.0.0.1:");
    expect((await box.dp("logs", "shop", "-n", "1")).stdout.trim().split("\n").length).toBe(1);
  });

  test("rollback goes back under load", async () => {
    const [before, previous] = [live(), box.link("previous")!];
    const proof = await under(box, HTTP, () => box.dp("rollback", "shop"));
    expect(ended(proof.result)).toBe("0");
    expect(complaints(proof)).toEqual([]);
    expect(live()).toBe(previous);
    await expectUnchanged(previous);
    expect(box.link("previous")).toBe(before);
  }, 120_000);

  test.each(["start:spawned", "start:done", "swap:begun", "retire:done"])(
    "a deploy that is killed at %s is ended by the next resume, with one release in pm2",
    async (failpoint) => {
      const before = live();
      await box.commit(flask());
      await box.push("production", "main:refs/heads/next");
      expect((await box.dpKilledAt(failpoint, "deploy", "shop", "next")).code).toBe(143);
      expect(await box.answer()).toContain(live());
      expect(ended(await box.dp("resume", "shop"))).toBe("0");
      expect(live()).not.toBe(before);
      expect(dumped()).toEqual([`shop-${live()}`, "stranger"].sort());
      expect(await names()).toEqual([`shop-${live()}`, "stranger"].sort());
      expect(await box.answer()).toContain(live());
    },
    60_000,
  );

  test("a killed daemon is told by status, and reconcile puts the live release in pm2's hands again", async () => {
    const daemon = Number(readFileSync(join(home, "pm2.pid"), "utf8"));
    process.kill(daemon, "SIGKILL");
    await until("its end", () => !isRunning(daemon));
    const told = await box.dp("status", "shop");
    expect(told.stdout).toContain("failed: the daemon of pm2 was killed, and it still runs unsupervised as pid ");
    expect(await box.answer()).toContain(live());
    const put = await box.dp("reconcile", "shop");
    expect(ended(put)).toBe("0");
    expect(put.stdout).toContain(`started shop@${live()}`);
    // What else was saved there has come up with it.
    stranger = (await list()).find(({ name }) => name === "stranger")!.pid;
    await expectUnchanged(live());
    expect((await box.dp("status", "shop")).stdout).toMatch(/process {4}running as pid \d+/);
    expect((await box.dp("reconcile", "shop")).stdout).toContain("shop: nothing to do");
  }, 60_000);

  test("several workers are for node: another command is refused before anything is stopped", async () => {
    const before = live();
    configure(box, { instances: 2 });
    await box.commit(flask(GUNICORN, "# again\n"));
    const pushed = await box.push();
    expect(ended(pushed, 1)).toBe("1");
    expect(pushed.text).toContain('instances: 2 needs a command that is "node FILE"');
    await expectUnchanged(before);
  }, 60_000);

  test("workers of node share the port, and no request fails when the release changes", async () => {
    const yml = deployYml(box.app, "")
      .replace("type: python", "type: node")
      .replace(/^command:.*\n/m, "");
    const pkg = JSON.stringify({ name: "shop", private: true, scripts: { start: "node server.js" } });
    const node = () => ({ "server.js": fixture("server.js"), "package.json": pkg, "deploy.yml": yml });
    await box.release(node());
    const proof = await under(box, { ...ALL, websockets: 1 }, () => box.release({ ...node(), again: "1" }));
    console.log(figures("a cluster of pm2", proof));
    expect(complaints(proof)).toEqual([]);
    const name = `shop-${live()}`;
    expect(await names()).toEqual([name, name, "stranger"].sort());
    expect(dumped()).toEqual([name, name, "stranger"].sort());
  }, 120_000);

  test("and back to builtin: pm2 keeps what is not dp's, and nothing else", async () => {
    configure(box, { instances: null, manager: "builtin" });
    const proof = await under(box, HTTP, () => box.release(flask()));
    expect(complaints(proof)).toEqual([]);
    expect(Object.keys(box.instances())).toEqual([live()]);
    expect(await names()).toEqual(["stranger"]);
    expect(dumped()).toEqual(["stranger"]);
    expect(isRunning(stranger)).toBe(true);
  }, 120_000);
});
