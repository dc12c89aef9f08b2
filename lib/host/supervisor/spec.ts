// The spec of an instance: the files from which a supervisor starts it.
import { chmodSync, chownSync, existsSync, mkdirSync } from "node:fs";
import { startScript } from "../process/command-line.ts";
import { bootId } from "../process/process.ts";
import { readText, removeFile, writeFileAtomic } from "../files.ts";
import type { Startable } from "../instance.ts";
import { places } from "../../paths.ts";
import { isJob } from "../../text/ids.ts";
import { filesOf, markerOf, ownUser, keepSpec } from "./supervision.ts";
import { idsOf } from "../users.ts";

/**
 * Writes everything that a supervisor needs. The spec is readable by dp alone, the script by the app's user as well.
 * `isStale`: the one that is there was written before a reboot. Throws DpError "host" for an unknown user.
 */
export async function writeSpec(instance: Startable, restartDelay: number, isStale: boolean): Promise<void> {
  const { app, id, folder, stopTimeout } = instance;
  const files = filesOf(instance);
  const user = ownUser() === 0 ? (instance.user ?? null) : null;
  const [uid, gid] = user === null ? [ownUser(), process.getgid?.() ?? 0] : await idsOf(user);
  // Each takes less time than to hand it to another thread.
  mkdirSync(places(app).instances, { recursive: true, mode: 0o711 });
  mkdirSync(places(app).logs, { recursive: true, mode: 0o750 });
  const env = { ...instance.env, DP_INSTANCE: markerOf(instance) };
  const script = `${startScript(instance.command)}\n`;
  // After a reboot it is there already, and every file is waited for until the disk has it.
  if ((await readText(files.script)) !== script) await writeFileAtomic(files.script, script, 0o600);
  if (user !== null) chownSync(files.script, 0, gid);
  chmodSync(files.script, user === null ? 0o600 : 0o640);
  const spec = {
    app,
    id,
    folder,
    script: files.script,
    env,
    user,
    uid,
    stopTimeout,
    restartDelay: isJob(id) ? null : restartDelay,
    log: files.log,
    state: files.state,
    boot: bootId(),
  };
  // On a full disk the old state makes room for the new one; without it, only the spec tells of a full disk in time.
  await keepSpec(files.spec, spec, isStale && existsSync(files.state));
  await removeFile(files.state);
}
