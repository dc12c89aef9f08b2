// The files of a built release on their way: tar here, a file of dp's there.
import { closeSync } from "node:fs";
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { pipe } from "../host/process/libc.ts";
import type { Io } from "../host/io.ts";
import { forgetArrived, keepArchive } from "../release/arriving.ts";
import { ask } from "./ask.ts";
import { archiveOf, PARTS, type Part } from "./built.ts";
import { reasonIn } from "./ssh.ts";

const LIMIT = 1_800_000;

interface Sent {
  part: Part;
  folder: string;
  id: string;
  name: string;
  address: string;
}

/** Sends a folder, read as the app's user. Throws DpError "command" with what the other server says. */
export async function sendPart(app: App, { part, folder, id, name, address }: Sent, io: Io): Promise<void> {
  const [read, write] = pipe();
  const how = { stdout: write, user: app.server.user, timeout: LIMIT, check: false };
  const packed = io.run(["tar", "-c", "-f", "-", "-C", folder, "."], how).finally(() => closeSync(write));
  const words = ["peer", "take", app.name, `${id}.${part}`];
  const sent = ask(address, words, { stdin: read, limit: LIMIT, signal: io.signal }).finally(() => closeSync(read));
  const [pack, answer] = await Promise.all([packed, sent]);
  io.signal.throwIfAborted();
  if (pack.code === 0 && answer.code === 0) return;
  const why = pack.code === 0 ? reasonIn(answer.stderr, answer.code) : pack.text;
  throw new DpError("command", `the built release did not reach ${name}: ${why}`);
}

/** Takes a part of a run from stdin. Throws DpError "usage" for what is none, "host" when the disk fills up. */
export async function takePart(app: App, id: string, part: string): Promise<void> {
  if (!(PARTS as readonly string[]).includes(part))
    throw new DpError("usage", `${JSON.stringify(part)} does not travel`);
  await forgetArrived(app);
  await keepArchive(app, archiveOf(app, id, part as Part), Bun.stdin.stream());
}
