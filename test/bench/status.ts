// How long `dp status` takes with 1, 10, 100 and 1,000 apps, and `dp apps` with 100 and 1,000; beside it plain programs that
// do the same: cat reads the same files, curl asks the same health checks.
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { relayAt } from "../../lib/fronts/relay/client.ts";
import { freePort } from "../support/core-server.ts";
import type { Sandbox } from "../support/sandbox.ts";
import { filesOf, withApp } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { push } from "./timing.ts";

const ms = { unit: "ms" };
const rows = {
  "dp status, 1 app": ms,
  "dp status, 10 apps": ms,
  "dp status, 100 apps": ms,
  "dp apps, 100 apps": ms,
  "dp status, 1,000 apps": ms,
  "dp apps, 1,000 apps": ms,
  "cat of the same files, 1,000 apps": ms,
  "curl of the same health checks, 1,000 apps": ms,
};

type Name = keyof typeof rows;

const APP = "bench";
/** How many apps a server has at most, and in a quick run. */
const [MANY, SOME] = [1_000, 100];

/** Another app like the first one: its own files and its own public port, and, until it is started, the first one's processes. */
export async function addCopy(box: Sandbox, name: string): Promise<void> {
  const base = join(box.base, "..", name);
  const id = box.link("current")!;
  mkdirSync(base, { recursive: true });
  for (const folder of ["runs", "instances"]) {
    mkdirSync(join(base, folder), { mode: 0o700 });
    cpSync(join(box.base, folder), join(base, folder), { recursive: true });
  }
  const rewrite = (file: string, mode = 0o600) => {
    const text = readFileSync(join(base, file), "utf8").replaceAll(`/${APP}`, `/${name}`);
    writeFileSync(join(base, file), text.replaceAll(`"app": "${APP}"`, `"app": "${name}"`), { mode });
  };
  for (const file of ["lock", "check.key"]) copyFileSync(join(box.base, file), join(base, file));
  rewrite(`runs/${id}.json`);
  rewrite(`instances/${id}.json`);
  cpSync(join(box.base, "releases", id), join(base, "releases", id), { recursive: true });
  rmSync(join(base, "current"), { force: true });
  symlinkSync(`releases/${id}`, join(base, "current"));
  const port = await freePort();
  const config = readFileSync(join(box.base, "config.yml"), "utf8").replace(/^port: .*$/m, `port: ${port}`);
  writeFileSync(join(base, "config.yml"), config, { mode: 0o600 });
  const relay = relayAt(join(box.root, "var/lib/dp/relay"));
  const own = Number(readFileSync(join(box.base, "instances", `${id}.port`), "utf8"));
  await relay.set({ app: name, listen: { host: "127.0.0.1", port }, protocol: "http", trustedProxies: [] });
  await relay.point(name, { id, port: own });
}

/** What tells that an app is well, in a row of either command. */
interface Row {
  isHealthy?: boolean;
  process: { state: string } | null;
}

/** Milliseconds of a command. Throws unless it tells of that many apps that are well. */
async function timeOf(box: Sandbox, command: "status" | "apps", apps: number): Promise<number> {
  const begun = performance.now();
  const { code, stdout, stderr } = await box.dp(command, "--json");
  const took = performance.now() - begun;
  const isWell = ({ isHealthy = true, process }: Row) => isHealthy && process?.state === "running";
  const well = (JSON.parse(stdout) as Row[]).filter(isWell).length;
  if (code !== 0 || well !== apps) throw new Error(`dp ${command}: ${well} of ${apps} are well; ${stderr}`);
  return took;
}

/** Milliseconds of a program that gets `input` on stdin. Throws when it fails. */
async function timeOfPeer(argv: readonly string[], input: string): Promise<number> {
  const begun = performance.now();
  const child = Bun.spawn([...argv], { stdin: new TextEncoder().encode(input), stdout: "ignore", stderr: "pipe" });
  const [code, error] = await Promise.all([child.exited, child.stderr.text()]);
  if (code !== 0) throw new Error(`${argv.join(" ")} exited with code ${code}: ${error}`);
  return performance.now() - begun;
}

/** The files of all apps that both commands read. */
function filesRead(box: Sandbox): string[] {
  const id = box.link("current")!;
  const own = ["config.yml", "config.json", "lock", `runs/${id}.json`];
  const all = [...own, `instances/${id}.manager`, `instances/${id}.state.json`];
  const bases = [...new Bun.Glob("*/config.yml").scanSync({ cwd: join(box.base, "..") })].map(dirname);
  return bases.flatMap((base) => all.map((file) => join(box.base, "..", base, file)));
}

/** The health checks of all apps, as curl's config. */
function checks(box: Sandbox): string {
  const configs = new Bun.Glob("*/config.yml").scanSync({ cwd: join(box.base, ".."), absolute: true });
  const ports = [...configs].map((file) => /^port: (\d+)$/m.exec(readFileSync(file, "utf8"))![1]);
  return ports.map((port) => `url = "http://127.0.0.1:${port}/health"\noutput = "/dev/null"\n`).join("");
}

/** The rows with most apps: both commands and their peers in turns. */
async function measureMany(box: Sandbox, apps: number, times: number, say: Options["say"]) {
  const names = `${filesRead(box).join("\0")}\0`;
  const curl = ["curl", "--silent", "--fail", "--parallel", "--parallel-max", "128", "--config", "-"];
  const ways: [Name, () => Promise<number>][] = [
    ["dp status, 1,000 apps", () => timeOf(box, "status", apps)],
    ["dp apps, 1,000 apps", () => timeOf(box, "apps", apps)],
    ["cat of the same files, 1,000 apps", () => timeOfPeer(["xargs", "-0", "cat"], names)],
    ["curl of the same health checks, 1,000 apps", () => timeOfPeer(curl, checks(box))],
  ];
  const found = ways.map((): number[] => []);
  for (let time = 0; time < times; time++) for (const [at, [, way]] of ways.entries()) found[at]!.push(await way());
  for (const [at, [name]] of ways.entries()) say(`${name}: ${found[at]!.map(Math.round).join(", ")} ms`);
  return Object.fromEntries(ways.map(([name], at) => [name, median(found[at]!)]));
}

async function measure(options: Options): Promise<Measured<Name>> {
  const { isQuick, say } = options;
  return withApp(options, APP, ["verifyTime: 0s"], async (box) => {
    await box.commit(filesOf(APP, "first"));
    await push(box, "first");
    const values: Measured<Name>["values"] = {};
    let apps = 1;
    for (const [name, command, wanted] of [
      ["dp status, 1 app", "status", 1],
      ["dp status, 10 apps", "status", 10],
      ["dp status, 100 apps", "status", 100],
      ["dp apps, 100 apps", "apps", 100],
    ] as const) {
      for (; apps < wanted; apps++) await addCopy(box, `copy-${apps}`);
      const times: number[] = [];
      for (let time = 0; time < (isQuick ? 1 : 7); time++) times.push(await timeOf(box, command, apps));
      say(`${command}: ${apps} apps, ${times.map(Math.round).join(", ")} ms`);
      values[name] = median(times);
    }
    const many = isQuick ? SOME : MANY;
    for (; apps < many; apps++) await addCopy(box, `copy-${apps}`);
    await timeOf(box, "status", apps); // the first one keeps each config.yml as it was parsed
    Object.assign(values, await measureMany(box, apps, isQuick ? 1 : 7, say));
    const notes = ["the apps but the first are copies of it, with its process and ports of their own"];
    if (isQuick) notes.push(`${SOME} apps in place of 1,000`);
    return { values, notes };
  });
}

export default section({ name: "status", rows, measure });
