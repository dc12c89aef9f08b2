// The image of a release as every node can have it: by its digest in the swarm's registry, or by its id while one node has it.
import * as v from "valibot";
import { docker, objectsIn } from "../../docker/client.ts";
import { membership } from "../../docker/swarm.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { tryLock } from "../../host/lock.ts";
import { pushLock, registryAddress } from "./registry.ts";

/** How often it is looked whether the registry is tidied up, in ms. */
const LOOK = 100;

const schema = v.object({ Id: v.string(), RepoDigests: v.nullish(v.array(v.string())) });

async function inspect(image: string, io: Io) {
  const { text } = await docker(["image", "inspect", image], io, { check: false });
  const [found] = objectsIn(text);
  return found === undefined ? null : v.parse(schema, found);
}

async function push(name: string, io: Io): Promise<void> {
  let lock = tryLock(pushLock(), "shared");
  for (; lock === null; lock = tryLock(pushLock(), "shared")) await io.sleep(LOOK);
  try {
    await docker(["image", "push", name], io);
  } finally {
    lock.release();
  }
}

/**
 * How the nodes name an image of this server. Never a name without a registry: nodes would ask Docker Hub for it. Throws
 * DpError "command" when it is missing, or cannot be sent to the registry.
 */
export async function referenceOf(image: string, isPinned: boolean, io: Io): Promise<string> {
  const found = await inspect(image, io);
  if (found === null) throw new DpError("command", `there is no image ${image}`);
  const address = await registryAddress();
  if (address === null) {
    const { Nodes } = await membership();
    if (Nodes <= 1 || isPinned) return found.Id;
    throw new DpError("host", `the swarm has ${Nodes} servers, and no registry from which they get ${image}`, {
      hint: "for each other server: dp swarm invite | ssh root@SERVER dp swarm join",
    });
  }
  const name = `${address}/${image}`;
  const isOwn = (digest: string) => digest.startsWith(`${name.replace(/:[^:/]*$/, "")}@`);
  await docker(["image", "tag", image, name], io);
  await push(name, io);
  const sent = (await inspect(name, io))?.RepoDigests?.find(isOwn);
  // Its own name is enough here, and goes with the release.
  await docker(["image", "rm", name], io, { check: false });
  if (sent === undefined) throw new DpError("command", `${name} was sent to the registry, and has no digest`);
  return sent;
}
