// Everything that reaches a box through its sshd: commands, and files going in and out.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Answer, exec } from "./box-host.ts";

const project = resolve(import.meta.dir, "../..");
const SAVE = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"';
// The types are more than half of all files, and no program needs them.
const LEFT_OUT = [".git", ".cache", "node_modules/bun-types", "node_modules/@types"];
const UNPACK = 'mkdir -p "$1" && tar -C "$1" -xf -';

export interface SshOptions {
  /** The account; default root. Every account with a shell lets the tests in. */
  user?: string;
  /** What the command reads on stdin; default nothing. */
  stdin?: string | Blob;
  /** Milliseconds until the client is killed; default 120 s. */
  timeout?: number;
  /** Through a connection that is made for this command alone: a test of sshd's own. */
  isFresh?: boolean;
}

/** What a box offers over ssh. */
export interface Connection {
  /** Runs a command: a string meets the remote shell, an array does not. A failure is an answer; 255 is ssh's own. */
  ssh(command: string | readonly string[], options?: SshOptions): Promise<Answer>;
  /** Like `ssh`, but a failure throws with the command's output. Returns stdout without the final newline. */
  must(command: string | readonly string[], options?: SshOptions): Promise<string>;
  /** Copies a file (with its mode) or a folder (what is in it) from the host; folders above are made. */
  copyIn(localPath: string, remotePath: string): Promise<void>;
  /** Copies the project with its node_modules, without types, .cache and .git; default /opt/dp-source. */
  copyTree(remotePath?: string): Promise<void>;
  /** Writes a file; folders above are made. */
  write(path: string, text: string, mode?: number): Promise<void>;
  read(path: string): Promise<string>;
}

/** Arguments of ssh before the destination. */
export function sshArguments(keyPath: string, port: number): string[] {
  // A key exchange and a cipher that cost little: by default a connection costs a tenth of a second of a processor.
  const settings = {
    BatchMode: "yes",
    Ciphers: "aes128-gcm@openssh.com",
    ConnectTimeout: "10",
    IdentitiesOnly: "yes",
    KexAlgorithms: "curve25519-sha256",
    LogLevel: "ERROR",
    StrictHostKeyChecking: "no",
    UserKnownHostsFile: "/dev/null",
  };
  return [
    "-F",
    "/dev/null",
    "-i",
    keyPath,
    "-p",
    `${port}`,
    ...Object.entries(settings).map(([key, value]) => `-o${key}=${value}`),
  ];
}

// What a socket's path may be, without what ssh appends to it while it makes one.
const LONGEST_SOCKET = 85;

/** Arguments of ssh that make commands share a connection, which ends when the server does. */
export function sharing(socket: string): string[] {
  if (socket.length > LONGEST_SOCKET) return [];
  return ["-oControlMaster=auto", "-oControlPersist=yes", `-oControlPath=${socket}`];
}

/**
 * The commands and copies of a box, by the program and arguments of its ssh. What `shared` answers is added for root's:
 * who has become a member of a group since would not be one in a connection from before.
 */
export function connection(client: readonly string[], shared: () => readonly string[]): Connection {
  const ssh: Connection["ssh"] = (command, { user = "root", isFresh = user !== "root", ...options } = {}) => {
    const own = isFresh ? client : [...client, ...shared()];
    return exec([...own, `${user}@127.0.0.1`, typeof command === "string" ? command : quote(command)], {
      timeout: 120_000,
      ...options,
    });
  };
  const demand = async (command: string | readonly string[], options?: SshOptions) => {
    const answer = await ssh(command, options);
    if (answer.code !== 0) throw new Error(`${String(command)} exited with code ${answer.code}:\n${answer.text}`);
    return answer.stdout;
  };
  const save = (path: string, content: string | Blob, mode: number) =>
    demand(["sh", "-c", SAVE, "sh", path, (mode & 0o7777).toString(8)], { stdin: content });
  const unpack = async (remotePath: string, ...what: string[]) => {
    const folder = mkdtempSync(join(tmpdir(), "dp-copy-"));
    try {
      const packed = await exec(["tar", "--owner=0", "--group=0", "-cf", join(folder, "tar"), ...what]);
      if (packed.code !== 0) throw new Error(packed.text);
      await demand(["sh", "-c", UNPACK, "sh", remotePath], { stdin: Bun.file(join(folder, "tar")) });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  return {
    ssh,
    must: async (command, options) => (await demand(command, options)).replace(/\n$/, ""),
    read: (path) => demand(["cat", "--", path]),
    async write(path, text, mode = 0o644) {
      await save(path, text, mode);
    },
    async copyIn(localPath, remotePath) {
      const stat = statSync(localPath);
      if (stat.isDirectory()) await unpack(remotePath, "-C", localPath, ".");
      else await save(remotePath, Bun.file(localPath), stat.mode);
    },
    copyTree: (remotePath = "/opt/dp-source") =>
      unpack(remotePath, ...LEFT_OUT.map((path) => `--exclude=./${path}`), "-C", project, "."),
  };
}

/** One shell word for each argument. */
export function quote(argv: readonly string[]): string {
  return argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
