// A real server for tests: systemd as PID 1, sshd and git, on a Debian tree of its own.
//
//   const why = boxUnavailable();
//   describe.skipIf(why !== null)(`deploys${why === null ? "" : ` (skipped: ${why})`}`, () => {
//     let box: Box;
//     beforeAll(async () => { box = await startBox(); });
//     afterAll(async () => { await box.stop(); });
//     test("answers", async () => expect(await box.must("hostname")).toBe(box.name));
//   });
//
// A box shares the host's network: what listens in it listens on the host, so take `freePort()`s on 127.0.0.1. One with
// Docker Engine has a network of its own, for the bridges.
// It ends with `stop()`, or by itself as soon as the process that started it is gone.
import { closeSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  type Answer,
  type BoxFolder,
  claimFolder,
  detach,
  exec,
  freePort,
  prepareTree,
  script,
  until,
} from "./box-host.ts";
import { boxUnavailable as unavailable, ensureBoxImage, type ImageName } from "./box-image.ts";
import { type Connection, connection, sharing, sshArguments, type SshOptions } from "./box-ssh.ts";

export { type Answer, type SshOptions, ensureBoxImage, freePort, until };

/** A running test server. */
export interface Box extends Connection {
  /** The machine's name. */
  readonly name: string;
  /** Its folder on the host: key, console.log. Never below a box's own /tmp. */
  readonly dir: string;
  /** sshd's port on 127.0.0.1. */
  readonly port: number;
  readonly keyPath: string;
  /** Arguments between `ssh` and the destination, of a box in the host's network. */
  readonly sshArgs: readonly string[];
  /** GIT_SSH_COMMAND for `git push ssh://root@127.0.0.1:PORT/...`; see `gitUrl`. */
  readonly gitSsh: string;
  /** The address of a path in the box, for git. */
  gitUrl(path: string, user?: string): string;
  /** Everything that runs in the box is gone at once; the files stay. */
  powerCut(): Promise<void>;
  /** Boots after a power cut, until systemd says `running`. */
  boot(): Promise<void>;
  /** An orderly shutdown, then a boot. */
  reboot(): Promise<void>;
  /** Ends the box and removes its folder. Safe to repeat. */
  stop(): Promise<void>;
}

/** Why no box can run here, or null. With CI set and as root that is a failure: a run must not go green by skipping. */
export function boxUnavailable(image: ImageName = "base"): string | null {
  const why = unavailable(image);
  if (why !== null && process.env["CI"] === "true" && process.getuid?.() === 0)
    throw new Error(`no test server: ${why}`);
  return why;
}

/** Boots a new server and waits until it is ready. Throws with its console's end when it does not come up. */
export async function startBox(name = "box", image: ImageName = "base"): Promise<Box> {
  const base = await ensureBoxImage(undefined, image);
  const folder = await claimFolder(image);
  const port = await freePort();
  const machine = `${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}-${port}`;
  const box = makeBox(folder, port, machine, base);
  try {
    await prepareTree(folder.dir, base, port, machine);
    await box.boot();
  } catch (error) {
    await box.stop();
    throw error;
  }
  return box;
}

// The way into a network of its own leads through the process that holds it, another one after each boot.
const enter = (dir: string) => `#!/bin/sh\nexec nsenter "--net=/proc/$(cat '${dir}/nspawn')/ns/net" ssh "$@"\n`;

function makeBox({ dir, owner }: BoxFolder, port: number, name: string, base: string): Box {
  const keyPath = join(dir, "key");
  const sshArgs = sshArguments(keyPath, port);
  const program = basename(base) === "docker" ? join(dir, "ssh") : "ssh";
  if (program !== "ssh") writeFileSync(program, enter(dir), { mode: 0o755 });
  let boots = 0;
  const client = connection([program, ...sshArgs], () => sharing(join(dir, `ssh-${boots}`)));
  const start = async () => {
    // A connection from before the boot is left to its end.
    boots++;
    await boot(client, dir, name, base);
  };
  const processes = async (what: "list" | "kill" | "remove") => {
    const answer = await exec(["sh", script("box-processes.sh"), dir, what]);
    if (answer.code !== 0) throw new Error(answer.text);
    return answer.stdout;
  };
  let stopped = false;
  return {
    ...client,
    name,
    dir,
    port,
    keyPath,
    sshArgs,
    gitSsh: [program, ...sshArgs].join(" "),
    gitUrl: (path, user = "root") => `ssh://${user}@127.0.0.1:${port}${path}`,
    async powerCut() {
      await processes("kill");
    },
    boot: start,
    async reboot() {
      await client.ssh("systemctl poweroff");
      await until(`${name} powers off`, async () => (await processes("list")) === "");
      await start();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      await processes("remove");
      closeSync(owner);
    },
  };
}

/** Starts systemd-nspawn and waits until systemd has started everything. */
async function boot(client: Connection, dir: string, name: string, base: string): Promise<void> {
  const log = join(dir, "console.log");
  detach(["sh", script("box-boot.sh"), dir, name, base], log);
  let state = "";
  try {
    await until(`${name} answers on ssh`, async () => (await client.ssh("true", { timeout: 15_000 })).code === 0);
    state = (await client.ssh("systemctl is-system-running --wait")).stdout.trim();
  } catch (error) {
    throw new Error(`${name} did not boot:\n${(await Bun.file(log).text()).split("\n").slice(-30).join("\n")}`, {
      cause: error,
    });
  }
  if (state === "running") return;
  console.error(`${name} is ${state}:\n${(await client.ssh("systemctl --failed --no-legend --plain")).text}`);
  if (state !== "degraded") throw new Error(`${name} is ${state}`);
}
