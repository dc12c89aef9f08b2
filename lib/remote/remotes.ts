// Which app on which server is meant: `-r`, DP_REMOTE, `git config dp.remote`, or the only remote of the folder that is
// dp's.
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";
import { quoted } from "../text/text.ts";
import { placeOf, type Place } from "./address.ts";
import { gitRemotes, type GitSettings, type Remote } from "./git.ts";

/** A remote of the folder that leads to an app. */
export interface AppRemote extends Place {
  name: string;
}

/** The word of the DpError for a folder without a remote of dp's. */
export const NONE = "no remote";

/** The remotes of the current folder that lead to an app, sorted by name. */
export async function appRemotes(): Promise<AppRemote[]> {
  return (await gitRemotes()).flatMap(appRemote);
}

function appRemote({ name, urls }: Remote): AppRemote[] {
  const place = urls.map(placeOf).find((found) => found !== null);
  return place ? [{ name, ...place }] : [];
}

/**
 * The app that is meant; `wanted` is the name, or the URL, of `-r`, and `command` what was typed, for hints. Throws
 * DpError "usage" when there is no remote of dp's (`reason` NONE), or several and none is named.
 */
export function chosen(
  wanted: string | undefined,
  command: string,
  git: GitSettings,
  remotes: readonly Remote[],
): Place {
  const ours = remotes.flatMap(appRemote);
  for (const [name, from] of [
    [wanted, ""],
    [process.env["DP_REMOTE"] || undefined, " (DP_REMOTE)"],
    [git.remote, " (git config dp.remote)"],
  ] as const)
    if (name !== undefined) return named(name, from, remotes, ours);
  if (ours.length === 1) return ours[0]!;
  throw ours.length === 0 ? noRemote() : several(ours, command);
}

function named(name: string, from: string, remotes: readonly Remote[], ours: readonly AppRemote[]): Place {
  const found = ours.find((remote) => remote.name === name) ?? placeOf(name);
  if (found) return found;
  if (remotes.some((remote) => remote.name === name))
    throw new DpError("usage", `the remote ${quoted(name)}${from} does not lead to a dp server`, {
      lines: linesOf(ours),
      hint: `git remote get-url --push ${name} shows where it leads; dp's are ssh://root@SERVER/var/repos/APP.git`,
    });
  throw new DpError("usage", `this folder has no remote ${quoted(name)}${from}`, {
    lines: linesOf(ours),
    ...(ours.length === 0
      ? { hint: ADD }
      : didYouMean(
          name,
          ours.map((remote) => remote.name),
        )),
  });
}

const ADD = "git remote add production ssh://root@SERVER/var/repos/APP.git, or: dp launch root@SERVER";

const noRemote = () =>
  new DpError("usage", "no remote of this folder leads to a dp server", {
    reason: NONE,
    lines: ["and no app is set up on this machine: dp setup APP does that on a server"],
    hint: ADD,
  });

function several(ours: readonly AppRemote[], command: string): DpError {
  return new DpError("usage", `this folder has ${ours.length} remotes of dp servers`, {
    lines: linesOf(ours),
    hint: `dp -r ${ours[0]!.name} ${command}; git config dp.remote NAME makes one of them the usual one`,
  });
}

/** `production  shop on 203.0.113.5`. */
function linesOf(ours: readonly AppRemote[]): string[] {
  const width = Math.max(...ours.map(({ name }) => name.length));
  const port = ({ server }: Place) => (server.port === undefined ? "" : `, port ${server.port}`);
  return ours.map((remote) => `${remote.name.padEnd(width)}  ${remote.app} on ${remote.server.host}${port(remote)}`);
}
