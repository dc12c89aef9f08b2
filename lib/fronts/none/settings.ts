// The settings that are allowed when no front holds the port.
import type { FrontSettings } from "../../config/declared.ts";

const settings: FrontSettings = { holdsPort: false };

export default settings;
