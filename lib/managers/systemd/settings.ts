// The settings of the manager systemd in config.yml.
import type { ManagerSettings } from "../../config/declared.ts";

const settings: ManagerSettings = { isUsual: true };

export default settings;
