// Builds the image of a release, and keeps track of what else a build leaves in the engine.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { docker, dockerError } from "../../docker/client.ts";
import { withContext } from "./context.ts";
import { refuseOwnImages } from "./references.ts";
import { imageOf, type Image } from "../../docker/image.ts";
import { imageLabel, imageName } from "../../docker/names.ts";
import { settingsOf } from "../../docker/config.ts";
import type { InstanceName } from "../../host/instance.ts";

/**
 * Builds and tags the image of a release. Throws DpError "config" when it would be made of another app's, "command" with
 * the build's last lines.
 */
export async function buildImage(place: Place, file: string, io: Io): Promise<Image> {
  const { args = {}, target } = settingsOf(place.config) ?? {};
  const lines: string[] = [];
  const options = [
    `--tag=${imageName(place)}`,
    imageLabel(place),
    "--force-rm",
    ...Object.entries(args).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...(target === undefined ? [] : [`--target=${target}`]),
  ];
  const onLine = (line: string) => {
    if (STEP.test(line) || MADE.test(line.trimEnd())) lines.push(line);
    io.output(line);
  };
  const { timeout } = place;
  const built = await withContext(place, file, io, (folder) => {
    // This file, not the commit's: the app's user may have changed the release's folder since.
    refuseOwnImages(readFileSync(join(folder, file), "utf8"), file, args);
    return docker(["build", ...options, `--file=${join(folder, file)}`, folder], io, {
      onLine,
      timeout,
      check: false,
      quiet: false,
    });
  });
  const isBuilt = built.code === 0 && !built.timedOut;
  const leaves = leavesOf(lines);
  await tagLeaves(place, isBuilt ? leaves.slice(0, -1) : leaves, io);
  if (!isBuilt) throw dockerError("docker build", built, timeout);
  const image = await imageOf(place);
  if (image !== null) return image;
  throw new DpError("command", `docker build succeeded but left no image ${imageName(place)}`, {
    hint: "the default builder may not load images: docker buildx use default",
  });
}

const STEP = /^(?:\[\d+\/\d+\] )?STEP \d+(?:\/\d+)? ?: (\w+)/i;
const MADE = /^ ?-+> (?:Using cache )?([0-9a-f]{11,64})$/;

/**
 * The last image of each stage, from the output of a build. The classic builder and podman print each image they make;
 * images of other stages, and of a failed build, have no name, so their origin would be lost.
 */
export function leavesOf(lines: readonly string[]): string[] {
  const stages: string[][] = [];
  let isBase = false;
  for (const line of lines) {
    const instruction = STEP.exec(line)?.[1]?.toUpperCase();
    if (instruction !== undefined) isBase = instruction === "FROM";
    if (instruction === "FROM") stages.push([]);
    const id = MADE.exec(line.trimEnd())?.[1];
    // The base image of a stage belongs to somebody else.
    if (id !== undefined && !isBase) stages.at(-1)?.push(id);
  }
  return stages.flatMap((made) => made.at(-1) ?? []);
}

// dp/shop:42-3f9c2ab.1 is removed with dp/shop:42-3f9c2ab; until then it is the cache of the next build.
async function tagLeaves(name: InstanceName, leaves: readonly string[], io: Io): Promise<void> {
  for (const [index, id] of leaves.entries())
    await docker(["image", "tag", id, `${imageName(name)}.${index + 1}`], io, { check: false });
}
