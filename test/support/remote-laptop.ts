// A laptop and a server on this machine: the server in a folder behind an sshd of the test's own, and a clone of the app
// whose remote leads there.
import { mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { sandbox, type Outcome, type Sandbox, type Started } from "./sandbox.ts";
import { startSshd, type Sshd } from "./sshd.ts";
import { inTerminal, type Typed } from "./typed.ts";

/** What a command of the laptop gets besides its words. */
export interface How {
  stdin?: Blob | string;
  env?: Record<string, string>;
  cwd?: string;
}

/** The two machines. */
export interface Pair {
  /** The server, with the app shop. */
  box: Sandbox;
  sshd: Sshd;
  /** The clone, with the remote "production". */
  clone: string;
  /** The environment of the laptop; tests may add to it. */
  env: Record<string, string>;
  /** Runs dp in the clone; `stdin` is what it reads. */
  dp(...args: string[]): Promise<Outcome>;
  dpWith(how: How, ...args: string[]): Promise<Outcome>;
  /** Starts any program of the laptop. */
  start(argv: readonly string[]): Started;
  /** Types dp in a terminal. */
  typed(...args: string[]): Typed;
  /** Starts any program of the laptop in a terminal. */
  program(argv: readonly string[]): Typed;
  git(...args: string[]): Promise<Outcome>;
  stop(): Promise<void>;
}

/** Makes both, with a first release live. */
export async function openPair(): Promise<Pair> {
  const box = await sandbox();
  try {
    await box.release({});
    return await connect(box);
  } catch (error) {
    await box.stop();
    throw error;
  }
}

/** Puts a server that is there behind an sshd, and makes the laptop. */
export async function connect(box: Sandbox): Promise<Pair> {
  const folder = dirname(box.root);
  symlinkSync(box.program, join(folder, "tools/dp"));
  const sshd = await startSshd(join(folder, "sshd"), box.env);
  const clone = join(folder, "laptop", box.app);
  const home = join(folder, "laptop/home");
  for (const path of [clone, home]) mkdirSync(path, { recursive: true });
  mkdirSync(join(folder, "laptop/run"), { mode: 0o700 });
  const env: Record<string, string> = { ...box.env, HOME: home, XDG_RUNTIME_DIR: join(folder, "laptop/run") };
  delete env["DP_ROOT"];
  const spawn = (argv: readonly string[], how: How) => {
    const { stdin = "", cwd = clone } = how;
    const child = Bun.spawn([...argv], {
      ...{ cwd, env: { ...env, ...how.env }, stdin: typeof stdin === "string" ? new Blob([stdin]) : stdin },
      ...{ stdout: "pipe", stderr: "pipe" },
    });
    const done = Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    return {
      pid: child.pid,
      done: done.then(([code, stdout, stderr]) => ({ code, stdout, stderr, text: stdout + stderr })),
    };
  };
  const git = (...args: string[]) => spawn(["git", ...args], {}).done;
  await git("init", "--quiet", "--initial-branch=main");
  await git("config", "core.sshCommand", `ssh -F ${sshd.config}`);
  await git("remote", "add", "production", `ssh://root@server/var/repos/${box.app}.git`);
  return {
    ...{ box, sshd, clone, env, git },
    dp: (...args) => spawn([box.program, ...args], {}).done,
    dpWith: (how, ...args) => spawn([box.program, ...args], how).done,
    start: (argv) => spawn(argv, {}),
    typed: (...args) => inTerminal([box.program, ...args], env, clone),
    program: (argv) => inTerminal(argv, env, clone),
    async stop() {
      await sshd.stop();
      await box.stop();
    },
  };
}
