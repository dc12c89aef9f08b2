// The settings of type python in deploy.yml.
import type { AppSettings } from "../../config/declared.ts";

const settings: AppSettings = { isUsual: true };

export default settings;
