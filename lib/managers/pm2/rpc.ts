// Calls pm2's daemon over its own socket: a call takes a millisecond, pm2's command half a second.
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import * as v from "valibot";
import { codeOf, DpError } from "../../errors.ts";
import { homeOf, ownerOf } from "./home.ts";

const O_PATH = 0o10000000;
const LONGEST_ANSWER = 64 * 1024 * 1024;
const TIMEOUT = 20_000;
const TRIES = 10;
// The daemon belongs to the app, so its answer may be anything.
const Answer = v.fallback(
  v.object({
    error: v.optional(v.fallback(v.string(), "with something that is not a message")),
    args: v.fallback(v.array(v.unknown()), []),
  }),
  { args: [] },
);
const CLOSED = Symbol("closed without an answer");

/**
 * The answer of an app's pm2 daemon to a call, or null when there is no daemon. Throws DpError "command" with its
 * message when it refuses, or when it does not answer within `timeout` ms, over all tries.
 */
export async function call(app: string, method: string, args: unknown[], timeout = TIMEOUT): Promise<unknown> {
  const end = Date.now() + timeout;
  for (let tries = 1; ; tries++) {
    const answer = await callOnce(app, method, args, end - Date.now());
    if (answer !== CLOSED) return answer;
    if (tries === TRIES || Date.now() >= end)
      throw new DpError("command", `pm2 of ${app} ends each time it is asked for ${method}`);
    // A daemon that is exiting: in a moment it is gone, or a new one has started.
    await Bun.sleep(50);
  }
}

async function callOnce(app: string, method: string, args: unknown[], timeout: number): Promise<unknown> {
  const fd = openSocket(homeOf(app).rpc, ownerOf(app).uid);
  if (fd === null) return null;
  try {
    const answer = await exchange(`/proc/self/fd/${fd}`, frame({ type: "call", method, args }), timeout);
    if (answer === null || answer === CLOSED) return answer;
    const { error, args: results } = v.parse(Answer, answer);
    if (error !== undefined) throw new DpError("command", `pm2 of ${app} refuses ${method}: ${error.slice(0, 1_000)}`);
    return results[0] ?? {};
  } finally {
    closeSync(fd);
  }
}

// The socket is in a folder of the app: a link in its place is not followed, and only a socket of the app's user is
// used.
function openSocket(path: string, uid: number): number | null {
  let fd: number;
  try {
    fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error) ?? "")) return null;
    throw error;
  }
  const stat = fstatSync(fd);
  if (stat.isSocket() && stat.uid === uid) return fd;
  closeSync(fd);
  return null;
}

/**
 * A message in pm2's frame: version and count in one byte, then each part after its length; the last part is its ID.
 */
export function frame(body: unknown): Buffer {
  const parts = [Buffer.from(`j:${JSON.stringify(body)}`), Buffer.from("s:dp:0")];
  const pieces = parts.flatMap((part) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(part.length);
    return [size, part];
  });
  return Buffer.concat([Buffer.from([(1 << 4) | parts.length]), ...pieces]);
}

/** The first part of a frame, or undefined while it is incomplete. */
export function bodyOf(data: Buffer): unknown {
  if (data.length < 5) return undefined;
  const end = 5 + data.readUInt32BE(1);
  if (data.length < end) return undefined;
  // The reviver makes the parser refuse nesting that is too deep to be written again.
  return JSON.parse(data.toString("utf8", 5, end).replace(/^j:/, ""), (_, value: unknown) => value);
}

function exchange(path: string, request: Buffer, timeout: number): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const refuse = (why: string) => reject(new DpError("command", `pm2's daemon ${why}`));
  const timer = setTimeout(() => refuse(`does not answer within ${Math.ceil(timeout / 1000)} s`), timeout);
  const chunks: Buffer[] = [];
  let size = 0;
  const connecting = Bun.connect({
    unix: path,
    socket: {
      open: (socket) => void socket.write(request),
      data: (_, chunk) => {
        chunks.push(Buffer.from(chunk));
        size += chunk.length;
        if (size > LONGEST_ANSWER) return refuse("answers without end");
        // Only the first chunk has the length. Joining is expensive, so it happens only when the message may be
        // complete.
        if (chunks[0]!.length >= 5 && size < 5 + chunks[0]!.readUInt32BE(1)) return;
        try {
          const body = bodyOf(Buffer.concat(chunks));
          if (body !== undefined) resolve(body);
        } catch {
          refuse("answered with something that is not JSON");
        }
      },
      close: () => resolve(CLOSED),
      error: (_, error) => refuse(`cannot be asked: ${error.message}`),
    },
  });
  // A killed daemon leaves a socket that nobody listens on.
  connecting.catch(() => resolve(null));
  return promise.finally(() => {
    clearTimeout(timer);
    // A daemon that does not close its end must not delay anybody.
    void connecting.then((socket) => socket.terminate()).catch(() => undefined);
  });
}
