// Starting an instance: a service of its own. It is never changed later, so what runs already cannot suffer from it.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Instance } from "../../contracts/manager.ts";
import { ask } from "../../docker/api.ts";
import { ownImageOf, type Image } from "../../docker/image.ts";
import { imageName } from "../../docker/names.ts";
import { hasEnded, isUp, removeService, serviceOf, tasksOf, type Task } from "../../docker/swarm.ts";
import { DpError, messageOf } from "../../errors.ts";
import { removeFile, writeFileAtomic } from "../../host/files.ts";
import type { InstanceName } from "../../host/instance.ts";
import type { Io } from "../../host/io.ts";
import { places } from "../../paths.ts";
import { isWeb } from "../../text/ids.ts";
import { requireAlike } from "./alike.ts";
import { startEntry } from "./entry.ts";
import { referenceOf } from "./image.ts";
import { isNative, makeImage } from "./native.ts";
import { ensureNetwork } from "./network.ts";
import { insidePort, placeOf, specOf, tasksWanted } from "./spec.ts";
import { serviceName, sweepName } from "./names.ts";

/** How long nodes may take to get an image and to start their tasks, in ms. */
const PATIENCE = 10 * 60_000;
/** How long no node may fit before that is an error, in ms. */
const HOMELESS = 10_000;
const LOOK = 100;

/** The file with the specification that an instance was started with: with what it can be made again by hand. */
const specFile = ({ app, id }: InstanceName) => join(places(app).instances, `${id}.service.json`);

const cannot = ({ app, id }: InstanceName, why: string, hint?: string) =>
  new DpError("command", `${app}@${id} cannot be started: ${why}`, hint === undefined ? {} : { hint });

async function imageFor(instance: Instance, io: Io): Promise<Image> {
  if (isNative(instance)) await makeImage(instance, io);
  const image = await ownImageOf(instance, io);
  if (image !== null) return image;
  throw cannot(instance, `there is no image ${imageName(instance)}`, `dp deploy ${instance.app} builds a new one`);
}

/** Makes the service of an instance, and waits until its tasks have started, or one of them cannot. */
export async function startService(instance: Instance, io: Io): Promise<void> {
  // It knows the images of the last deploy, and would take away this one before a node has a container of it.
  await removeService(sweepName(instance.app));
  const image = await imageFor(instance, io);
  await ensureNetwork(instance.app);
  const reference = await referenceOf(imageName(instance), placeOf(instance) !== undefined, io);
  if (isNative(instance)) await requireAlike(instance, reference, placeOf(instance), io);
  // A job that ends meanwhile may take away a secret that no service used yet.
  if (!(await isMade(instance, image, reference, io)) && !(await isMade(instance, image, reference, io)))
    throw cannot(instance, "its network or a secret is gone again", `dp deploy ${instance.app}`);
  if (isWeb(instance.id) && insidePort(instance, image) !== null) await startEntry(instance, image, io);
  await started(instance, io);
}

/** Makes the service; answers whether all that it names was there. */
async function isMade(instance: Instance, image: Image, reference: string, io: Io): Promise<boolean> {
  const spec = await specOf(instance, image, reference);
  await mkdir(places(instance.app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(specFile(instance), `${JSON.stringify(spec, null, 2)}\n`, 0o600);
  try {
    return (await ask({ method: "POST", path: "/services/create", body: spec, signal: io.signal })) !== null;
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "command") throw error;
    if (/secrets? not found/i.test(error.message)) return false;
    throw cannot(instance, messageOf(error));
  }
}

/** Waits until every task has a container, or one has come to an end: then its status says how. */
async function started(instance: Instance, io: Io): Promise<void> {
  const begun = performance.now();
  const wanted = tasksWanted(instance);
  for (;;) {
    const service = await serviceOf(serviceName(instance));
    if (service === null) throw cannot(instance, "its service was removed meanwhile");
    const tasks = await tasksOf(service);
    if (tasks.some(hasEnded) || tasks.filter(isUp).length >= wanted) return;
    const homeless = tasks.find(isHomeless);
    const waited = performance.now() - begun;
    if (homeless && waited > HOMELESS) throw cannot(instance, homeless.Status.Err, "dp swarm");
    if (waited > PATIENCE)
      throw cannot(instance, `no node has started it within ${PATIENCE / 60_000} minutes`, "dp swarm");
    await io.sleep(LOOK);
  }
}

const isHomeless = ({ Status }: Task) => Status.State === "pending" && /no suitable node/.test(Status.Err);

/** Removes what a start kept. Safe to repeat. */
export const forgetSpec = (name: InstanceName) => removeFile(specFile(name));
