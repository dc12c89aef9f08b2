// What every container of dp is held to. Nothing of it can be loosened by a commit.
import { isPodman } from "./client.ts";
import type { Limits } from "../../host/process/confine.ts";

// What entrypoints of common images need to prepare files and to become another user; of Docker's own default
// this leaves out raw sockets, devices, chroot, file capabilities and the audit log.
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];
/** Processes and threads; more is a leak or a fork bomb. */
const PIDS = 4096;

/** Options of `docker create` and `docker run`: rights, limits, a bounded log, and an init that ends what is left. */
export async function confinement({ memory, cpus, pids = PIDS }: Limits = {}): Promise<string[]> {
  return [
    "--init",
    "--pull=never",
    "--security-opt=no-new-privileges",
    "--cap-drop=ALL",
    ...CAPABILITIES.map((name) => `--cap-add=${name}`),
    `--pids-limit=${pids}`,
    // Swap counts as memory: a limit that spills over to the disk is none.
    ...(memory === undefined ? [] : [`--memory=${memory}`, `--memory-swap=${memory}`]),
    ...(cpus === undefined ? [] : [`--cpus=${cpus}`]),
    "--log-driver=json-file",
    "--log-opt=max-size=10m",
    ...((await isPodman()) ? [] : ["--log-opt=max-file=3"]),
  ];
}
