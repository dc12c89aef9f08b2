// The restrictions on every container of dp. No commit can loosen them.
import { isPodman } from "./client.ts";
import { startScript } from "../host/process/command-line.ts";
import type { Limits } from "../host/process/confine.ts";

// The capabilities that entrypoints of common images need to prepare files and to change user. Of Docker's defaults
// this omits raw sockets, devices, chroot, file capabilities and the audit log.
export const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"];
/** Processes and threads; more is a leak or a fork bomb. */
export const PIDS = 4096;

/**
 * Options of `docker create` and `docker run`: rights, limits, a bounded log, and an init that ends leftover processes.
 */
export async function confinement({ memory, cpus, pids = PIDS }: Limits = {}): Promise<string[]> {
  return [
    "--init",
    "--pull=never",
    "--security-opt=no-new-privileges",
    "--cap-drop=ALL",
    ...CAPABILITIES.map((name) => `--cap-add=${name}`),
    `--pids-limit=${pids}`,
    // Swap counts as memory: a limit that spills over to the disk is no limit.
    ...(memory === undefined ? [] : [`--memory=${memory}`, `--memory-swap=${memory}`]),
    ...(cpus === undefined ? [] : [`--cpus=${cpus}`]),
    "--log-driver=json-file",
    "--log-opt=max-size=10m",
    ...((await isPodman()) ? [] : ["--log-opt=max-file=3"]),
  ];
}

/** The words after the image's name: arguments of its entrypoint; none for its own CMD. */
export const commandArguments = (line: string) => (line === "" ? [] : ["/bin/sh", "-c", startScript(line)]);
