// Where the demo plays: a folder that stands for the server, another for the laptop, and what is typed there.
import { createServer } from "node:net";
import { realpath, rm, mkdtemp } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { DpError } from "./errors.ts";
import { makeIo, silentLog } from "./io.ts";
import { front, manager } from "./registry.ts";
import { plainEnv, run } from "./run.ts";

const { SIGINT } = constants.signals;

/** The demo's app. */
export const APP = "demo";

/** The app's file, and what breaks it. */
export const BREAK = {
  "server.py": 'raise SystemExit("boom: this commit is broken")\n',
  "server.ts": 'throw new Error("boom: this commit is broken");\n',
};

/** What the parts of the demo share. */
export interface Stage {
  /** The temp folder that holds it all. */
  folder: string;
  /** Prints a line. */
  print(line: string): void;
  /** The folder of the code, as on somebody's laptop. */
  code: string;
  /** DP_ROOT: the folder that stands for the server. */
  server: string;
  port: number;
  file: keyof typeof BREAK;
  env: Record<string, string>;
}

/** Makes the folders' names, and DP_ROOT for this process; nothing runs yet. */
export async function makeStage(print: (line: string) => void): Promise<Stage> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "dp-demo-")));
  const python = await run(["python3", "-c", "0"], { check: false, env: plainEnv() }).catch(() => null);
  const server = join(folder, "server");
  // Bun is there, or this would not run; the app may need it.
  const PATH = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
  const git = {
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: APP,
    GIT_COMMITTER_NAME: APP,
  };
  const mail = { GIT_AUTHOR_EMAIL: "demo@localhost", GIT_COMMITTER_EMAIL: "demo@localhost" };
  const env = { ...plainEnv(), ...git, ...mail, PATH, DP_ROOT: server };
  process.env["DP_ROOT"] = server;
  // fetch would ask a proxy even for this machine.
  process.env["NO_PROXY"] = "127.0.0.1";
  return {
    folder,
    print,
    code: join(folder, "code"),
    server,
    port: await freePort(),
    file: python?.code === 0 ? "server.py" : "server.ts",
    env,
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

/** Shows a command as it would be typed, runs it, shows what it says; a wrong outcome ends the demo. */
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
  if (result.code === 128 + SIGINT) throw new DpError("interrupted", "the demo was interrupted");
  if ((result.code === 0) === (wanted === "succeeds")) return;
  throw new DpError("command", `the demo expected that this ${wanted}: ${shown}; it exited with ${result.code}`);
}

/** Asks the app; an answer that does not end as wanted ends the demo. */
export async function answers(stage: Stage, wanted: string): Promise<void> {
  const url = `http://127.0.0.1:${stage.port}/`;
  stage.print(`\n$ curl ${url}`);
  const text = (await (await fetch(url)).text()).trimEnd();
  stage.print(`  ${text}`);
  if (!text.endsWith(wanted)) throw new DpError("command", `the demo expected an answer that ends with ${wanted}`);
}

/** Ends the app and removes the folder. */
export async function leaveNothing({ print, folder }: Stage): Promise<void> {
  const managed = await manager("builtin");
  const io = makeIo(silentLog);
  try {
    for (const id of await managed.instances(APP)) await managed.stop({ app: APP, id }, io);
    await (await front("relay")).remove(APP, io);
  } finally {
    await rm(folder, { recursive: true, force: true });
    print("");
  }
}
