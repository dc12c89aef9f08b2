// Docker's API by its socket: for what the docker command can only be told in its arguments, where everybody reads it.
import { codeOf, DpError, messageOf } from "../errors.ts";
import type { Io } from "../host/io.ts";

const PATIENCE = 30_000;
/** How long a swarm may take to choose a leader, after a start or a loss, in ms. */
const ELECTION = 20_000;
const PAUSE = 500;

/** The engine's socket. Throws DpError "host" when docker is told to reach its engine in another way. */
export function socket(): string {
  const host = process.env["DOCKER_HOST"] ?? "unix:///var/run/docker.sock";
  if (host.startsWith("unix:///")) return host.slice("unix://".length);
  throw new DpError("host", `dp reaches a swarm by the engine's socket, and DOCKER_HOST is ${host}`, {
    hint: "unset DOCKER_HOST",
  });
}

interface Call {
  method?: "GET" | "POST" | "DELETE";
  path: string;
  body?: unknown;
  signal?: AbortSignal;
}

async function send({ method = "GET", path, body, signal }: Call): Promise<Response> {
  try {
    return await fetch(`http://docker${path}`, {
      ...({ unix: socket(), proxy: "" } as BunFetchRequestInit),
      method,
      body: body === undefined ? null : JSON.stringify(body),
      headers: { "Content-Type": "application/json" },
      signal: signal ?? null,
    });
  } catch (error) {
    if (error instanceof DpError || signal?.aborted) throw error;
    const isMissing = ["ENOENT", "FailedToOpenSocket"].includes(codeOf(error) ?? "");
    throw new DpError("host", "the Docker daemon does not answer", {
      lines: [messageOf(error)],
      hint: isMissing ? "apt-get install docker.io" : "systemctl start docker",
      cause: error,
    });
  }
}

/** The error that an answer is; its status is the `reason`. */
async function refusal(what: string, response: Response): Promise<DpError> {
  const text = await response.text();
  const said = (JSON.parse(text || "{}") as { message?: string }).message ?? text;
  return new DpError("command", `${what}: ${said}`, { reason: String(response.status) });
}

/** What Docker answers while managers choose a leader, and for ever when most of them are lost. */
const LEADERLESS = /does not have a leader|no leader|DeadlineExceeded/i;

const leaderless = (waited: number, cause?: unknown) =>
  new DpError("host", `Docker did not answer within ${waited / 1000} s`, {
    lines: ["a swarm that has lost most of its managers does not answer, and goes on serving"],
    hint: "start the other managers again; if they are lost: docker swarm init --force-new-cluster, see dp help docker-swarm",
    cause,
  });

/**
 * What Docker answers, parsed; null: there is no such thing. Waits for a swarm without a leader. Throws DpError "host"
 * when nobody answers in time, "command" when Docker refuses.
 */
export async function ask(call: Call): Promise<unknown> {
  const end = performance.now() + ELECTION;
  for (;;) {
    const limit = AbortSignal.timeout(PATIENCE);
    const signal = call.signal ? AbortSignal.any([call.signal, limit]) : limit;
    try {
      const response = await send({ ...call, signal });
      if (response.status === 404) return null;
      const isOver = performance.now() > end;
      const isLeaderless = !response.ok && LEADERLESS.test(await response.clone().text());
      if (isLeaderless && isOver) throw leaderless(ELECTION);
      if (!isLeaderless) {
        if (!response.ok) throw await refusal(`${call.method ?? "GET"} ${call.path.replace(/\?.*/, "")}`, response);
        const text = await response.text();
        return text === "" ? {} : (JSON.parse(text) as unknown);
      }
    } catch (error) {
      if (!limit.aborted) throw error;
      throw leaderless(PATIENCE, error);
    }
    await Bun.sleep(PAUSE);
  }
}

/** A query of a list: `filters` as Docker wants them. */
export const listPath = (path: string, filters: Readonly<Record<string, readonly string[]>>) =>
  `${path}?filters=${encodeURIComponent(JSON.stringify(filters))}`;

/** Reads an output that Docker sends in frames, each with its stream; ends with it, or when `io.signal` is aborted. */
export async function readFrames(path: string, onFrame: (bytes: Buffer) => void, io: Io): Promise<void> {
  try {
    const response = await send({ path, signal: io.signal });
    if (response.status === 404) return;
    if (!response.ok) throw await refusal("the log", response);
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of response.body ?? []) {
      rest = Buffer.concat([rest, chunk]);
      // Eight bytes before each frame; the last four are its length.
      while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(4)) {
        const end = 8 + rest.readUInt32BE(4);
        onFrame(rest.subarray(8, end));
        rest = rest.subarray(end);
      }
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
  }
}
