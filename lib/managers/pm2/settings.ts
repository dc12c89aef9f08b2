// The settings of the manager pm2 in config.yml.
import type { ManagerSettings } from "../../config/declared.ts";

/** Workers share the port only in cluster mode, which loads a node script itself. */
const settings: ManagerSettings = { workers: "a command that is node FILE" };

export default settings;
