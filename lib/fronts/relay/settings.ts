// What the front relay declares of config.yml.
import type { FrontSettings } from "../../config/declared.ts";

const settings: FrontSettings = { isUsual: true };

export default settings;
