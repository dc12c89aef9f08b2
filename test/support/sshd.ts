// An sshd of a test's own: a loopback port, its own keys and settings, and logins of root alone, who is the test's user.
// It runs in mount points of its own, with an account for sshd and a /run that the machine knows nothing of.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { boxUnavailable, ensureBoxImage } from "./box-image.ts";
import { freePort } from "./core-server.ts";
import { pids, until } from "./sandbox.ts";

/** A running sshd. */
export interface Sshd {
  port: number;
  /** The client's settings for `ssh -F`: the key, the server's key, and nothing of the machine's. */
  config: string;
  /** What sshd has logged. */
  log(): string;
  /** How many connections were made so far. */
  connections(): number;
  /** Ends it, with all sessions. */
  stop(): Promise<void>;
}

/** Why no sshd can run here, or null. */
export const sshdUnavailable = boxUnavailable;

const START = `set -eu
folder=$1 sshd=$2 libraries=$3
exec >>"$folder/log" 2>&1
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind "$folder/passwd" /etc/passwd
mount --bind "$folder/shadow" /etc/shadow
[ -z "$libraries" ] || export LD_LIBRARY_PATH="$libraries"
exec "$sshd" -D -E "$folder/log" -f "$folder/sshd_config"`;

/** The machine's sshd, or that of the test servers' tree, with the libraries of that tree. */
export async function program(): Promise<{ sshd: string; libraries: string }> {
  const own = Bun.which("sshd", { PATH: "/usr/sbin:/sbin" });
  if (own !== null) return { sshd: own, libraries: "" };
  const tree = await ensureBoxImage();
  const [folder] = [...new Bun.Glob("usr/lib/*-linux-gnu").scanSync({ cwd: tree, onlyFiles: false })];
  return { sshd: join(tree, "usr/sbin/sshd"), libraries: folder ? join(tree, folder) : "" };
}

/** Starts sshd with its files in a new folder; `env` is the environment of every login. */
export async function startSshd(folder: string, env: Record<string, string>): Promise<Sshd> {
  const port = await freePort();
  const at = (name: string) => join(folder, name);
  mkdirSync(folder, { mode: 0o700 });
  for (const key of ["host", "client"])
    Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", at(key)]);
  writeFileSync(at("authorized"), readFileSync(at("client.pub")), { mode: 0o600 });
  const shell = (user: string, home: string) => `${user}:${home}:/bin/sh\n`;
  writeFileSync(at("passwd"), `${shell("root:x:0:0:root", env["HOME"]!)}${shell("sshd:x:65533:65534:", "/run/sshd")}`);
  writeFileSync(at("shadow"), "root:*:19000::::::\nsshd:*:19000::::::\n", { mode: 0o600 });
  writeFileSync(at("known"), `[127.0.0.1]:${port} ${readFileSync(at("host.pub"), "utf8")}`);
  writeFileSync(at("sshd_config"), serverLines(at, port, env));
  writeFileSync(at("config"), clientLines(at, port));
  writeFileSync(at("log"), "");
  const { sshd, libraries } = await program();
  const argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", START, "sh", folder, sshd, libraries];
  const child = Bun.spawn(argv, { env: { PATH: process.env["PATH"]! }, stdio: ["ignore", "ignore", "ignore"] });
  const log = () => readFileSync(at("log"), "utf8");
  await until("sshd listens", () => {
    if (child.exitCode !== null) throw new Error(`sshd exited with code ${child.exitCode}:\n${log()}`);
    return log().includes("Server listening on 127.0.0.1");
  });
  return {
    ...{ port, config: at("config"), log },
    connections: () => log().match(/^Connection from /gm)?.length ?? 0,
    async stop() {
      for (const pid of [child.pid, ...below(child.pid)]) end(pid);
      await child.exited;
    },
  };
}

/** The processes that a process has started, and those that they have: sessions outlive the sshd that waits for more. */
function below(pid: number): number[] {
  const children = pids().filter((other) => /^PPid:\t(\d+)$/m.exec(statusOf(other))?.[1] === String(pid));
  return children.flatMap((child) => [child, ...below(child)]);
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return ""; // it has gone meanwhile
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone by itself
  }
}

type At = (name: string) => string;

const serverLines = (at: At, port: number, env: Record<string, string>) => `Port ${port}
ListenAddress 127.0.0.1
HostKey ${at("host")}
AuthorizedKeysFile ${at("authorized")}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
PidFile none
LogLevel VERBOSE
SetEnv ${Object.entries(env)
  .map(([name, value]) => `"${name}=${value}"`)
  .join(" ")}
`;

// A key exchange and a cipher that cost little.
const clientLines = (at: At, port: number) => `Host server
  HostName 127.0.0.1
  Port ${port}
  User root
Host *
  IdentityFile ${at("client")}
  IdentitiesOnly yes
  UserKnownHostsFile ${at("known")}
  GlobalKnownHostsFile /dev/null
  KexAlgorithms curve25519-sha256
  Ciphers aes128-gcm@openssh.com
  BatchMode yes
  LogLevel ERROR
`;
