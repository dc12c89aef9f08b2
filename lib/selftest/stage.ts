// The stage of demo and self-test: a folder that stands for the laptop, a server, and the commands typed there.
import { createServer } from "node:net";
import { realpath, rm, mkdtemp } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { DpError } from "../errors.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { places } from "../paths.ts";
import { front, manager } from "../registry.ts";
import { plainEnv, run } from "../host/run.ts";
import { BUN, selfEnv } from "../host/self.ts";

const { SIGINT } = constants.signals;

/** Code that makes the app's program crash at once. */
export const BREAK = {
  "server.py": 'raise SystemExit("boom: this commit is broken")\n',
  "server.ts": 'throw new Error("boom: this commit is broken");\n',
};

/** Code that makes it slow to start, so that a command can arrive in the middle of a deploy. */
export const SLOW = {
  "server.py": "import time\n\ntime.sleep(5)\n",
  "server.ts": "await Bun.sleep(5_000);\n",
};

/** The state that the parts of the demo, or of the self-test, share. */
export interface Stage {
  app: string;
  /** The temp folder for everything that is not the server's. */
  folder: string;
  /** Prints a line. */
  print(line: string): void;
  /** The folder of the code, as on a laptop. */
  code: string;
  /** The app's bare repository. */
  repo: string;
  port: number;
  file: keyof typeof BREAK;
  env: Record<string, string>;
}

/**
 * Makes the temp folder; nothing runs yet. `server` is the subfolder that becomes DP_ROOT, for this process as well;
 * without it, the server is the real one.
 */
export async function makeStage(app: string, print: (line: string) => void, server?: string): Promise<Stage> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), `dp-${server ? app : "selftest"}-`)));
  const python = await run(["python3", "-c", "0"], { check: false, env: plainEnv() }).catch(() => null);
  if (server) process.env["DP_ROOT"] = join(folder, server);
  // Bun exists, or this would not run; the app may need it.
  const PATH = [dirname(BUN), process.env["PATH"] ?? ""].join(delimiter);
  const git = {
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: app,
    GIT_COMMITTER_NAME: app,
  };
  const mail = { GIT_AUTHOR_EMAIL: "demo@localhost", GIT_COMMITTER_EMAIL: "demo@localhost" };
  // Otherwise fetch would use a proxy even for this machine.
  process.env["NO_PROXY"] = "127.0.0.1";
  return {
    app,
    folder,
    print,
    repo: places(app).repo,
    code: join(folder, "code"),
    port: await freePort(),
    file: python?.code === 0 ? "server.py" : "server.ts",
    env: { ...selfEnv(), ...git, ...mail, PATH },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === "object" && address ? resolve(address.port) : reject(new Error("no free port")),
      );
    });
  });
}

/** Shows a command as it would be typed, runs it, shows its output; throws DpError "command" for a wrong outcome. */
export async function type(
  stage: Stage,
  shown: string,
  argv: readonly string[],
  wanted: "succeeds" | "is refused" = "succeeds",
): Promise<void> {
  stage.print(`\n$ ${shown}`);
  const result = await run(argv, {
    cwd: stage.code,
    env: stage.env,
    timeout: 120_000,
    check: false,
    onLine: (line) => stage.print(`  ${line.trimEnd()}`),
  });
  if (result.code === 128 + SIGINT) throw new DpError("interrupted", "it was interrupted");
  if ((result.code === 0) === (wanted === "succeeds")) return;
  throw new DpError("command", `expected that this ${wanted}: ${shown}; it exited with code ${result.code}`);
}

/** Sends a request to the app; throws DpError "command" for an answer that does not end with `wanted`. */
export async function answers(stage: Stage, wanted: string): Promise<void> {
  const url = `http://127.0.0.1:${stage.port}/`;
  stage.print(`\n$ curl ${url}`);
  const text = (await (await fetch(url)).text()).trimEnd();
  stage.print(`  ${text}`);
  if (!text.endsWith(wanted)) throw new DpError("command", `expected an answer that ends with ${wanted}`);
}

/** Removes the app from a server in the folder, and then the folder. */
export async function leaveNothing({ app, print, folder }: Stage): Promise<void> {
  const managed = await manager("builtin");
  const io = makeIo(silentLog);
  try {
    for (const id of await managed.instances(app)) await managed.stop({ app, id }, io);
    await (await front("relay")).remove(app, io);
  } finally {
    await rm(folder, { recursive: true, force: true });
    print("");
  }
}
