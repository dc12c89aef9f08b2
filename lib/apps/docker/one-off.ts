// A hook, or a command of `dp run`, in a one-off container of the release's image: with the app's variables, removed
// when it ends.
import type { Place } from "../../contracts/app-type.ts";
import type { Io } from "../../host/io.ts";
import type { Foreground } from "../../host/process/terminal.ts";
import { clientEnv, docker, dockerError, requireEngine } from "../../docker/client.ts";
import { imageOf } from "../../docker/image.ts";
import { mountOptions, mountsOfInstance } from "../../docker/mounts.ts";
import { containerName, imageName, labelOptions } from "../../docker/names.ts";
import { commandArguments, confinement } from "../../docker/options.ts";
import { containerLimits } from "../../docker/config.ts";
import { withVariables } from "../../docker/variables.ts";
import type { InstanceName } from "../../host/instance.ts";

/** The code of a docker client that was killed with SIGKILL: its container is left. */
const KILLED = 128 + 9;

async function optionsOf(name: string, place: Place): Promise<string[]> {
  const image = await imageOf(place);
  const mounts = image === null ? [] : mountOptions(await mountsOfInstance(place, image));
  const held = await confinement(containerLimits(place.operator));
  return ["--rm", `--name=${name}`, ...labelOptions(place), ...held, ...mounts];
}

/** Runs a command with `run`, as arguments of the image's entrypoint; answers its exit code, or docker's own 125. */
export async function runInSight(
  argv: readonly string[],
  place: Place,
  hasTerminal: boolean,
  run: (child: Foreground) => Promise<number>,
): Promise<number> {
  await requireEngine();
  const name = `${containerName(place)}-run-${process.pid}`;
  const options = await optionsOf(name, place);
  const shown = ["--interactive", ...(hasTerminal ? ["--tty"] : [])];
  return withVariables(place, { ...place.env, DP_HOST: "0.0.0.0" }, async (passed) => {
    const words = ["docker", "run", ...options, ...shown, ...passed.options, imageName(place), ...argv];
    const code = await run({ argv: words, cwd: "/", env: { ...passed.env, ...clientEnv() }, user: undefined });
    if (code === KILLED) await removeContainer(name);
    return code;
  });
}

/**
 * Runs a shell line to its end in the image's WORKDIR; throws DpError "command" with its last lines of output when it
 * fails.
 */
export async function runOneOff(line: string, place: Place, io: Io): Promise<void> {
  const { timeout } = place;
  await endHook(place);
  const options = await optionsOf(hookName(place), place);
  try {
    const ended = await withVariables(place, { ...place.env, DP_HOST: "0.0.0.0" }, (passed) => {
      const argv = ["run", ...options, ...passed.options, imageName(place), ...commandArguments(line)];
      return docker(argv, io, { env: passed.env, timeout, check: false, quiet: false });
    });
    if (ended.code !== 0 || ended.timedOut) throw dockerError(line, ended, timeout);
  } finally {
    await endHook(place);
  }
}

const hookName = (name: InstanceName) => `${containerName(name)}-hook`;

/** Ends and removes the container of a release's hook: it outlives a docker client that was killed with its deploy. */
export async function endHook(name: InstanceName): Promise<void> {
  await removeContainer(hookName(name));
}

const removeContainer = (name: string) =>
  docker(["container", "rm", "--force", "--volumes", name], undefined, { check: false });
