// Puts what has happened into the queue: one file by rename, and the sender is asked to come. It loads little, waits for
// nobody, and reads no YAML: a deploy calls it.
import { rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Happening } from "../contracts/notifier.ts";
import { isService } from "../host/daemon/service.ts";
import { asUser } from "../host/process/privilege.ts";
import { plainEnv } from "../host/run.ts";
import { program } from "../host/self.ts";
import { root } from "../paths.ts";
import { notifyFolder } from "./targets.ts";

/** The system user of the sender. */
export const NOTIFY_USER = "dp-notify";
export const NOTIFY_UNIT = "dp-notify.service";

/** One file in `new`: what has happened, and whom to tell. */
export interface Posted {
  happening: Happening;
  to: readonly string[];
}

/** The user that the sender and its programs run as; undefined: dp's own, under DP_ROOT or without root. */
export const senderUser = (): string | undefined =>
  root() === "" && process.getuid?.() === 0 ? NOTIFY_USER : undefined;

/** Identifies what has happened, for everybody or for one target: who posts it twice has posted it once. */
export function idOf({ event, app, key }: Pick<Happening, "event" | "app" | "key">, target = ""): string {
  const text = [event, app ?? "", key, target].join("\0");
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 24);
}

/** Puts it into the queue of these targets. Throws the system's error, ENOSPC for example. */
export async function put(happening: Happening, to: readonly string[]): Promise<void> {
  const name = idOf(happening, to.toSorted().join());
  const folder = join(notifyFolder(), "new");
  const temp = join(folder, `.${name}.${process.pid}`);
  try {
    // Not synced: that can take longer than a deploy may wait. After a power cut the next look puts it anew.
    await writeFile(temp, JSON.stringify({ happening, to } satisfies Posted), { mode: 0o640, flag: "wx" });
    await rename(temp, join(folder, `${name}.json`));
  } catch (error) {
    await unlink(temp).catch(() => undefined);
    throw error;
  }
}

/** Asks the sender to come, without waiting for it. */
export function callSender(): void {
  const sender = asUser([...program("lib/notify/sender.ts"), notifyFolder()], senderUser());
  started(isService() ? START : sender).unref();
}

/** The same from a unit: what its processes have started ends with them, so that systemd must have heard of it first. */
export async function callSenderFromUnit(): Promise<void> {
  if (isService()) await started(START).exited;
  else callSender();
}

const START = ["systemctl", "start", "--no-block", NOTIFY_UNIT];

const started = (argv: string[]) =>
  Bun.spawn(argv, { cwd: "/", env: plainEnv(), stdio: ["ignore", "ignore", "ignore"], detached: true });
