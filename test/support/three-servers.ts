// Three servers that are little more than an sshd each: processes, mounts and host name of their own, one network. What
// each has below DP_ROOT lies in a folder of its own and has the same path on all of them.
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Run } from "../../lib/pipeline/run-file.ts";
import { programOf, tested } from "./installed.ts";
import { claimPort } from "./port.ts";
import { deployYml, environment, SERVER, until, type Outcome } from "./sandbox.ts";
import { program, sshdUnavailable } from "./sshd.ts";

/** Why they cannot run here, or null. */
export const threeUnavailable = sshdUnavailable;

/** One of them. */
export interface One {
  name: string;
  address: string;
  /** A folder of programs that come first there. */
  bin: string;
  /** The app's base folder, seen from here. */
  base: string;
  /** The port of sshd, and of the app. */
  ports: { ssh: number; app: number };
  dp(...args: string[]): Promise<Outcome>;
  sh(line: string): Promise<Outcome>;
  /** Starts a line there, until its end, or `end`, which cuts the connection as a Ctrl-C on the laptop does. */
  start(line: string): { text(): string; end(): void };
  /** What happens to the process of a deploy there from now on, see failpoint.ts; "": nothing. */
  failAt(failpoint: string): void;
  live(): string | null;
  previous(): string | null;
  run(id?: string): Run;
  ids(): string[];
  answer(path?: string): Promise<string>;
  /** Ends everything there at once. */
  cut(): Promise<void>;
  boot(): Promise<void>;
}

export interface Three {
  a: One;
  b: One;
  c: One;
  all: readonly One[];
  git(...args: string[]): Promise<Outcome>;
  commit(files: Record<string, string | null>): Promise<string>;
  push(...args: string[]): Promise<Outcome>;
  stop(): Promise<void>;
}

const APP = "shop";

const START = `set -eu
folder=$1 root=$2 name=$3 sshd=$4 libraries=$5
exec >>"$folder/log" 2>&1
hostname "$name"
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/shadow" /etc/shadow
mount --bind "$folder/root" "$root"
[ -z "$libraries" ] || export LD_LIBRARY_PATH="$libraries"
exec "$sshd" -D -E "$folder/log" -f "$folder/sshd_config"`;

/** Starts them, with the app set up on each; pushes go to a, which leads. */
export async function threeServers(files: Record<string, string> = {}): Promise<Three> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-three-")));
  const root = join(folder, "root");
  for (const path of [root, join(folder, "keys")]) mkdirSync(path);
  for (const key of ["host", "client"]) keyPair(join(folder, "keys", key));
  const env = environment(folder, root);
  writeFileSync(join(folder, "tools/dp"), wrapper(), { mode: 0o755 });
  const claims: { release(): void }[] = [];
  const all: One[] = [];
  try {
    for (const [at, name] of ["a", "b", "c"].entries()) {
      const [ssh, app] = [await claimPort(), await claimPort()];
      claims.push(ssh, app);
      const ports = { ssh: ssh.port, app: app.port };
      all.push(oneServer({ folder, root, env, name, address: `127.0.0.${11 + at}`, ports }));
    }
    writeFileSync(join(folder, "config"), clientLines(folder, all));
    for (const { name } of all) {
      const home = join(folder, name, "root-home/.ssh");
      writeFileSync(join(home, "config"), clientLines(folder, all), { mode: 0o600 });
    }
    await Promise.all(all.map((one) => one.boot()));
    await Promise.all(all.map(setUp));
  } catch (error) {
    await end(folder, all, claims);
    throw error;
  }
  const [a, b, c] = all as [One, One, One];
  const laptop = await laptopOf(folder, root, env, files);
  return { a, b, c, all, ...laptop, stop: () => end(folder, all, claims) };
}

async function end(folder: string, all: readonly One[], claims: readonly { release(): void }[]): Promise<void> {
  await Promise.all(all.map((one) => one.cut()));
  for (const claim of claims) claim.release();
  rmSync(folder, { recursive: true, force: true });
}

const keyPair = (path: string) =>
  Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", basename(path), "-f", path]);

// dp, with failpoint.ts where the server's file says so.
const wrapper = () => `#!/bin/sh
point=$(cat "$HOME/failpoint" 2>/dev/null)
[ -n "$point" ] || exec ${tested()} "$@"
export DP_TEST_FAILPOINT="$point"
exec ${process.execPath} --no-env-file --config=/dev/null --no-install --preload ${join(import.meta.dir, "failpoint.ts")} ${programOf(tested())} "$@"
`;

// A key exchange and a cipher that cost little.
const clientLines = (folder: string, all: readonly One[]) =>
  all
    .map(({ name, address, ports }) => `Host ${name}\n  HostName ${address}\n  Port ${ports.ssh}\n  User root\n`)
    .join("") +
  `Host *
  HostKeyAlias three
  IdentityFile ${join(folder, "keys/client")}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(folder, "keys/known")}
  GlobalKnownHostsFile /dev/null
  KexAlgorithms curve25519-sha256
  Ciphers aes128-gcm@openssh.com
  BatchMode yes
  LogLevel ERROR
`;

interface Made {
  folder: string;
  root: string;
  env: Record<string, string>;
  name: string;
  address: string;
  ports: One["ports"];
}

