// The images of an app in the swarm's registry and on its servers: those that no kept release needs are removed.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ask, socket } from "../../docker/api.ts";
import { emptyImage } from "../../docker/empty-image.ts";
import { pruneImages } from "../../docker/image.ts";
import { imageRepository } from "../../docker/names.ts";
import { hasEnded, removeService, servicesWith, serviceOf, tasksOf } from "../../docker/swarm.ts";
import { messageOf } from "../../errors.ts";
import { tryLock } from "../../host/lock.ts";
import type { Io } from "../../host/io.ts";
import { template } from "../../host/template.ts";
import { places, root } from "../../paths.ts";
import { isReleaseId } from "../../text/ids.ts";
import { referenceOf } from "./image.ts";
import { appLabels, SWEEP, sweepName } from "./names.ts";
import { collectGarbage, pushLock, registryAddress } from "./registry.ts";
import { digestOf, forgetImage, tagsOf } from "./registry-client.ts";

/** How long the servers may take when an app is destroyed, in ms. */
const PATIENCE = 90_000;
const LOOK = 200;

/** The digests of images that services of an app run. */
async function digestsInUse(app: string): Promise<string[]> {
  const images = (await servicesWith(appLabels(app))).map(({ Spec }) => Spec.TaskTemplate.ContainerSpec.Image);
  return images.flatMap((image) => image.split("@")[1] ?? []);
}

/** Removes images from the registry, but for those that are kept; answers the kept digests, and how many went. */
async function pruneRegistry(app: string, address: string, isKept: (id: string) => boolean, io: Io) {
  const repository = imageRepository(app);
  const tags = (await tagsOf(address, repository)).filter(isReleaseId);
  const digests = new Map<string, string>();
  for (const tag of tags) {
    const digest = await digestOf(address, repository, tag);
    if (digest !== null) digests.set(tag, digest);
  }
  const kept = new Set(await digestsInUse(app));
  // A restart has the image of another release: the digest decides, not the tag.
  for (const [tag, digest] of digests) if (isKept(tag)) kept.add(digest);
  const gone = new Set([...digests.values()].filter((digest) => !kept.has(digest)));
  for (const digest of gone) await forgetImage(address, repository, digest);
  if (gone.size > 0) await collect(io);
  return { kept: [...kept], gone: gone.size };
}

/** Frees the disk, unless an image is being sent, whose parts are nobody's yet: then the next time does. */
async function collect(io: Io): Promise<void> {
  const lock = tryLock(pushLock());
  if (lock === null) return;
  try {
    await collectGarbage(io);
  } finally {
    lock.release();
  }
}

/** Starts the job that removes an app's images from every server, but for those with the digests. */
async function sweep(app: string, address: string, digests: readonly string[], io: Io): Promise<void> {
  await removeService(sweepName(app));
  const place = socket();
  const inside = "/run/docker.sock";
  const mount = (Source: string, Target: string, ReadOnly: boolean) => ({ Type: "bind", Source, Target, ReadOnly });
  const services = (await servicesWith(appLabels(app))).map(({ Spec }) => Spec.Name).join(" ");
  const own = { [SWEEP]: app, "dp.root": root() || "/" };
  const words = ["sweep", inside, `${address}/${imageRepository(app)}`, app, own["dp.root"], services, ...digests];
  const container = {
    Image: await referenceOf(await emptyImage(io), false, io),
    Command: ["/bin/sh", "-c", await template("swarm/sweep.sh"), ...words],
    Env: ["PATH=/usr/bin"],
    Labels: own,
    Init: true,
    CapabilityDrop: ["ALL"],
    // The socket may be another user's than root's.
    CapabilityAdd: ["CAP_DAC_OVERRIDE"],
    Mounts: [mount("/usr", "/usr", true), mount(place, inside, false)],
  };
  const body = {
    Name: sweepName(app),
    Labels: own,
    TaskTemplate: {
      ContainerSpec: container,
      RestartPolicy: { Condition: "none" },
      LogDriver: { Name: "json-file", Options: { "max-size": "1m" } },
    },
    EndpointSpec: { Mode: "dnsrr" },
    Mode: { GlobalJob: {} },
  };
  await ask({ method: "POST", path: "/services/create", body });
}

/** Waits for that job, and removes it. */
async function finishSweep(app: string): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    const service = await serviceOf(sweepName(app));
    if (service === null) return;
    const tasks = await tasksOf(service);
    if (tasks.length > 0 && tasks.every(hasEnded)) break;
    await Bun.sleep(LOOK);
  }
  await removeService(sweepName(app));
}

/**
 * Removes the images of releases whose folder is gone, from the registry now, and from the servers soon: they are told,
 * and not waited for. Answers what was removed. A failure is a warning: the next deploy tries again.
 */
export async function pruneSwarm(app: string, io: Io): Promise<string[]> {
  // Images of dp's own making belong to no app type.
  const local = await pruneImages(app, io);
  const address = await registryAddress();
  if (address === null) return local;
  try {
    const isKept = (id: string) => existsSync(join(places(app).releases, id));
    const { kept, gone } = await pruneRegistry(app, address, isKept, io);
    await sweep(app, address, kept, io);
    return gone === 0 ? local : [...local, `${gone} ${gone === 1 ? "image" : "images"} from the swarm's registry`];
  } catch (error) {
    if (io.signal.aborted) throw error;
    io.warn(`old images stay in the swarm's registry: ${messageOf(error)}`);
    return local;
  }
}

/** Removes all images of an app that has no services any more. */
export async function removeImages(app: string, io: Io): Promise<string[]> {
  const address = await registryAddress();
  if (address === null) return [];
  const { gone } = await pruneRegistry(app, address, () => false, io);
  await sweep(app, address, [], io);
  await finishSweep(app);
  return gone === 0 ? [] : [`removed ${gone} images from the swarm's registry`];
}
