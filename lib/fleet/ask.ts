// One question to one server: `dp report --json` by ssh, limited in time and size.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT, messageOf } from "../errors.ts";
import { isCut, lineOf, sshTo, type Ssh } from "../remote/ssh.ts";
import { shown } from "../text/text.ts";
import { readReport, type Report } from "./document.ts";
import type { Named } from "./servers.ts";

/** How long a server may take, and what it may send. */
export const LIMIT = { time: 10_000, bytes: 4 * 1024 ** 2 };
/** After SIGTERM, in ms. */
const GRACE = 1_000;
const NOT_FOUND = 127;
const LINE = lineOf(["dp", "report", "--json"]);

/** Asks one server again and again. */
export interface Asker {
  /** Its report, or a sentence that says why there is none. */
  ask(): Promise<Report | string>;
  /** Ends what is under way, and the connection. */
  close(): Promise<void>;
}

/** The server of a name; `isLasting`: its connection stays open until `close`, and is shared with nothing else. */
export function askerOf({ server }: Named, isLasting: boolean): Asker {
  // Other commands' connections would end with ours, or ours with theirs.
  const folder = isLasting ? mkdtempSync(join(tmpdir(), "dp-fleet-")) : null;
  const stop = new AbortController();
  let ssh: Ssh | undefined;
  const options = () => {
    const isShared = ssh!.argv("").includes("ControlMaster=auto");
    // A short name: temp folders are deep on a Mac, and the path of a socket has about 100 bytes.
    return folder !== null && isShared ? ["-o", `ControlPath=${folder}/s`] : [];
  };
  return {
    async ask() {
      try {
        ssh ??= await sshTo(server);
        // Nobody is there to answer a question.
        const silent = ["-T", "-o", "BatchMode=yes", "-o", `ConnectTimeout=${LIMIT.time / 1000}`];
        return await reportBy(ssh.argv(LINE, ...silent, ...options()), stop.signal);
      } catch (error) {
        return messageOf(error);
      }
    },
    async close() {
      stop.abort();
      if (folder === null) return;
      if (ssh && options().length > 0) await quietly(ssh.argv("exit", "-O", "exit", ...options()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function quietly(argv: readonly string[]): Promise<void> {
  const child = Bun.spawn([...argv], { env: { ...process.env }, stdio: ["ignore", "ignore", "ignore"] });
  const limit = setTimeout(() => child.kill(), GRACE);
  await child.exited;
  clearTimeout(limit);
}

async function reportBy(argv: readonly string[], signal: AbortSignal): Promise<Report | string> {
  signal.throwIfAborted();
  const child = Bun.spawn([...argv], { env: { ...process.env }, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const out = textOf(child.stdout, LIMIT.bytes);
  const err = textOf(child.stderr, 64 * 1024);
  const ended = Promise.withResolvers<string>();
  const limit = setTimeout(() => ended.resolve(`no answer within ${LIMIT.time / 1000} s`), LIMIT.time);
  const abort = () => ended.resolve("not asked to its end");
  signal.addEventListener("abort", abort, { once: true });
  void out.isTooMuch.then(() => ended.resolve(`its answer is larger than ${LIMIT.bytes / 1024 ** 2} MiB`));
  const answer = async () => {
    const [report, errors] = await Promise.all([out.text, err.text]);
    const code = await child.exited;
    return code === 0 ? readReport(report) : failureText(code, errors);
  };
  try {
    return await Promise.race([answer(), ended.promise]);
  } finally {
    clearTimeout(limit);
    signal.removeEventListener("abort", abort);
    await endSsh(child);
    out.cancel();
    err.cancel();
  }
}

async function endSsh(child: Bun.Subprocess): Promise<void> {
  child.kill();
  const hard = setTimeout(() => child.kill("SIGKILL"), GRACE);
  await child.exited;
  clearTimeout(hard);
}

/**
 * Reads a stream up to a size; `isTooMuch` resolves when there is more. A shared connection may hold the other end
 * after ssh has gone: `cancel` waits for nobody.
 */
function textOf(stream: ReadableStream<Uint8Array>, most: number) {
  const tooMuch = Promise.withResolvers<void>();
  const reader = stream.getReader();
  const read = async (): Promise<string> => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return Buffer.concat(chunks).toString();
      size += value.length;
      if (size > most) tooMuch.resolve();
      else chunks.push(value);
    }
  };
  const text = read();
  text.catch(() => undefined);
  return { text, isTooMuch: tooMuch.promise, cancel: () => void reader.cancel().catch(() => undefined) };
}

function failureText(code: number, stderr: string): string {
  const last = shown(
    stderr
      .trim()
      .split("\n")
      .findLast((line) => line.trim() !== "") ?? "",
  ).slice(0, 200);
  if (isCut(code)) return last === "" ? "ssh failed" : last.replace(/^ssh: /, "");
  if (code === NOT_FOUND) return "dp is not installed there";
  if (code === EXIT.usage) return "its dp has no report: it is older than 0.3.0";
  return last === "" ? `dp report exited with code ${code}` : last.replace(/^dp: /, "");
}
