// What the manager pm2 declares of config.yml.
import type { ManagerSettings } from "../../config/declared.ts";

/** Workers share the port in cluster mode only, which loads a file of node by itself. */
const settings: ManagerSettings = { workers: "a command that is node FILE" };

export default settings;
