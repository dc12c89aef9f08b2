// A server in a folder, for tests of the whole: an app's repository beside it, real pushes, and nothing left at the end.
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import type { Run } from "../../lib/pipeline/run-file.ts";
import { programOf, tested } from "./installed.ts";
import { pauseAfter } from "./pause.ts";
import { claimPort } from "./port.ts";

export const project = resolve(import.meta.dir, "../..");
const FAILPOINT = join(import.meta.dir, "failpoint.ts");

/** How a command ended, and all that it said. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  /** stdout, then stderr. */
  text: string;
}

/** A command under way. */
export interface Started {
  pid: number;
  done: Promise<Outcome>;
}

export interface Sandbox {
  app: string;
  port: number;
  /** DP_ROOT. */
  root: string;
  /** The app's working copy. */
  code: string;
  base: string;
  repo: string;
  /** The path of dp. */
  program: string;
  /** The environment of every command; tests may add to it. */
  env: Record<string, string>;
  dp(...args: string[]): Promise<Outcome>;
  /** `dp` with failpoint.ts loaded into it and into the process that deploys; `env` says what it does there. */
  dpWith(env: Record<string, string>, ...args: string[]): Promise<Outcome>;
  /** `dp` whose deploying process ends itself by SIGKILL at `STEP:PLACE`, see failpoint.ts. */
  dpKilledAt(failpoint: string, ...args: string[]): Promise<Outcome>;
  git(...args: string[]): Promise<Outcome>;
  start(argv: readonly string[], env?: Record<string, string>): Started;
  /** Writes files (null removes one), commits, answers the commit's full name. */
  commit(files: Record<string, string | null>, message?: string): Promise<string>;
  /** `git push production main`, or what `args` say instead. */
  push(...args: string[]): Promise<Outcome>;
  /** `commit` and `push` that must succeed; answers the release's ID. */
  release(files: Record<string, string | null>): Promise<string>;
  /** The body of GET `path` through the app's port. Throws when nobody answers. */
  answer(path?: string): Promise<string>;
  /** The release that `current` or `previous` names, or null. */
  link(name: "current" | "previous"): string | null;
  /** The run file of a run; the newest without `id`. */
  run(id?: string): Run;
  /** The IDs of all runs, oldest first. */
  ids(): string[];
  /** The log of a run. */
  log(id: string): string;
  /** The processes of the app's instances: ID -> pids of what serves. */
  instances(): Record<string, number[]>;
  /** Ends every process that belongs to this sandbox by SIGKILL, as a power cut does. */
  cutPower(): Promise<void>;
  /** Ends every process that belongs to this sandbox, and removes it. */
  stop(): Promise<void>;
}

/** The app: what `say` holds is what it answers, and `mode` how it behaves. */
export const SERVER = `import os, socket, sys, time

def read(name):
    try:
        with open(name) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""

mode = read("mode")
if mode == "crash":
    sys.exit("boom: it does not start")
if mode == "setting" and not os.environ.get("SETTING"):
    sys.exit("SETTING is not set")
if mode == "slow":
    print("waiting to be let in", flush=True)
    while not os.path.exists(read("wait")):
        time.sleep(0.01)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((os.environ["DP_HOST"], 0 if mode == "wrong-port" else int(os.environ["PORT"])))
server.listen(64)
print("listening on", server.getsockname()[1], os.environ.get("SECRET", ""), flush=True)
while True:
    client = server.accept()[0]
    try:
        path = (client.recv(65536).split() + [b"", b""])[1].decode()
    except ConnectionResetError:
        client.close()
        continue
    status = "200 OK"
    if path == "/health":
        if mode == "unhealthy" or mode == "marked" and os.path.exists(read("wait")):
            status = "500 Internal Server Error"
        if mode == "redirect":
            status = "302 Found\\r\\nLocation: /login"
    body = (read("say") + " " + os.environ["DP_RELEASE"]).encode()
    client.sendall(f"HTTP/1.1 {status}\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n".encode() + body)
    client.close()
`;

