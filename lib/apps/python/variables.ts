// What affects an environment besides the commit: variables that pip, uv and compilers read, and their settings files.
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { isForCompilers, sumOfFiles } from "../../host/install-settings.ts";
import type { Io } from "../../host/io.ts";

/** The app's environment, by name. */
export type Variables = Readonly<Record<string, string>>;

// Variables of pip and uv that affect how to install, not what.
const HARMLESS =
  /CERT|CACHE_DIR|TIMEOUT|RETRIES|PROXY|PROGRESS|COLOR|QUIET|VERBOSE|_LOG(?:_|$)|VERSION_CHECK|NO_INPUT|USERNAME|PASSWORD/;
const NAMED = /\$\{([A-Z0-9_]+)\}/g;
// A credential in the address of an index: with another one the packages are the same.
const CREDENTIAL = /TOKEN|PASSWORD|PASSWD|SECRET|USERNAME/;

/** Whether a variable of that name affects the install. */
export const decides = (name: string): boolean =>
  isForCompilers(name) || (/^(?:PIP|UV)_/.test(name) && !HARMLESS.test(name));

/** A text with its variables, `${NAME}`, replaced as pip and uv do it; credentials stay names. */
export const withVariables = (text: string, variables: Variables): string =>
  text.replace(NAMED, (whole, name: string) => (CREDENTIAL.test(name) ? whole : variables[name] || whole));

/** A hash of the settings files of pip and uv, the server's and those of the app's user. */
export function settingsSum(place: Place, io: Io): Promise<string> {
  const { HOME = "/", XDG_CONFIG_HOME, XDG_CONFIG_DIRS, PIP_CONFIG_FILE, UV_CONFIG_FILE } = place.env;
  const everyone = ["/etc", ...(XDG_CONFIG_DIRS || "/etc/xdg").split(":")];
  const folders = [...everyone, XDG_CONFIG_HOME || join(HOME, ".config")];
  const files = folders.flatMap((folder) => [join(folder, "pip/pip.conf"), join(folder, "uv/uv.toml")]);
  const named = [PIP_CONFIG_FILE, UV_CONFIG_FILE].filter((file) => file !== undefined);
  return sumOfFiles([...files, "/etc/pip.conf", join(HOME, ".pip/pip.conf"), ...named], place, io);
}
