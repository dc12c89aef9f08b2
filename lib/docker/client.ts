// The docker command, of Docker Engine or of podman: how it is run, and the errors when that fails.
import { DpError, type ErrorDetails } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { tail } from "../host/process/output.ts";
import { ENGINE_VARIABLES } from "../host/self.ts";
import { loginName } from "../host/users.ts";
import { plainEnv, run, type Result, type RunOptions } from "../host/run.ts";

// A stop may take as long as the operator's stopTimeout.
const PATIENCE = 15 * 60_000;
// The banner that podman-docker prints before every answer.
const BANNER = /^Emulate Docker CLI using podman\b.*\n?/m;
const INSTALL = "apt-get install docker.io";

/** The environment of the docker command: the operator chooses the engine, never the app. */
export function clientEnv(): Record<string, string> {
  const chosen = ENGINE_VARIABLES.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...plainEnv(), ...Object.fromEntries(chosen), LC_ALL: "C.UTF-8" };
}

/** Runs docker to its end, quietly; throws DpError "host" when there is no engine, "command" when it refuses. */
export async function docker(argv: readonly string[], io?: Io, options: RunOptions = {}): Promise<Result> {
  const command = ["docker", ...argv];
  const env = { ...options.env, ...clientEnv() };
  const { quiet = true, onLine = quiet ? undefined : io?.output } = options;
  const heard = onLine && { onLine: (line: string) => void (BANNER.test(line) || onLine(line)) };
  const wanted = { timeout: PATIENCE, ...options, quiet, ...heard, env, check: false };
  const ended = await started((io?.run ?? run)(command, wanted));
  const result = { ...ended, text: ended.text.replace(BANNER, "") };
  if (result.code === 0 && !result.timedOut) return result;
  // A failure's cause is checked with the engine, not parsed from the message; only these messages surely come from an
  // engine.
  if (!/\bno such (?:container|image|object)\b/i.test(result.text)) await requireEngine();
  if (options.check === false) return result;
  throw dockerError(`docker ${argv.slice(0, 2).join(" ")}`, result, options.timeout ?? PATIENCE);
}

/** The error for a failed docker command. */
export function dockerError(what: string, { code, timedOut, text }: Result, timeout: number, hint?: string): DpError {
  const how = timedOut
    ? `did not end within ${Math.round(timeout / 1000)} s and was stopped`
    : `exited with code ${code}`;
  return new DpError("command", `${what} ${how}`, { lines: tail(text, 25), ...(hint === undefined ? {} : { hint }) });
}

async function started<T>(running: Promise<T>): Promise<T> {
  try {
    return await running;
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "host") throw error;
    throw new DpError("host", "this server has no docker command", { hint: INSTALL, cause: error });
  }
}

/** Throws DpError "host", with what to type, when the docker command is missing, or no engine answers it. */
export async function requireEngine(): Promise<void> {
  const asked = await started(
    run(["docker", "version", "--format", "{{.Server.Version}}"], { env: clientEnv(), check: false, timeout: 30_000 }),
  );
  if (asked.code === 0 && !asked.timedOut) return;
  const isRefused = asked.text.includes("permission denied");
  const details: ErrorDetails = {
    lines: tail(asked.text, 3),
    hint: isRefused ? `run dp as root, or: usermod -aG docker ${loginName()}` : "systemctl start docker",
  };
  const what = isRefused ? `the user ${loginName()} may not use Docker` : "the Docker daemon does not answer";
  throw new DpError("host", what, details);
}

let podman: Promise<boolean> | undefined;

/** Whether the docker command is podman's. */
export function isPodman(): Promise<boolean> {
  return (podman ??= run(["docker", "--version"], { env: clientEnv(), check: false }).then(({ text }) =>
    /^podman /m.test(text),
  ));
}

/** What `docker inspect` printed: a list of objects, with warnings before it and errors after it. */
export function objectsIn(text: string): unknown[] {
  const lines = text.split("\n");
  const [first, last] = [
    lines.findIndex((line) => line.startsWith("[")),
    lines.findLastIndex((line) => /\]$/.test(line)),
  ];
  return first < 0 ? [] : (JSON.parse(lines.slice(first, last + 1).join("\n")) as unknown[]);
}
