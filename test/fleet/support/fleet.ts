// A fleet of servers behind sshds of a test's own, whose `dp` does what the test says, and a laptop that asks them.
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainEnv } from "../../../lib/host/run.ts";
import { dp } from "../../support/core-server.ts";
import { startSshd, type Sshd } from "../../support/sshd.ts";
import { freePort } from "../../support/port.ts";

export interface Fleet {
  folder: string;
  /** The environment of dp on the laptop. */
  env: Record<string, string>;
  /** fleet.yml. */
  file: string;
  /** Makes `dp` of a server this script. */
  script(server: string, lines: string): void;
  /** Writes fleet.yml with these servers. */
  list(...names: string[]): void;
  /** Runs dp on the laptop. */
  dp(...words: string[]): Promise<{ code: number; out: string; err: string }>;
  stop(): Promise<void>;
}

/** Starts an sshd for each name; `gone` is a server where nobody listens. */
export async function startFleet(...names: string[]): Promise<Fleet> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-fleet-test-")));
  const sshds = new Map<string, Sshd>();
  await Promise.all(
    names.map(async (name) => {
      const home = join(folder, name);
      mkdirSync(join(home, "bin"), { recursive: true });
      const path = `${join(home, "bin")}:/usr/local/bin:/usr/bin:/bin`;
      sshds.set(name, await startSshd(join(home, "sshd"), { HOME: home, PATH: path }));
    }),
  );
  const hosts = [...sshds].map(([name, { port }]) => hostLines(name, port, join(folder, name, "sshd")));
  hosts.push(hostLines("gone", await freePort(), join(folder, names[0]!, "sshd")));
  writeFileSync(join(folder, "ssh_config"), hosts.join("\n"), { mode: 0o600 });
  const file = join(folder, "laptop/dp/fleet.yml");
  mkdirSync(join(folder, "laptop/dp"), { recursive: true });
  mkdirSync(join(folder, "run"), { mode: 0o700 });
  const env = {
    ...plainEnv(),
    HOME: join(folder, "laptop"),
    XDG_CONFIG_HOME: join(folder, "laptop"),
    XDG_RUNTIME_DIR: join(folder, "run"),
    TMPDIR: folder,
    GIT_SSH_COMMAND: `ssh -F ${join(folder, "ssh_config")}`,
  };
  return {
    ...{ folder, env, file },
    script(server, lines) {
      const path = join(folder, server, "bin/dp");
      writeFileSync(`${path}.new`, `#!/bin/sh\n${lines}\n`);
      chmodSync(`${path}.new`, 0o755);
      // By rename: a shell may be reading the old one.
      Bun.spawnSync(["mv", `${path}.new`, path]);
    },
    list: (...some) => writeFileSync(file, `servers:\n${some.map((name) => `  ${name}: ${name}\n`).join("")}`),
    async dp(...words) {
      const child = Bun.spawn([...dp, ...words], { cwd: "/", env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      return { code: await child.exited, out, err };
    },
    async stop() {
      await Promise.all([...sshds.values()].map((sshd) => sshd.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const hostLines = (name: string, port: number, keys: string) => `Host ${name}
  HostName 127.0.0.1
  Port ${port}
  User root
  IdentityFile ${join(keys, "client")}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(keys, "known")}
  GlobalKnownHostsFile /dev/null
  KexAlgorithms curve25519-sha256
  Ciphers aes128-gcm@openssh.com
  LogLevel ERROR
`;

/** A script for `dp` that prints a file. */
export function prints(fleet: Fleet, server: string, value: unknown): void {
  const path = join(fleet.folder, server, "answer.json");
  writeFileSync(`${path}.new`, JSON.stringify(value));
  Bun.spawnSync(["mv", `${path}.new`, path]);
  fleet.script(server, `cat '${path}'`);
}

/** The processes whose arguments contain a text. */
export function processesWith(text: string): number[] {
  const found = Bun.spawnSync(["pgrep", "-f", "--", text]).stdout.toString();
  return found.split("\n").filter(Boolean).map(Number);
}
