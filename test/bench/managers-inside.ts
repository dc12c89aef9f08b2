// Runs in the test server of managers.ts: pushes in turns to one app for each manager, and prints the times as JSON.
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { filesOf } from "./app.ts";
import { get } from "./timing.ts";

/** A push or a rollback. All times in ms. */
export interface Timed {
  /** From the start of the command to the first answer of the release. */
  firstAnswer: number;
  total: number;
  /** Processor time of the command and all that it waited for. */
  cpu: number;
}

/** What was measured of one manager. */
export interface Measures {
  pushes: Timed[];
  rollbacks: Timed[];
}

const env = { ...process.env, HOME: "/root", LANG: "C.UTF-8" };
const [times = "5", ...ports] = process.argv.slice(2);
const apps = ["builtin", "systemd"].map((manager, at) => ({ manager, name: `on-${manager}`, port: Number(ports[at]) }));
type App = (typeof apps)[number];
const codeOf = ({ name }: App) => join("/root", name);

async function must(argv: readonly string[], cwd = "/"): Promise<void> {
  const child = Bun.spawn([...argv], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  if (code !== 0) throw new Error(`${argv.join(" ")} exited with code ${code}:\n${out}${err}`);
}

async function commit(app: App, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(codeOf(app), name), text);
  await must(["git", "add", "--all"], codeOf(app));
  await must(["git", "commit", "--quiet", "-m", "Change it"], codeOf(app));
}

async function setUp(app: App): Promise<void> {
  await must(["dp", "setup", app.name, "--port", String(app.port), "--manager", app.manager]);
  const config = `/opt/deployments/${app.name}/config.yml`;
  writeFileSync(config, `${readFileSync(config, "utf8")}verifyTime: 200ms\n`);
  mkdirSync(codeOf(app));
  await must(["git", "init", "--quiet", "--initial-branch=main"], codeOf(app));
  await must(["git", "remote", "add", "production", `/var/repos/${app.name}.git`], codeOf(app));
  // What ssh finds first.
  await must(["git", "config", "remote.production.receivepack", "/usr/local/bin/git-receive-pack"], codeOf(app));
  await commit(app, filesOf(app.name, "first"));
  await must(["git", "push", "production", "main"], codeOf(app));
}

async function timed({ port, name }: App, wanted: string, argv: readonly string[]): Promise<Timed> {
  const begun = performance.now();
  let isOver = false;
  const first = (async () => {
    for (; !isOver; await Bun.sleep(5)) if ((await get(port, "/"))?.includes(wanted)) return performance.now() - begun;
    return Number.NaN;
  })();
  const child = Bun.spawn([...argv], { cwd: codeOf({ name } as App), env, stdio: ["ignore", "ignore", "pipe"] });
  const [code, err] = await Promise.all([child.exited, child.stderr.text()]);
  const total = performance.now() - begun;
  if (code !== 0) throw new Error(`${argv.join(" ")} exited with code ${code}:\n${err}`);
  const firstAnswer = await Promise.race([first, Bun.sleep(1_000).then(() => Number.NaN)]);
  isOver = true;
  return { firstAnswer, total, cpu: Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1000 };
}

const liveOf = ({ name }: App) => basename(readlinkSync(`/opt/deployments/${name}/current`));

async function measure(): Promise<Record<string, Measures>> {
  const found = Object.fromEntries(apps.map(({ manager }) => [manager, { pushes: [], rollbacks: [] } as Measures]));
  await must(["git", "config", "--global", "user.name", "Bench"]);
  await must(["git", "config", "--global", "user.email", "bench@localhost"]);
  await must(["git", "config", "--global", "safe.directory", "*"]);
  for (const app of apps) await setUp(app);
  // The first one of each is a warm-up.
  for (let time = 0; time <= Number(times); time++)
    for (const app of apps) {
      await commit(app, { say: `push ${time}` });
      const push = await timed(app, `push ${time}`, ["git", "push", "production", "main"]);
      if (time > 0) found[app.manager]!.pushes.push(push);
    }
  const wanted = [`push ${Number(times) - 1}`, `push ${times}`];
  const ids = new Map(apps.map((app) => [app, [String(Number.parseInt(liveOf(app)) - 1), liveOf(app)]]));
  for (let time = 0; time < Number(times); time++)
    for (const app of apps) {
      const to = time % 2;
      const rollback = await timed(app, wanted[to]!, ["dp", "rollback", app.name, ids.get(app)![to]!]);
      found[app.manager]!.rollbacks.push(rollback);
    }
  return found;
}

console.log(JSON.stringify(await measure()));