/** deploy.yml of the app, with more lines if need be. */
export const deployYml = (app: string, more = "") =>
  `name: ${app}
type: python
healthCheck: {path: /health, startTimeout: 5s, interval: 50ms}
command: exec python3 server.py
${more}`;

/**
 * Prepares a sandbox with the app set up and its first commit made, not yet pushed. `front` "none": strategy restart;
 * `dp`: the program, when it is not the tested one; `inside`: the words before every command, which runs elsewhere by them.
 */
export async function sandbox(
  app = "shop",
  front: "relay" | "none" = "relay",
  dp = tested(),
  inside: () => readonly string[] = () => [],
): Promise<Sandbox> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-sandbox-")));
  const claim = await claimPort();
  const at = (...parts: string[]) => join(folder, ...parts);
  const [root, code] = [at("server"), at("code")];
  const base = join(root, "opt/deployments", app);
  const repo = join(root, "var/repos", `${app}.git`);
  const env = environment(folder, root);
  const start = (argv: readonly string[], more: Record<string, string> = {}) =>
    spawn([...inside(), ...argv], code, { ...env, ...more });
  const run = (argv: readonly string[], more?: Record<string, string>) => start(argv, more).done;
  const failing = [process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", "--preload", FAILPOINT];
  const runs = join(base, "runs");
  const ids = () => {
    const names = [...new Bun.Glob("*.json").scanSync({ cwd: runs })].map((name) => basename(name, ".json"));
    return names.sort((a, b) => Number.parseInt(a) - Number.parseInt(b));
  };
  const must = async (what: string, done: Promise<Outcome>) => {
    const outcome = await done;
    if (outcome.code !== 0) throw new Error(`${what} exited with code ${outcome.code}:\n${outcome.text}`);
    return outcome;
  };
  const self: Sandbox = {
    ...{ app, port: claim.port, root, code, base, repo, env, program: dp, start, ids },
    dp: (...args) => run([dp, ...args]),
    dpWith: (more, ...args) => run([...failing, programOf(dp), ...args], more),
    dpKilledAt: (failpoint, ...args) => run([...failing, programOf(dp), ...args], { DP_TEST_FAILPOINT: failpoint }),
    git: (...args) => run(["git", ...args]),
    async commit(files, message = "Change it") {
      writeFiles(code, files);
      await must("git add", self.git("add", "--all"));
      await must("git commit", self.git("commit", "--quiet", "--allow-empty", "-m", message));
      return (await must("git rev-parse", self.git("rev-parse", "HEAD"))).stdout.trim();
    },
    push: (...args) => self.git("push", ...(args.length > 0 ? args : ["production", "main"])),
    async release(files) {
      await self.commit(files);
      await must("git push", self.push());
      return self.link("current")!;
    },
    answer: async (path = "/") => {
      if (inside().length === 0) return get(claim.port, path);
      const url = `http://127.0.0.1:${claim.port}${path}`;
      return (await must("curl", run(["curl", "-sS", "--max-time", "30", url]))).stdout;
    },
    link: (name) => linkOf(join(base, name)),
    run: (id) => JSON.parse(readFileSync(join(runs, `${id ?? ids().at(-1)}.json`), "utf8")) as Run,
    log: (id) => readFileSync(join(root, "var/log/deployments", app, `${id}.log`), "utf8"),
    instances: () => instancesOf(app, base),
    cutPower: () => endAll(folder),
    async stop() {
      claim.release();
      await endAll(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    const options = ["--port", String(claim.port), "--manager", "builtin", "--front", front];
    await must("dp setup", self.dp("setup", app, ...options));
    // Watching a release for seconds after each switch is tested apart.
    appendFileSync(join(base, "config.yml"), "verifyTime: 0s\n");
    await must("git init", self.git("init", "--quiet", "--initial-branch=main"));
    await must("git remote", self.git("remote", "add", "production", repo));
    await self.commit({ "deploy.yml": deployYml(app), "server.py": SERVER, say: "one" }, "First");
  } catch (error) {
    await self.stop();
    throw error;
  }
  return self;
}

// The system's own python3 first: one that is built on the way by a version manager is slow to start.
export function environment(folder: string, root: string): Record<string, string> {
  const tools = join(folder, "tools");
  for (const path of [tools, join(folder, "code"), join(folder, "home")]) mkdirSync(path);
  symlinkSync(process.execPath, join(tools, "bun"));
  for (const [name, dirs] of [
    ["python3", "/usr/bin:/bin"],
    ["git", ""],
    ["tar", ""],
  ] as const) {
    const found = Bun.which(name, { PATH: dirs }) ?? Bun.which(name);
    if (found && dirname(found) !== "/usr/bin" && dirname(found) !== "/bin") symlinkSync(found, join(tools, name));
  }
  return {
    PATH: `${tools}:/usr/bin:/bin`,
    HOME: join(folder, "home"),
    LANG: "C.UTF-8",
    USER: "tester",
    LOGNAME: "tester",
    DP_ROOT: root,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: "Tester",
    GIT_AUTHOR_EMAIL: "tester@localhost",
    GIT_COMMITTER_NAME: "Tester",
    GIT_COMMITTER_EMAIL: "tester@localhost",
  };
}

function spawn(argv: readonly string[], cwd: string, env: Record<string, string>): Started {
  const child = Bun.spawn([...argv], { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const done = Promise.all([child.exited, child.stdout.text(), child.stderr.text()]).then(([code, stdout, stderr]) => ({
    ...{ code, stdout, stderr },
    text: stdout + stderr,
  }));
  return { pid: child.pid, done };
}

function writeFiles(folder: string, files: Record<string, string | null>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    rmSync(path, { force: true });
    if (text === null) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: text.startsWith("#!") ? 0o755 : 0o644 });
  }
}

function linkOf(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

async function get(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    ...({ proxy: "" } as RequestInit),
    redirect: "manual",
    keepalive: false,
    signal: AbortSignal.timeout(30_000),
  });
  return response.text();
}

