// Which app on which server is meant: `-r`, DP_REMOTE, `git config dp.remote`, the only remote of the folder that is
// dp's, or of several the one whose app is typed.
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";
import { quoted, shown } from "../text/text.ts";
import { placeOf, type Place } from "./address.ts";
import type { Meant } from "./words.ts";
import { gitRemotes, gitSettings, type GitSettings, type Remote } from "./git.ts";

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

/** How dp is typed in the current folder for a remote: `dp`, or `dp -r staging` where it would not be the one meant. */
export async function typedFor(remote: string): Promise<string> {
  const [git, ours] = await Promise.all([gitSettings(), appRemotes()]);
  const usual = process.env["DP_REMOTE"] || git.remote || (ours.length === 1 ? ours[0]!.name : undefined);
  return usual === remote ? "dp" : `dp -r ${remote}`;
}

function appRemote({ name, urls }: Remote): AppRemote[] {
  const place = urls.map(placeOf).find((found) => found !== null);
  return place ? [{ name, ...place }] : [];
}

/** The server that is meant, and the app on it; null: the whole server, on which the folder has several apps. */
export interface Chosen {
  server: Place["server"];
  app: string | null;
}

/**
 * The app that is meant; `wanted` is the name, or the URL, of `-r`, and `meant` what the typed words say. Throws DpError
 * "usage" when there is no remote of dp's (`reason` NONE), or several and it is not clear which one.
 */
export function chosen(wanted: string | undefined, meant: Meant, git: GitSettings, remotes: readonly Remote[]): Chosen {
  const ours = remotes.flatMap(appRemote);
  for (const [name, from] of [
    [wanted, ""],
    [process.env["DP_REMOTE"] || undefined, " (DP_REMOTE)"],
    [git.remote, " (git config dp.remote)"],
  ] as const)
    if (name !== undefined) return named(name, from, remotes, ours);
  if (ours.length === 1) return ours[0]!;
  if (ours.length === 0) throw noRemote(remotes);
  const ofApp = ours.filter(({ app }) => meant.names.includes(app));
  if (ofApp.length === 1) return ofApp[0]!;
  const { server } = ours[0]!;
  if (meant.isOfServer && ours.every((remote) => Bun.deepEquals(remote.server, server))) return { server, app: null };
  throw several(ofApp.length > 1 ? ofApp : ours, meant, ofApp[0]?.app);
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

const FORMS =
  "the address of a dp server has its user in it: ssh://dp@SERVER/APP.git, or ssh://root@SERVER/var/repos/APP.git";

function noRemote(remotes: readonly Remote[]): DpError {
  const width = Math.max(0, ...remotes.map(({ name }) => name.length));
  const looked = remotes.flatMap(({ name, urls }) =>
    urls.map((url) => `${name.padEnd(width)}  ${shown(withoutLogin(url))}`),
  );
  return new DpError("usage", "no remote of this folder leads to a dp server", {
    reason: NONE,
    lines: [
      ...(looked.length > 0 ? [...looked, FORMS] : []),
      "and no app is set up on this machine: dp setup APP does that on a server",
    ],
    hint: looked.length > 0 ? `git remote set-url NAME gives one such an address; or ${ADD}` : ADD,
  });
}

/** An address as it may be shown: the login of a web address may be a token. */
const withoutLogin = (url: string) => url.replace(/^(https?:\/\/)[^/]*@/, "$1");

function several(ours: readonly AppRemote[], { command }: Meant, app?: string): DpError {
  const ofApp = app === undefined ? "" : ` with the app ${app}`;
  const words = [`dp -r ${ours[0]!.name} ${command}`, ...(app === undefined ? [] : [app])].join(" ");
  return new DpError("usage", `this folder has ${ours.length} remotes of dp servers${ofApp}`, {
    lines: linesOf(ours),
    hint: `${words}; git config dp.remote NAME makes one of them the usual one`,
  });
}

/** `production  shop on 203.0.113.5`. */
function linesOf(ours: readonly AppRemote[]): string[] {
  const width = Math.max(...ours.map(({ name }) => name.length));
  const port = ({ server }: Place) => (server.port === undefined ? "" : `, port ${server.port}`);
  return ours.map((remote) => `${remote.name.padEnd(width)}  ${remote.app} on ${remote.server.host}${port(remote)}`);
}
