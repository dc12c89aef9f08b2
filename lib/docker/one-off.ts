// A hook in a one-off container of the release's image: with the app's variables, and gone when it has ended.
import type { Place } from "../app.ts";
import type { Io } from "../io.ts";
import { docker, dockerError } from "./client.ts";
import { imageOf } from "./image.ts";
import { mountOptions, sharedPaths } from "./mounts.ts";
import { containerName, imageName, labelOptions } from "./names.ts";
import { confinement } from "./options.ts";
import { commandArguments } from "./start.ts";
import { withVariables } from "./variables.ts";

/** Runs a shell line to its end in the image's WORKDIR; throws DpError "command" with its last words when it fails. */
export async function runOneOff(line: string, place: Place, io: Io): Promise<void> {
  const name = `${containerName(place)}-hook`;
  const { timeout } = place;
  // The client's end is not the container's: one that was killed with its deploy may still be there.
  const remove = () => docker(["container", "rm", "--force", "--volumes", name], undefined, { check: false });
  await remove();
  const image = await imageOf(place);
  const mounts = image === null ? [] : mountOptions(place, sharedPaths(place.config), image);
  const options = ["--rm", `--name=${name}`, ...labelOptions(place), ...(await confinement(place.limits)), ...mounts];
  try {
    const ended = await withVariables(place, { ...place.env, DP_HOST: "0.0.0.0" }, (passed) => {
      const argv = ["run", ...options, ...passed.options, imageName(place), ...commandArguments(line)];
      return docker(argv, io, { env: passed.env, timeout, check: false, quiet: false });
    });
    if (ended.code !== 0 || ended.timedOut) throw dockerError(line, ended, timeout);
  } finally {
    await remove();
  }
}