function oneServer({ folder, root, env, name, address, ports }: Made): One {
  const own = join(folder, name);
  const at = (...parts: string[]) => join(own, ...parts);
  const home = at("root-home");
  for (const path of [own, at("root"), at("bin"), home, join(home, ".ssh")]) mkdirSync(path, { mode: 0o755 });
  const keys = join(folder, "keys");
  writeFileSync(join(keys, "known"), `three ${readFileSync(join(keys, "host.pub"), "utf8")}`);
  writeFileSync(at("authorized"), readFileSync(join(keys, "client.pub")), { mode: 0o600 });
  const shell = (user: string, at: string) => `${user}:${at}:/bin/sh\n`;
  writeFileSync(at("passwd"), `${shell("root:x:0:0:root", home)}${shell("sshd:x:65533:65534:", "/run/sshd")}`);
  writeFileSync(at("shadow"), "root:*:19000::::::\nsshd:*:19000::::::\n", { mode: 0o600 });
  writeFileSync(at("log"), "");
  writeFileSync(
    at("sshd_config"),
    serverLines(own, keys, { ...env, HOME: home, PATH: `${at("bin")}:${env["PATH"]}` }, `${address}:${ports.ssh}`),
  );
  const base = at("root/opt/deployments", APP);
  const runs = join(base, "runs");
  const ids = () => {
    const names = [...new Bun.Glob("*.json").scanSync({ cwd: runs })].map((file) => basename(file, ".json"));
    return names.sort((x, y) => Number.parseInt(x) - Number.parseInt(y));
  };
  const sh = (line: string) => run(["ssh", "-F", join(folder, "config"), name, line], { ...process.env } as never);
  let child: Bun.Subprocess | null = null;
  return {
    ...{ name, address, base, ports, ids, sh, bin: at("bin") },
    start: (line) => started(["ssh", "-F", join(folder, "config"), name, line]),
    dp: (...args) => sh(["dp", ...args.map((word) => `'${word.replaceAll("'", "'\\''")}'`)].join(" ")),
    failAt: (failpoint) => writeFileSync(join(home, "failpoint"), failpoint),
    live: () => linkOf(join(base, "current")),
    previous: () => linkOf(join(base, "previous")),
    run: (id) => JSON.parse(readFileSync(join(runs, `${id ?? ids().at(-1)}.json`), "utf8")) as Run,
    async answer(path = "/") {
      const response = await fetch(`http://${address}:${ports.app}${path}`, {
        ...({ proxy: "" } as RequestInit),
        ...{ keepalive: false, signal: AbortSignal.timeout(30_000) },
      });
      return response.text();
    },
    async cut() {
      child?.kill("SIGKILL");
      await child?.exited;
      child = null;
    },
    async boot() {
      const { sshd, libraries } = await program();
      const spaces = [
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--uts",
        "--propagation",
        "private",
      ];
      const argv = ["unshare", ...spaces, "sh", "-c", START, "sh", own, root, name, sshd, libraries];
      writeFileSync(at("log"), "");
      const started = Bun.spawn(argv, { env: { PATH: process.env["PATH"]! }, stdio: ["ignore", "ignore", "ignore"] });
      child = started;
      await until(`sshd of ${name} listens`, () => {
        const log = readFileSync(at("log"), "utf8");
        if (started.exitCode !== null) throw new Error(`sshd exited with code ${started.exitCode}:\n${log}`);
        return log.includes(`Server listening on ${address}`);
      });
    },
  };
}

const serverLines = (
  own: string,
  keys: string,
  env: Record<string, string>,
  address: string,
) => `ListenAddress ${address}
HostKey ${join(keys, "host")}
AuthorizedKeysFile ${join(own, "authorized")}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
MaxStartups 100
PidFile none
LogLevel VERBOSE
SetEnv ${Object.entries(env)
  .map(([name, value]) => `"${name}=${value}"`)
  .join(" ")}
`;

async function setUp(one: One): Promise<void> {
  const made = await one.dp("setup", APP, "--port", String(one.ports.app), "--manager", "builtin");
  if (made.code !== 0) throw new Error(`dp setup on ${one.name} exited with code ${made.code}:\n${made.text}`);
  const servers = one.name === "a" ? "servers: {a: here, b: b, c: c}\n" : "";
  const config = join(one.base, "config.yml");
  writeFileSync(config, `${readFileSync(config, "utf8")}host: ${one.address}\nverifyTime: 0s\n${servers}`);
}

async function laptopOf(folder: string, root: string, env: Record<string, string>, files: Record<string, string>) {
  const code = join(folder, "code");
  const ssh = `ssh -F ${join(folder, "config")}`;
  const git = (...args: string[]) => run(["git", ...args], { ...env, GIT_SSH_COMMAND: ssh }, code);
  const commit = async (changes: Record<string, string | null>) => {
    for (const [name, text] of Object.entries(changes))
      if (text === null) rmSync(join(code, name), { force: true });
      else writeFileSync(join(code, name), text);
    await git("add", "--all");
    await git("commit", "--quiet", "--allow-empty", "-m", "Change it");
    return (await git("rev-parse", "HEAD")).stdout.trim();
  };
  await git("init", "--quiet", "--initial-branch=main");
  await git("remote", "add", "production", `ssh://root@a${root}/var/repos/${APP}.git`);
  await commit({ "deploy.yml": deployYml(APP), "server.py": SERVER, say: "one", ...files });
  return { git, commit, push: (...args: string[]) => git("push", ...args, "production", "main") };
}

function linkOf(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

function started(argv: readonly string[]) {
  const child = Bun.spawn([...argv], { cwd: "/", stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) text += Buffer.from(chunk).toString();
  };
  for (const stream of [child.stdout, child.stderr]) void read(stream);
  return { text: () => text, end: () => child.kill() };
}

async function run(argv: readonly string[], env: Record<string, string>, cwd = "/"): Promise<Outcome> {
  const child = Bun.spawn([...argv], { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, stdout, stderr, text: stdout + stderr };
}
