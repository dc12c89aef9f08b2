// The servers of a fleet: fleet.yml of the user, or the git remotes of the current folder that lead to dp servers.
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { parse } from "../config/parse.ts";
import { serverOf } from "../config/server-address.ts";
import { setInner } from "../config/yaml-edit.ts";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { appRemotes } from "../remote/remotes.ts";
import { destinationOf, type Server } from "../remote/ssh.ts";
import { didYouMean } from "../text/suggestion.ts";
import { quoted } from "../text/text.ts";

/** A server by its name in fleet.yml. */
export interface Named {
  name: string;
  /** `root@203.0.113.5`, as it stands there. */
  address: string;
  server: Server;
}

// It becomes a word of a command that somebody pastes into a shell.
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,38}[A-Za-z0-9])?$/;

const name = v.pipe(v.string(), v.regex(NAME, "must be letters, digits, dots and dashes"));
const address = v.pipe(
  v.string(),
  v.check((text) => serverOf(text) !== null, "must be [USER@]HOST[:PORT]"),
);
// The key without a server under it is what the removal of the last one leaves.
const schema = v.strictObject({ servers: v.nullable(v.record(name, address)) });

/** The file that lists the servers. */
export const fleetFile = () => join(process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "dp/fleet.yml");

/** The servers of fleet.yml, sorted by name; null: there is no such file. Throws DpError "config". */
export async function listedServers(): Promise<Named[] | null> {
  const text = await readText(fleetFile());
  if (text === null) return null;
  // A file of which only comments are left is no mistake.
  const { servers } = /^\s*(?:#.*\s*)*$/.test(text) ? { servers: {} } : parse(schema, text, fleetFile());
  return namedFrom(Object.entries(servers ?? {}));
}

const namedFrom = (entries: readonly (readonly [string, string])[]): Named[] =>
  entries
    .map(([own, where]) => ({ name: own, address: where, server: serverOf(where)! }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** The servers that are meant: those of fleet.yml, else of the folder's remotes. Throws DpError "usage" without any. */
export async function fleetServers(): Promise<Named[]> {
  const listed = await listedServers();
  if (listed !== null && listed.length > 0) return listed;
  const found = listed === null ? await remoteServers() : [];
  if (found.length > 0) return found;
  throw new DpError("usage", `no server is known: ${fleetFile()} ${listed === null ? "is not there" : "lists none"}`, {
    hint: "dp fleet add NAME root@SERVER",
  });
}

/** A server for each remote that leads to an app; two apps of one server are one server. */
async function remoteServers(): Promise<Named[]> {
  const entries = (await appRemotes()).map(({ name: own, server }) => [own, addressOf(server)] as const);
  const good = entries.filter(([own, where]) => NAME.test(own) && serverOf(where) !== null);
  return namedFrom(good.filter(([, where], at) => good.findIndex(([, other]) => other === where) === at));
}

function addressOf({ user, host, port }: Server): string {
  const place = host.includes(":") ? `[${host}]` : host;
  return `${user === undefined ? "" : `${user}@`}${place}${port === undefined ? "" : `:${port}`}`;
}

/** The server of that name. Throws DpError "usage" when fleet.yml has none. */
export async function serverNamed(wanted: string): Promise<Named> {
  const all = (await listedServers()) ?? (await remoteServers());
  const found = all.find((each) => each.name === wanted);
  if (found) return found;
  const names = all.map((each) => each.name);
  throw new DpError("usage", `the fleet has no server ${quoted(wanted)}`, {
    lines: names.length > 0 ? [`it has ${names.join(", ")}`] : [],
    hint: didYouMean(wanted, names).hint ?? "dp fleet add NAME root@SERVER",
  });
}

/** Notes a server, or another address of one. Throws DpError "usage" for a bad name or address. */
export async function addServer(own: string, where: string): Promise<Named> {
  if (!NAME.test(own)) throw new DpError("usage", `${quoted(own)} is not a name: letters, digits, dots and dashes`);
  const server = serverOf(where);
  if (server === null) throw new DpError("usage", `${quoted(where)} is not [USER@]HOST[:PORT]`);
  destinationOf(server);
  const file = fleetFile();
  // Read first: a file with a mistake is not changed.
  await listedServers();
  const text = (await readText(file)) ?? "# The servers of dp fleet: NAME: [USER@]HOST[:PORT]\n";
  const quotedName = /^[A-Za-z]/.test(own) ? own : JSON.stringify(own);
  await write(text.includes("servers:") ? text : `${text}servers:\n`, quotedName, where);
  return { name: own, address: where, server };
}

async function write(text: string, own: string, where: string): Promise<void> {
  const file = fleetFile();
  const block = /^servers:[ \t]*$/m;
  const next =
    /^servers:[ \t]*\n[ \t]+\S/m.test(text) || !block.test(text)
      ? setInner(text, "servers", { [own]: where }, file)
      : text.replace(block, `servers:\n  ${own}: ${JSON.stringify(where)}`);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, next, 0o600);
}

/** Takes a server off the list. Throws DpError "usage" when it is not there, "config" when its line is not its own. */
export async function removeServer(own: string): Promise<void> {
  const all = (await listedServers()) ?? [];
  if (!all.some((each) => each.name === own)) await serverNamed(own);
  const file = fleetFile();
  const text = (await readText(file)) ?? "";
  const line = new RegExp(`^[ \\t]+["']?${RegExp.escape(own)}["']?:[^\\n]*\\n?`, "m");
  if (!line.test(text)) throw new DpError("config", `${file}: ${own} has no line of its own, take it out by hand`);
  await writeFileAtomic(file, text.replace(line, ""), 0o600);
}
