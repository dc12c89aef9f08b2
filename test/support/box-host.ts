// What a box needs of the host: its folder and lock, its layer over the base tree, programs run to their end.
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { tryFlock } from "../../lib/host/process/libc.ts";
import { type ImageName, ownGroups } from "./box-image.ts";
import { pauseAfter } from "./pause.ts";

export { freePort } from "./port.ts";

const PREFIX = "dp-box-";
const DEADLINE = 60_000;

/** A shell script beside this file. */
export const script = (name: string) => join(import.meta.dir, name);

/** What a command in a box came to. */
export interface Answer {
  code: number;
  stdout: string;
  stderr: string;
  /** stdout, then stderr, without a final newline: for messages. */
  text: string;
}

/** Runs a program on the host to its end. */
export async function exec(
  argv: readonly string[],
  options: { stdin?: string | Blob; timeout?: number } = {},
): Promise<Answer> {
  const child = Bun.spawn([...argv], {
    cwd: "/",
    env: process.env,
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeout ?? DEADLINE,
    killSignal: "SIGKILL",
  });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, stdout, stderr, text: (stdout + stderr).trimEnd() };
}

/** Starts a program that belongs to nobody: a test that runs out of time takes its children with it, not this. */
export function detach(argv: readonly string[], log: string): void {
  const fd = openSync(log, "a");
  const started = Bun.spawnSync(["setsid", "--fork", ...argv], {
    cwd: "/",
    env: process.env,
    stdio: ["ignore", fd, fd],
  });
  closeSync(fd);
  if (started.exitCode !== 0) throw new Error(`setsid exited with code ${started.exitCode}`);
}

/** Polls until `probe` is true. Throws with `what` after `deadline` ms. */
export async function until(what: string, probe: () => boolean | Promise<boolean>, deadline = DEADLINE): Promise<void> {
  const end = performance.now() + deadline;
  for (;;) {
    const begun = performance.now();
    if (await probe()) return;
    if (performance.now() > end) throw new Error(`not within ${deadline / 1000} s: ${what}`);
    await pauseAfter(begun);
  }
}

/** A box's folder on the host, and the open lock that says its owner is alive. */
export interface BoxFolder {
  dir: string;
  owner: number;
}

/** Makes the folder, the control groups and the guard that removes both when the owner closes its lock or dies. */
export async function claimFolder(image: ImageName): Promise<BoxFolder> {
  await removeLeftovers();
  const dir = mkdtempSync(join(tmpdir(), PREFIX));
  const owner = claim(dir);
  const groups = ownGroups(image === "docker").map((group) => join(group, basename(dir)));
  for (const group of groups) makeGroup(group);
  await Bun.write(join(dir, "cgroups"), groups.join("\n") + "\n");
  detach(["flock", join(dir, "owner"), "sh", script("box-processes.sh"), dir, "remove"], "/dev/null");
  return { dir, owner };
}

// A group that may use no processor and no memory takes no process.
function makeGroup(group: string): void {
  mkdirSync(group);
  for (const name of ["cpuset.cpus", "cpuset.mems"]) {
    const [own, above] = [join(group, name), join(dirname(group), name)];
    if (existsSync(own) && readFileSync(own, "utf8").trim() === "") writeFileSync(own, readFileSync(above));
  }
}

/** Takes the lock that means "in use"; the file gets its name only when it is locked. */
function claim(dir: string): number {
  const fd = openSync(join(dir, "owner.new"), "wx");
  if (!tryFlock(fd)) throw new Error(`${dir} is locked by somebody else`);
  renameSync(join(dir, "owner.new"), join(dir, "owner"));
  return fd;
}

/** Removes boxes whose owner died together with its guard. */
async function removeLeftovers(): Promise<void> {
  for (const entry of readdirSync(tmpdir())) {
    const dir = join(tmpdir(), entry);
    if (!entry.startsWith(PREFIX) || !existsSync(join(dir, "owner"))) continue;
    await exec(["flock", "--nonblock", join(dir, "owner"), "sh", script("box-processes.sh"), dir, "remove"]);
  }
}

/** The box's own layer over the base tree, or a copy where overlays cannot be mounted. */
export async function prepareTree(dir: string, base: string, port: number, machine: string): Promise<void> {
  for (const name of ["upper", "work", "root"]) mkdirSync(join(dir, name));
  const mount = `mount -t overlay overlay -o 'lowerdir=${base},upperdir=${dir}/upper,workdir=${dir}/work' '${dir}/root'`;
  let layer = join(dir, "upper");
  if ((await exec(["unshare", "--mount", "--propagation", "private", "sh", "-c", mount])).code !== 0) {
    await exec(["rm", "-rf", layer, join(dir, "work"), join(dir, "root")]);
    layer = join(dir, "root");
    const copied = await exec(["cp", "-a", "--reflink=auto", base, layer], { timeout: DEADLINE * 2 });
    if (copied.code !== 0) throw new Error(copied.text);
  }
  await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", machine, "-f", join(dir, "key")]);
  const etc = join(layer, "etc");
  mkdirSync(join(etc, "ssh/sshd_config.d"), { recursive: true });
  cpSync(join(dir, "key.pub"), join(etc, "ssh/box_key.pub"));
  await Bun.write(join(etc, "ssh/sshd_config.d/port.conf"), `Port ${port}\nMaxSessions 100\n`);
  await Bun.write(join(etc, "hostname"), `${machine}\n`);
  await Bun.write(join(etc, "hosts"), `127.0.0.1 localhost ${machine}\n::1 localhost\n`);
  await Bun.write(join(etc, "machine-id"), `${crypto.randomUUID().replaceAll("-", "")}\n`);
  await Bun.write(join(etc, "resolv.conf"), existsSync("/etc/resolv.conf") ? Bun.file("/etc/resolv.conf") : "");
}
