// What the manager systemd declares of config.yml.
import type { ManagerSettings } from "../../config/declared.ts";

const settings: ManagerSettings = { isUsual: true };

export default settings;
