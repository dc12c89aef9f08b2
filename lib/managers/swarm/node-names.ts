// The names and labels of what an app has on each node: its entrance, and behind that the entry of the live release.
import { places, realm, root } from "../../paths.ts";

/** The labels of it: other ones than those of releases, which are found by theirs. */
export const nodeLabels = (app: string): Record<string, string> => ({
  "dp.entrance": places(app).app,
  "dp.root": root() || "/",
});

/** The label of an entry's service: its release. */
export const ENTRY_OF = "dp.entry";

/** The service that holds the app's port on each node. */
export const entranceName = (app: string) => `${places(app).app}-entrance${realm()}`;

/** The two places that entries take in turn. */
export const COLOURS = ["blue", "green"] as const;
export type Colour = (typeof COLOURS)[number];

/** The service with the entry of a release on each node. */
export const entriesName = (app: string, colour: Colour) => `${places(app).app}-${colour}${realm()}`;

/** The folder of the sockets between both, in their containers, and the volume that it is on each node. */
export const SOCKETS = "/sockets";
export const socketsVolume = (app: string) => `dp-${places(app).app}${realm()}`;
