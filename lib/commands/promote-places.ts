// The two apps of a promotion: by their names here, by git remotes of the folder, or by servers of the fleet.
import { existsSync } from "node:fs";
import { DpError } from "../errors.ts";
import { listedServers } from "../fleet/servers.ts";
import { deployments, isAppName } from "../paths.ts";
import { appRemotes, type AppRemote } from "../remote/remotes.ts";
import { destinationOf, type Server } from "../remote/ssh.ts";
import { quoted } from "../text/text.ts";

/** An app, and the server that it is on. */
export interface Spot {
  app: string;
  /** Null: this machine. */
  server: Server | null;
  /** The name of the server, as people read it. */
  name: string;
  /** The same for two apps of one server. */
  address: string;
}

const HERE = "this server";

/**
 * The two apps that two words mean: `SERVER:APP` with a server of fleet.yml or a git remote, `REMOTE` for the app that a
 * remote of the folder leads to, and `APP` for one here, or on the only server that the remotes lead to. Throws DpError
 * "usage".
 */
export async function placesOf(from: string, to: string): Promise<[Spot, Spot]> {
  const remotes = await appRemotes();
  const spots: [Spot, Spot] = [await spotOf(from, remotes), await spotOf(to, remotes)];
  const [one, other] = spots;
  if (one.app === other.app && one.address === other.address)
    throw new DpError("usage", `${from} and ${to} are the same app`, { hint: "dp promote shop-staging shop" });
  return spots;
}

async function spotOf(word: string, remotes: readonly AppRemote[]): Promise<Spot> {
  const colon = word.indexOf(":");
  if (colon >= 0) return onServer(word.slice(0, colon), requireName(word.slice(colon + 1)), remotes);
  const isServer = Boolean(process.env["DP_ROOT"]) || existsSync(deployments());
  if (isServer) return { app: requireName(word), server: null, name: HERE, address: "" };
  const remote = remotes.find(({ name }) => name === word);
  if (remote) return spot(remote.app, remote.server, remote.name);
  const servers = new Map(remotes.map((each) => [addressOf(each.server), each]));
  const [only] = servers.values();
  if (servers.size === 1 && only) return spot(requireName(word), only.server, only.server.host);
  throw new DpError(
    "usage",
    `${quoted(word)} is no remote of this folder, and it is not clear which server has the app`,
    {
      lines: remotes.map(({ name, app, server }) => `${name}  ${app} on ${server.host}`),
      hint: "dp promote staging production, by the names of git remotes, or SERVER:APP",
    },
  );
}

async function onServer(name: string, app: string, remotes: readonly AppRemote[]): Promise<Spot> {
  const listed = (await listedServers()) ?? [];
  const found = listed.find((each) => each.name === name) ?? remotes.find((each) => each.name === name);
  if (found) return spot(app, found.server, name);
  const names = [...listed, ...remotes].map((each) => each.name);
  throw new DpError(
    "usage",
    `there is no server ${quoted(name)}: neither in fleet.yml nor as a remote of this folder`,
    {
      lines: names.length > 0 ? [`there are ${[...new Set(names)].join(", ")}`] : [],
      hint: `dp fleet add ${/^[\w.-]+$/.test(name) ? name : "NAME"} dp@SERVER`,
    },
  );
}

const spot = (app: string, server: Server, name: string): Spot => ({ app, server, name, address: addressOf(server) });

const addressOf = (server: Server) => `${destinationOf(server)}:${server.port ?? 22}`;

function requireName(app: string): string {
  if (isAppName(app)) return app;
  throw new DpError("usage", `${quoted(app)} is not the name of an app`);
}