/** Waits until `check` answers something true, and answers that; throws after a minute. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const begun = performance.now();
    const found = await check();
    if (found) return found as Exclude<T, false | null | undefined>;
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await pauseAfter(begun);
  }
}

const proc = (pid: number, file: string) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // it has gone meanwhile
  }
};

/** Every process that runs, as far as it may be seen; no zombies. */
export function pids(): number[] {
  const all = [...new Bun.Glob("[0-9]*").scanSync({ cwd: "/proc", onlyFiles: false })].map(Number);
  return all.filter((pid) => isRunning(pid));
}

/** Whether a process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  const stat = proc(pid, "stat");
  return stat !== "" && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
}

/** The pids whose arguments have the text. */
export const pidsWith = (text: string): number[] => pids().filter((pid) => proc(pid, "cmdline").includes(text));

function instancesOf(app: string, base: string): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const pid of pids()) {
    const environ = `\0${proc(pid, "environ")}`;
    const id = new RegExp(`\0DP_INSTANCE=${app}@([^\0:]+)`).exec(environ)?.[1];
    if (id && environ.includes(`\0HOME=${base}/`)) found[id] = [...(found[id] ?? []), pid];
  }
  return found;
}

// The folder's name is in the environment or the arguments of all that belongs to it, and of nothing else.
async function endAll(folder: string): Promise<void> {
  const own = () =>
    pids().filter((pid) => pid !== process.pid && `${proc(pid, "cmdline")}\0${proc(pid, "environ")}`.includes(folder));
  const killed = new Set<number>();
  await until("the end of the sandbox's processes", () => {
    const left = own();
    for (const pid of left) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // gone by itself
      }
    }
    // What is about to end has no arguments any more, and still counts as something that runs.
    return left.length === 0 && ![...killed].some(isRunning);
  });
}
