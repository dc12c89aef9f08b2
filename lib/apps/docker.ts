// Docker apps: an image built by the commit's Dockerfile, and a container of it for each release.
import type { AppType } from "../contracts/app-type.ts";
import { DpError } from "../errors.ts";
import { buildImage } from "./docker/build.ts";
import { requireEngine } from "../docker/client.ts";
import { removeContexts } from "./docker/context.ts";
import { dockerfileOf } from "./docker/dockerfile.ts";
import { containerPort, layersSince, pruneImages, tagAs } from "../docker/image.ts";
import { containers } from "./docker/manager.ts";
import { imageName } from "../docker/names.ts";
import { endHook, runInSight, runOneOff } from "./docker/one-off.ts";

/** All that an app needs is in its image. */
const NOTHING = { path: [], env: {}, dependencies: null };

const docker: AppType = {
  name: "docker",
  summary: "an image built by a Dockerfile",
  manager: containers,

  async detect(tree) {
    const entries = await tree.list();
    return entries.some(({ path }) => path === "Dockerfile") ? { command: null, because: "Dockerfile" } : null;
  },

  async install(place, io) {
    const file = await dockerfileOf(place);
    await requireEngine();
    const image = await buildImage(place, file, io);
    const { port, because } = containerPort(image, place.config, Number(place.env["PORT"]));
    const where = because.startsWith("the image") ? `$PORT: ${because}` : `port ${port}: ${because}`;
    io.info(`image ${imageName(place)}; in its container the app listens on ${where}`);
    return NOTHING;
  },

  async adopt(place, built, io) {
    if (!built.isHere) return "its image is on another server";
    await requireEngine();
    if (!(await tagAs(built, place, io))) return `the image ${imageName(built)} is gone`;
    io.info(`image ${imageName(place)}, the same as ${imageName(built)}`);
    return { runtime: NOTHING };
  },

  builtElsewhere: layersSince,
  packages: { "docker.io": "command -v docker" },
  requireHost: requireEngine,
  command: async () => "",
  mountsShared: true,
  runHook: runOneOff,
  endHook,
  runOnce: runInSight,

  async prune({ app, base }, kept, io) {
    await removeContexts(base);
    try {
      return await pruneImages(app, io);
    } catch (error) {
      // Left-overs of an earlier type docker must not make the app depend on an engine.
      if (kept.length === 0 && error instanceof DpError && error.exit === "host") return [];
      throw error;
    }
  },
};

export default docker;
