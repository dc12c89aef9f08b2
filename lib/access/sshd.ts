// What sshd would say to the user dp: dp changes none of its settings, and says which line to write.
import type { Io } from "../host/io.ts";
import { findProgram } from "../host/program.ts";
import { SYSTEM_PATH } from "../paths.ts";
import { authorizedKeysFile, LOGIN, loginHome } from "./places.ts";

/** A setting that locks the login out, and the line for sshd_config. */
export interface Obstacle {
  what: string;
  line: string;
}

/** The settings of sshd for a login of dp from outside: keyword -> its values. Null: they cannot be asked. */
export async function sshdSettings(io: Io): Promise<Map<string, string[]> | null> {
  const sshd = await findProgram("sshd", SYSTEM_PATH);
  if (sshd === null) return null;
  const client = `user=${LOGIN},host=client,addr=203.0.113.5`;
  const { code, text } = await io.run([sshd, "-T", "-C", client], { check: false, quiet: true });
  if (code !== 0) return null;
  const settings = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [keyword = "", ...values] = line.trim().split(/\s+/);
    settings.set(keyword, [...(settings.get(keyword) ?? []), ...values]);
  }
  return settings;
}

type Settings = ReadonlyMap<string, readonly string[]>;

/** What in these settings keeps keys out. `groups`: those of the user dp. */
export const obstaclesIn = (settings: Settings, groups: readonly string[]): Obstacle[] => [
  ...listObstacles(settings, groups),
  ...keyObstacles(settings),
  ...commandObstacles(settings),
];

/** The lists of who may log in, and who may not. */
function listObstacles(settings: Settings, groups: readonly string[]): Obstacle[] {
  const lists = [
    ["AllowUsers", [LOGIN], true],
    ["AllowGroups", groups, true],
    ["DenyUsers", [LOGIN], false],
    ["DenyGroups", groups, false],
  ] as const;
  return lists.flatMap(([keyword, names, allows]) => {
    const list = settings.get(keyword.toLowerCase()) ?? [];
    const hits = list.filter((pattern) => names.some((name) => fits(pattern.split("@")[0]!, name)));
    if (allows && (list.length === 0 || hits.length > 0)) return [];
    if (allows) {
      const all = list.join(" ");
      return [{ what: `${keyword} ${all} leaves ${LOGIN} out`, line: `${keyword} ${all} ${LOGIN}` }];
    }
    const rest = list.filter((pattern) => !hits.includes(pattern)).join(" ");
    const line = rest === "" ? `no ${keyword}` : `${keyword} ${rest}`;
    return hits.length === 0 ? [] : [{ what: `${keyword} ${hits.join(" ")} keeps ${LOGIN} out`, line }];
  });
}

/** Whether keys are taken, and from our file. */
function keyObstacles(settings: Settings): Obstacle[] {
  const found: Obstacle[] = [];
  if (settings.get("pubkeyauthentication")?.[0] === "no")
    found.push({ what: "PubkeyAuthentication is no: sshd takes no keys", line: "PubkeyAuthentication yes" });
  const files = settings.get("authorizedkeysfile") ?? [];
  if (files.length > 0 && !files.some(isOurFile)) {
    const all = [...files.filter((file) => file !== "none"), ".ssh/authorized_keys"].join(" ");
    const what = `AuthorizedKeysFile ${files.join(" ")} does not lead to ${authorizedKeysFile()}`;
    found.push({ what, line: `AuthorizedKeysFile ${all}` });
  }
  return found;
}

/** What stands between a key and its command. */
function commandObstacles(settings: Settings): Obstacle[] {
  const found: Obstacle[] = [];
  const own = `Match User ${LOGIN}`;
  const forced = (settings.get("forcecommand") ?? []).join(" ");
  if (forced !== "" && forced !== "none")
    found.push({ what: `ForceCommand ${forced} replaces the commands of keys`, line: `${own}, ForceCommand none` });
  const methods = settings.get("authenticationmethods") ?? [];
  if (methods.length > 0 && !methods.some((method) => method === "any" || method === "publickey")) {
    const what = `AuthenticationMethods ${methods.join(" ")} asks for more than a key`;
    found.push({ what, line: `${own}, AuthenticationMethods publickey` });
  }
  return found;
}

/** What keeps keys out on this server; nothing, where sshd cannot be asked. */
export async function obstacles(io: Io): Promise<Obstacle[]> {
  const settings = await sshdSettings(io);
  if (settings === null) return [];
  const { text } = await io.run(["id", "-G", "-n", LOGIN], { check: false, quiet: true });
  return obstaclesIn(settings, text.split(/\s+/).filter(Boolean));
}

/** Whether a pattern of sshd_config, with * and ?, means a name. */
function fits(pattern: string, name: string): boolean {
  const parts = pattern.split(/([*?])/).map((part) => (part === "*" ? ".*" : part === "?" ? "." : RegExp.escape(part)));
  return new RegExp(`^${parts.join("")}$`).test(name);
}

function isOurFile(pattern: string): boolean {
  const path = pattern.replaceAll("%h", loginHome()).replaceAll("%u", LOGIN).replaceAll("%%", "%");
  return (path.startsWith("/") ? path : `${loginHome()}/${path}`) === authorizedKeysFile();
}
