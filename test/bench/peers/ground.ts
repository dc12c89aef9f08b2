// The ground of the peers: one booted server with all of them, on packages of Debian that are installed in it alone.
import { until } from "../../support/sandbox.ts";
import { freePort } from "../../support/box.ts";
import { openLaptop } from "../../support/server-laptop.ts";
import { type Server, startServer } from "../../support/server-box.ts";
import { get } from "../timing.ts";
import type { Deployed, Ground, Peer, Place } from "./peer.ts";

// No package shall start a service of its own: the box has the network of its host.
const NO_SERVICES = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d";
const INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends";
/** Milliseconds that an installation may take. */
const LIMIT = 300_000;

/** Boots the server, and hands it over; it is gone when `use` has ended. */
export async function withServer<T>(use: (box: Server) => Promise<T>): Promise<T> {
  const box = await startServer("peers");
  try {
    await box.must(`${NO_SERVICES} && apt-get update -qq`, { timeout: LIMIT });
    return await use(box);
  } finally {
    await box.stop();
  }
}

/** Installs what a peer needs and deploys its first app; why that cannot be done is an answer, too. */
export async function openPeer(peer: Peer, ground: Ground): Promise<Deployed | string> {
  const place: Place = { laptop: await openLaptop(ground.box, peer.app), port: await freePort() };
  try {
    if (peer.packages.length > 0) await ground.box.must(`${INSTALL} ${peer.packages.join(" ")}`, { timeout: LIMIT });
    const app = await peer.open(ground, place);
    await place.laptop.commit(app.files("release 0"));
    await app.push();
    await until(`the first answer of ${peer.name}`, async () => (await get(place.port, "/"))?.includes("release 0"));
    return { ...app, ...place };
  } catch (error) {
    place.laptop.remove();
    const [first = "", ...rest] = (error as Error).message.trim().split("\n");
    return [first, ...rest.slice(-3)].join(" | ");
  }
}

const VERSIONS =
  "dpkg-query -W -f '${Package} ${Version}, ' capistrano uwsgi nginx nodejs 2>/dev/null; cat /srv/*/version 2>/dev/null";

/** Which versions were measured, in one line. */
export const versions = async (box: Server): Promise<string> =>
  (await box.ssh(VERSIONS)).stdout.trim().split("\n").join(", ");
