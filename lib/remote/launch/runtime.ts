// The step `runtime` of `dp launch`: the node that the commit asks for, on a server that has none that fits.
import type { AppType } from "../../contracts/app-type.ts";
import { subtree } from "../../git/tree.ts";
import type { Folder } from "./folder.ts";
import { DP, failed, type Hands } from "./hands.ts";

/** What the app runs on: its name, and the range of versions that fit; null: what the system has is enough. */
export interface WantedRuntime {
  name: string;
  range: string;
}

/** Reads it from the commit. Throws DpError "config" when the commit asks for nonsense. */
export async function wantedRuntime(type: AppType, { config, tree }: Folder): Promise<WantedRuntime | null> {
  const { root } = config;
  const place = root === undefined ? { tree, config } : { tree: subtree(tree, root), config, commit: tree };
  const range = (await type.wishedRuntime?.(place)) ?? null;
  return range === null || type.runtimes === undefined ? null : { name: type.runtimes.name, range };
}

/** Installs it for all apps, unless one that fits is there. Throws DpError with the exit code of `dp runtimes`. */
export async function bringRuntime(hands: Hands, { name, range }: WantedRuntime): Promise<string> {
  const there = await hands.look([DP, "runtimes", "--json"]);
  const rows = there.code === 0 ? (JSON.parse(there.stdout) as { name: string; version: string }[]) : [];
  const fits = rows.find((row) => row.name === name && Bun.semver.satisfies(row.version, range));
  if (fits !== undefined) return `${name} ${fits.version} is there`;
  const answer = await hands.change([DP, "runtimes", "install", name, range]);
  if (answer === null) return `would install ${name} ${range}`;
  if (answer.code !== 0) throw failed(`${name} ${range} could not be installed on ${hands.ssh.server.host}`, answer);
  return answer.stdout
    .trim()
    .split("\n")
    .at(-1)!
    .replace(/ is there for all apps.*/, " installed for all apps");
}
