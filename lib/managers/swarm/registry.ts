// The registry from which the nodes of the swarm get images.
import { readText } from "../../host/files.ts";
import { root } from "../../paths.ts";

/** The folder of what dp keeps about the swarm. */
export const swarmFolder = () => `${root()}/var/lib/dp/swarm`;

/** The registry's address, `10.0.0.1:5000`, or null when there is none. */
export const registryAddress = async () => (await readText(`${swarmFolder()}/registry`))?.trim() || null;
