// The settings in config.yml that the front `haproxy` declares.
import type { FrontSettings } from "../../config/declared.ts";

const settings: FrontSettings = { servesDomains: true };

export default settings;
