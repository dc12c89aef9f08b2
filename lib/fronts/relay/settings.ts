// The settings in config.yml that the front `relay` declares.
import type { FrontSettings } from "../../config/declared.ts";

const settings: FrontSettings = { isUsual: true, servesDomains: true, servesPaths: true, guards: true };

export default settings;
