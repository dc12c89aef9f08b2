// How long `dp status` takes with 1, 10 and 100 apps, and `dp apps` with 100.
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { relayAt } from "../../lib/fronts/relay/client.ts";
import { freePort } from "../support/core-server.ts";
import type { Sandbox } from "../support/sandbox.ts";
import { filesOf, withApp } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { push } from "./timing.ts";

const ms = { unit: "ms" };
const rows = { "dp status, 1 app": ms, "dp status, 10 apps": ms, "dp status, 100 apps": ms, "dp apps, 100 apps": ms };

type Name = keyof typeof rows;

const APP = "bench";

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
    return { values, notes: ["the apps but the first are copies of it, with its process and ports of their own"] };
  });
}

export default section({ name: "status", rows, measure });
