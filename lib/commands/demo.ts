// `dp demo`: the main job for real, in a temp folder: push, push again, break it, go back. Nothing stays.
import { createServer } from "node:net";
import { mkdtemp, mkdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { DpError, EXIT } from "../errors.ts";
import { makeIo, silentLog } from "../io.ts";
import { manager } from "../registry.ts";
import { plainEnv, run } from "../run.ts";
import { SELF } from "../self.ts";
import { template } from "../template.ts";

const APP = "demo";
const BREAK = {
  "server.py": 'raise SystemExit("boom: this commit is broken")\n',
  "server.ts": 'throw new Error("boom: this commit is broken");\n',
};

/** What the parts of the demo share. */
interface Stage {
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

/** Shows a deploy from nothing to rollback; answers the exit code. Throws DpError when something is not as it should be. */
export async function demo(print: (line: string) => void): Promise<number> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "dp-demo-")));
  const stage = await makeStage(folder, print);
  const leave = new AbortController();
  process.once("SIGINT", () => leave.abort(new DpError("interrupted", "the demo was interrupted")));
  process.once("SIGTERM", () => leave.abort(new DpError("terminated", "the demo was stopped")));
  try {
    for (const part of [prepare, pushFirst, pushSecond, pushBroken, goBack]) {
      await part(stage);
      leave.signal.throwIfAborted();
    }
  } finally {
    await leaveNothing(stage, folder);
  }
  print("");
  print(`That was all of it: three pushes, one refused, and the way back. ${folder} is gone again.`);
  return EXIT.ok;
}

async function makeStage(folder: string, print: (line: string) => void): Promise<Stage> {
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
  return {
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
async function type(
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
  if ((result.code === 0) === (wanted === "succeeds")) return;
  throw new DpError("command", `the demo expected that this ${wanted}: ${shown}; it exited with ${result.code}`);
}

async function answers(stage: Stage, wanted: string): Promise<void> {
  const url = `http://127.0.0.1:${stage.port}/`;
  stage.print(`\n$ curl ${url}`);
  const text = (await (await fetch(url, { proxy: "" } as RequestInit)).text()).trimEnd();
  stage.print(`  ${text}`);
  if (!text.endsWith(wanted)) throw new DpError("command", `the demo expected an answer that ends with ${wanted}`);
}

const git = (...args: string[]) => ["git", ...args];
const dp = (stage: Stage, ...args: string[]) => type(stage, `dp ${args.join(" ")}`, [...SELF, ...args]);
const push = (stage: Stage, wanted: "succeeds" | "is refused" = "succeeds") =>
  type(stage, "git push production main", git("push", "production", "main"), wanted);

async function commit(stage: Stage, message: string): Promise<void> {
  await run(git("add", "--all"), { cwd: stage.code, env: stage.env });
  await type(stage, `git commit -m "${message}"`, git("commit", "--quiet", "-m", message));
}

async function prepare(stage: Stage): Promise<void> {
  const { code, server, port, file, print } = stage;
  await mkdir(code);
  print(`A server in a folder: ${server}`);
  await dp(stage, "setup", APP, "--port", String(port), "--manager", "builtin");
  const start = file === "server.py" ? "python3 server.py" : "bun server.ts";
  await writeFile(join(code, "deploy.yml"), `name: ${APP}\ntype: python\nhealthCheck: /\ncommand: ${start}\n`);
  await writeFile(join(code, file), await template(`demo/${file}`));
  print(`\nAn app in another: ${code}`);
  await type(stage, "cat deploy.yml", ["cat", "deploy.yml"]);
  await run(git("init", "--quiet", "--initial-branch=main"), { cwd: code, env: stage.env });
  await run(git("remote", "add", "production", join(server, "var/repos", `${APP}.git`)), { cwd: code, env: stage.env });
}

async function pushFirst(stage: Stage): Promise<void> {
  await commit(stage, "Say hello");
  await push(stage);
  await answers(stage, "version 1");
}

async function pushSecond(stage: Stage): Promise<void> {
  const path = join(stage.code, stage.file);
  await writeFile(path, (await readFile(path, "utf8")).replace("version 1", "version 2"));
  await commit(stage, "Say hello again");
  await push(stage);
  await answers(stage, "version 2");
}

async function pushBroken(stage: Stage): Promise<void> {
  const path = join(stage.code, stage.file);
  await writeFile(path, BREAK[stage.file] + (await readFile(path, "utf8")));
  await commit(stage, "Break it");
  await push(stage, "is refused");
  stage.print("\nThe push was refused, and version 2 still answers:");
  await answers(stage, "version 2");
}

async function goBack(stage: Stage): Promise<void> {
  await dp(stage, "rollback", APP);
  await answers(stage, "version 1");
  await dp(stage, "releases", APP);
}

async function leaveNothing({ print }: Stage, folder: string): Promise<void> {
  const managed = await manager("builtin");
  const io = makeIo(silentLog);
  try {
    for (const id of await managed.instances(APP)) await managed.stop({ app: APP, id }, io);
  } finally {
    await rm(folder, { recursive: true, force: true });
    print("");
  }
}
