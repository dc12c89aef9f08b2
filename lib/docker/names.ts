// The names and labels of dp's images and containers, which set them apart from all others. An engine serves the whole
// machine, so images made under a DP_ROOT must not be taken for the server's own.
import { DpError } from "../errors.ts";
import { places, realm, root } from "../paths.ts";
import { isInstanceId, releaseOf } from "../text/ids.ts";
import type { InstanceName } from "../host/instance.ts";

/** The container of an instance, `shop-42-3f9c2ab`. Throws DpError "usage" for a bad name. */
export function containerName({ app, id }: InstanceName): string {
  if (!isInstanceId(id))
    throw new DpError("usage", `${JSON.stringify(id)} is not the name of an instance, such as 42-3f9c2ab`);
  return `${places(app).app}-${id}${realm()}`;
}

/** The repository of an app's images, `dp/shop`. */
export const imageRepository = (app: string) => `dp/${places(app).app}${realm()}`;

/** The image of an instance's release, `dp/shop:42-3f9c2ab`. */
export const imageName = ({ app, id }: InstanceName) => `${imageRepository(app)}:${releaseOf(id)}`;

/** The label of an image; only one, because each label is a step of its build. */
export const imageLabel = ({ app, id }: InstanceName) => `--label=dp.instance=${app}@${id}`;

/** Labels of containers. */
export function labels({ app, id }: InstanceName): Record<string, string> {
  return { "dp.app": app, "dp.release": id, "dp.root": root() || "/" };
}

/** The same as options of `docker create` and `docker run`; they override labels of the image. */
export const labelOptions = (name: InstanceName) =>
  Object.entries(labels(name)).map(([key, value]) => `--label=${key}=${value}`);

/** Options of `docker container ls` for all containers of an app. */
export const ownOptions = (app: string) => [`--filter=label=dp.app=${app}`, `--filter=label=dp.root=${root() || "/"}`];
