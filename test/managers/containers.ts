// Containers as the subject of the managers' contract, whichever engine makes them.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import docker from "../../lib/apps/docker.ts";
import { imageName } from "../../lib/docker/names.ts";
import { places } from "../../lib/paths.ts";
import { freePort } from "../support/core-server.ts";
import type { Engine } from "../support/engine.ts";
import type { Subject } from "./contract.ts";
import type { InstanceName } from "../../lib/host/instance.ts";

/** An image with a shell and the small programs. */
export const BASE = "base:shell";
/** The shared folder of each app. */
export const SHARED = "out";

/** The image that a Dockerfile's text makes, under the name of an instance's; its context is made in `folder`. */
export async function build(
  engine: Pick<Engine, "must">,
  folder: string,
  name: InstanceName,
  text = `FROM ${BASE}\n`,
): Promise<void> {
  const context = mkdtempSync(join(folder, "context-"));
  writeFileSync(join(context, "Dockerfile"), text);
  await engine.must("build", "--quiet", `--tag=${imageName(name)}`, context);
}

/** The manager of containers, with instances whose image is the base. */
export const containersOf = (engine: Pick<Engine, "must">, folder: string): Subject => ({
  manager: docker.manager!,
  user: undefined,
  container: {
    async prepare(instance) {
      await build(engine, folder, instance);
      mkdirSync(join(places(instance.app).shared, SHARED), { recursive: true });
      const config = { ...instance.config, shared: { dirs: [SHARED], files: [] } };
      const env = { ...instance.env, SHARED: `/${SHARED}`, PORT: String(await freePort()) };
      return { ...instance, config, env };
    },
    async spoil(instance) {
      await engine.must("image", "rm", imageName(instance));
      return imageName(instance);
    },
    ...{ folder: "/", hidden: ["PATH"], uid: 0, shared: SHARED },
  },
});
