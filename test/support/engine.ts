// A real Docker engine for the tests of one file: its own daemon, folder, socket, bridge and images, and nothing of it left.
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { exec, script, type Answer } from "./box-host.ts";

/** Where the programs of Debian's docker.io are, whatever PATH says. */
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

export interface Engine {
  /** The variables of a program, PATH among them, whose docker command shall be this engine's. */
  variables(path: string): Record<string, string>;
  /** Runs the docker command against this engine. */
  docker(...args: string[]): Promise<Answer>;
  /** The output of a docker command that must succeed. */
  must(...args: string[]): Promise<string>;
  /** Imports a folder's content as an image. */
  import(image: string, folder: string, ...changes: string[]): Promise<void>;
  /** Ends the daemon as the system does it, or everything at once, as a power cut does. */
  halt(how: "stop" | "cut"): Promise<void>;
  start(): Promise<void>;
  /** Ends it, and all that ran in it. */
  stop(): Promise<void>;
}

/** Why no engine can run here, or null. With CI set and as root that is a failure: a run must not go green by skipping. */
export function engineUnavailable(): string | null {
  const why = unavailable();
  if (why !== null && process.env["CI"] === "true" && process.getuid?.() === 0)
    throw new Error(`no Docker engine: ${why}`);
  return why;
}

function unavailable(): string | null {
  if (process.getuid?.() !== 0) return "a Docker engine needs root";
  const missing = ["dockerd", "docker", "ip", "unshare", "nsenter", "busybox"].filter(
    (name) => Bun.which(name, { PATH }) === null,
  );
  if (missing.length > 0) return `there is no ${missing.join(", ")}: apt-get install docker.io iproute2 busybox-static`;
  const bridge = `dpx${Math.random().toString(36).slice(2, 10)}`;
  const may = (line: string) => Bun.spawnSync(["sh", "-c", line], { env: { PATH } }).exitCode === 0;
  if (!may("unshare --mount --propagation private true")) return "this root may not make mount namespaces";
  return may(`ip link add ${bridge} type bridge && ip link del ${bridge}`) ? null : "this root may not make bridges";
}

/** Starts an engine; `settings` is its daemon.json. */
export async function startEngine(settings: Record<string, unknown> = {}): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), "dp-engine-"));
  const name = basename(folder).toLowerCase();
  writeFileSync(join(folder, "daemon.json"), JSON.stringify(settings));
  const host = `unix://${folder}/docker.sock`;
  const command = ["env", `DOCKER_HOST=${host}`, "/usr/bin/docker"];
  const kept = await keep(folder, [script("engine.sh"), folder, `dp${name.slice(-6)}`, subnet(), name]);
  return { ...kept, ...commands(folder, command), variables: (path) => ({ DOCKER_HOST: host, PATH: path }) };
}

/** A script that holds an engine until its stdin ends, and takes its folder away then. It answers each word of stdin. */
export async function keep(
  folder: string,
  argv: readonly string[],
): Promise<Pick<Engine, "halt" | "start" | "stop"> & { tell(words: string): Promise<void> }> {
  const keeper = Bun.spawn(["setsid", "sh", ...argv], {
    cwd: "/",
    env: { PATH, HOME: folder },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = keeper.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const answer = async (word: string) => {
    for (let text = ""; ;) {
      const { value, done } = await lines.read();
      text += value ?? "";
      if (text.includes(`done ${word}\n`)) return;
      if (done) throw new Error(`the engine did not say "${word}": ${text}`);
    }
  };
  const tell = async (word: string) => {
    keeper.stdin.write(`${word}\n`);
    await keeper.stdin.flush();
    await answer(word);
  };
  await answer("started");
  return {
    tell,
    halt: tell,
    start: () => tell("start"),
    async stop() {
      await keeper.stdin.end();
      await keeper.exited;
      if (existsSync(folder)) throw new Error(`${folder} was left by the engine`);
    },
  };
}

/** What a test does by an engine's docker command. */
export function commands(folder: string, command: readonly string[]): Pick<Engine, "docker" | "must" | "import"> {
  const docker = (...args: string[]) => exec([...command, ...args], { timeout: 120_000 });
  const must = async (...args: string[]) => {
    const result = await docker(...args);
    if (result.code !== 0) throw new Error(`docker ${args.join(" ")}: ${result.text}`);
    return result.stdout.trimEnd();
  };
  return {
    ...{ docker, must },
    async import(image, from, ...changes) {
      const archive = join(folder, "import.tar");
      await exec(["tar", "-c", "-f", archive, "-C", from, "."], { timeout: 120_000 });
      await must("import", ...changes.flatMap((change) => ["--change", change]), archive, image);
      rmSync(archive);
    },
  };
}

/** Makes an engine this process's own, and a folder its DP_ROOT; answers what makes that undone. */
export function enter(engine: Pick<Engine, "variables">, root: string): () => void {
  const wanted = { DP_ROOT: root, ...engine.variables(process.env["PATH"]!) };
  const before = Object.keys(wanted).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, wanted);
  return () => {
    for (const [name, value] of before)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  };
}

// One of many, so that engines of runs at the same time do not meet.
const subnet = () => `10.${210 + Math.floor(Math.random() * 40)}.${Math.floor(Math.random() * 256)}.1/24`;

/** An image's content with a shell and the small programs; with `bun` that as well, and what it is linked with. */
export function baseFolder(into: string, bun = false): string {
  const bin = join(into, "bin");
  for (const folder of [bin, join(into, "tmp"), join(into, "etc")]) mkdirSync(folder, { recursive: true });
  chmodSync(join(into, "tmp"), 0o1777);
  const busybox = join(bin, "busybox");
  cpSync(Bun.which("busybox", { PATH })!, busybox);
  const applets = Bun.spawnSync([busybox, "--list"])
    .stdout.toString()
    .split("\n")
    .filter((name) => name && name !== "busybox");
  for (const applet of applets) symlinkSync("busybox", join(bin, applet));
  if (!bun) return into;
  const own = join(bin, "bun");
  cpSync(process.execPath, own, { dereference: true });
  for (const [, path] of Bun.spawnSync(["ldd", own])
    .stdout.toString()
    .matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(join(into, dirname(path!)), { recursive: true });
    cpSync(path!, join(into, path!), { dereference: true });
  }
  return into;
}
