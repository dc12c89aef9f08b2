// The network of an app: every node can be in it, and so can containers of this server.
import { ask } from "../../docker/api.ts";
import { DpError } from "../../errors.ts";
import { appLabels, networkName } from "./names.ts";

/** How long tasks may need until they have left a network, and how often that is looked at, in ms. */
const PATIENCE = 30_000;
const LOOK = 200;

/** Makes the network of an app when it is missing; answers whether it did. */
export async function ensureNetwork(app: string): Promise<boolean> {
  const name = networkName(app);
  // Docker lets a network of another kind hide it: only those of the swarm count.
  if ((await ask({ path: `/networks/${name}?scope=swarm` })) !== null) return false;
  const body = { Name: name, Driver: "overlay", Attachable: true, CheckDuplicate: true, Labels: appLabels(app) };
  try {
    await ask({ method: "POST", path: "/networks/create", body });
    return true;
  } catch (error) {
    if (error instanceof DpError && error.reason === "409") return false; // another dp was faster
    throw error;
  }
}

/**
 * Removes the network of an app; answers a sentence about it, or none when there was none. After a power cut Docker may
 * count a container in it for ever that is long gone: then it stays, and a later app of that name uses it again.
 */
export async function removeNetwork(app: string): Promise<string[]> {
  const name = networkName(app);
  if ((await ask({ path: `/networks/${name}?scope=swarm` })) === null) return [];
  const end = performance.now() + PATIENCE;
  for (;;) {
    try {
      await ask({ method: "DELETE", path: `/networks/${name}` });
      return ["removed its network of the swarm"];
    } catch (error) {
      // The tasks of a service that was just removed are in it for some seconds more.
      const isInUse = error instanceof DpError && / is in use by task /.test(error.message);
      if (!isInUse) throw error;
      if (performance.now() > end)
        return [`left its network: Docker counts a container in it that is gone; later: docker network rm ${name}`];
      await Bun.sleep(LOOK);
    }
  }
}
