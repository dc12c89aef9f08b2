// Whether this server watches and tells: with a target in notify.yml it does, without one it does not.
import type { Io } from "../host/io.ts";
import { readNotify } from "../notify/file.ts";
import { removeSender, setUpSender } from "../notify/service.ts";
import { hasTargets, type Targets } from "../notify/targets.ts";
import { removeLook, setUpLook } from "./timer.ts";

/** Makes the sender and the look for these targets, or takes both away without any. One sentence for each change. */
export async function watchFor(targets: Targets | null, io: Io): Promise<string[]> {
  if (targets !== null && Object.keys(targets.to).length > 0)
    return [...(await setUpSender(targets, io)), ...(await setUpLook(io))];
  if (!hasTargets()) return [];
  await removeLook(io);
  await removeSender(io);
  return ["nobody is told any more, and dp watch no longer looks"];
}

/** The same by what notify.yml says now. Throws DpError "config". */
export const keepWatching = async (io: Io): Promise<string[]> => watchFor(await readNotify(), io);
