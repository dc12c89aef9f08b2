// The health check of an app as its clients would ask it, through the public port; for hundreds of apps at once, too.
import type { HealthCheck } from "../config/types.ts";
import type { App } from "../contracts/app.ts";
import { turns } from "../host/turns.ts";
import { publicAddress } from "../paths.ts";
import { ownCheck } from "./own-check.ts";
import { probe, type Answer } from "./probe.ts";

/**
 * How many health checks are asked at a time: of more, some would still wait here when the time that their check allows
 * is over.
 */
const inTurn = turns(128);

/** An answer, and the milliseconds that it took from the moment when it was asked. */
export interface TimedAnswer extends Answer {
  ms: number;
}

/** Asks an app when it is its turn. Never throws because of the app. */
export const askPublic = (app: Pick<App, "front" | "places" | "server">, check: HealthCheck): Promise<TimedAnswer> =>
  inTurn(async () => {
    const own = await ownCheck(app, check);
    const begun = performance.now();
    const answer = await probe(own, app.server.port, publicAddress(app.server));
    return { ...answer, ms: performance.now() - begun };
  });
