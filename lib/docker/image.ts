// The image of a release: its metadata, and the port that its app listens on.
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { places } from "../paths.ts";
import { isReleaseId, releaseOf } from "../text/ids.ts";
import { docker, objectsIn } from "./client.ts";
import { imageName, imageRepository } from "./names.ts";
import { settingsOf } from "./config.ts";
import type { InstanceName } from "../host/instance.ts";
import type { DeployConfig } from "../config/types.ts";
import { treeOf } from "../host/release-folder.ts";

const schema = v.object({
  Config: v.object({
    ExposedPorts: v.nullish(v.record(v.string(), v.unknown())),
    WorkingDir: v.optional(v.string(), ""),
  }),
});
export type Image = v.InferOutput<typeof schema>;

/** The image of a release, or null when there is none. */
export async function imageOf(name: InstanceName): Promise<Image | null> {
  const argv = ["image", "inspect", imageName(name)];
  const { text } = await docker(argv, undefined, { check: false });
  const [found] = objectsIn(text);
  return found === undefined ? null : v.parse(schema, found);
}

/**
 * The bytes of those layers of a release's image that are newer than a moment, in ms; the base and cached layers used
 * their space before.
 */
export async function layersSince(name: InstanceName, since: number, io: Io): Promise<number> {
  const format = ["--no-trunc", "--human=false", "--format={{.CreatedAt}}\t{{.Size}}"];
  const { text } = await docker(["image", "history", ...format, imageName(name)], io, { check: false });
  // The time has whole seconds, and the moment may be later within the same second.
  const isNew = (at: string) => Date.parse(at) >= Math.floor(since / 1000) * 1000;
  const rows = text.split("\n").map((line) => line.split("\t"));
  return rows.reduce((sum, [at = "", size]) => sum + (isNew(at) ? Number(size) || 0 : 0), 0);
}

/** The image of a release; a restart uses the files of another release, and so shares that image under its own name. */
export async function ownImageOf(name: InstanceName, io: Io): Promise<Image | null> {
  const release = releaseOf(name.id);
  const tree = treeOf(places(name.app).releases, release);
  const own = await imageOf(name);
  if (own !== null || tree === release) return own;
  const tagged = await docker(["image", "tag", imageName({ ...name, id: tree }), imageName(name)], io, {
    check: false,
  });
  return tagged.code === 0 ? imageOf(name) : null;
}

/** Gives the image of one release to another as well, of whatever app; false: it is gone. */
export async function tagAs(from: InstanceName, to: InstanceName, io: Io): Promise<boolean> {
  const tree = treeOf(places(from.app).releases, releaseOf(from.id));
  const words = ["image", "tag", imageName({ app: from.app, id: tree }), imageName(to)];
  return (await docker(words, io, { check: false })).code === 0;
}

/** The port inside the container, and the reason for it. */
export interface ContainerPort {
  port: number;
  because: string;
}

/**
 * The port on which the app listens in its container: deploy.yml's, otherwise the one that the image exposes, otherwise
 * `byDefault`, which the app gets as $PORT. Throws DpError "config" when the image exposes several.
 */
export function containerPort({ Config }: Image, config: DeployConfig, byDefault: number): ContainerPort {
  const port = settingsOf(config)?.port;
  if (port !== undefined) return { port, because: "docker.port of deploy.yml" };
  const exposed = Object.keys(Config.ExposedPorts ?? {}).filter((key) => /^\d+(?:\/tcp)?$/.test(key));
  const [first] = exposed;
  if (first === undefined) return { port: byDefault, because: "the image exposes no port" };
  if (exposed.length === 1) return { port: Number.parseInt(first, 10), because: "EXPOSE of the image" };
  throw new DpError("config", `the image exposes ${exposed.join(", ")}, and deploy.yml does not name the app's`, {
    hint: `write docker: {port: ${Number.parseInt(first, 10)}}`,
  });
}

/** The images of an app's releases, and the left-overs of their builds. Only names made by dp count. */
export async function imagesOf(app: string, io: Io): Promise<{ image: string; id: string }[]> {
  const repository = imageRepository(app);
  const { text } = await docker(
    ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", `--filter=reference=${repository}`],
    io,
  );
  return text.split("\n").flatMap((line) => {
    // podman puts localhost/ before a name without a registry.
    const image = line.trim().replace(/^localhost\//, "");
    const tag = image.startsWith(`${repository}:`) ? image.slice(repository.length + 1) : "";
    const [id = ""] = tag.split(".");
    return isReleaseId(id) ? [{ image, id }] : [];
  });
}

/** Removes the images of releases whose folder is gone; answers their names. */
export async function pruneImages(app: string, io: Io): Promise<string[]> {
  const gone: string[] = [];
  for (const { image, id } of await imagesOf(app, io)) {
    if (existsSync(join(places(app).releases, id))) continue;
    const removed = await docker(["image", "rm", image], io, { check: false });
    if (removed.code === 0) gone.push(image);
    else io.warn(`${image} cannot be removed: ${removed.text.split("\n", 1)[0]}`);
  }
  return gone;
}
