// What type python declares of deploy.yml.
import type { AppSettings } from "../../config/declared.ts";

const settings: AppSettings = { isUsual: true };

export default settings;
