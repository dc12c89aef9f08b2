// The health check of the live release, asked through the public port, as clients are answered.
import { byHand, type Check } from "../contracts/check.ts";
import { probe } from "../health/probe.ts";
import { front } from "../registry.ts";
import { factsOfRelease } from "../release/instance.ts";
import { managerOf } from "../release/manager.ts";
import { liveWeb } from "../release/wanted.ts";
import { publicAddress } from "../paths.ts";

const check: Check = {
  summary: "the health check of the live release",
  atRest: true,
  async app({ app, server }) {
    const live = await liveWeb(app, server);
    if (!live) return [];
    // One that does not run, and a port that nobody holds, are findings of their own.
    if ((await (await managerOf(server)).status({ app, id: live })).state !== "running") return [];
    const holder = await front(server.front);
    if (holder.holdsPort && !(await holder.status(app))?.isListening) return [];
    const { healthCheck } = (await factsOfRelease(app, live, server)).config;
    const host = publicAddress(server);
    const answer = await probe(healthCheck!, server.port, host);
    if (answer.isHealthy || (answer.isRefused && !holder.holdsPort)) return [];
    const what = `GET http://${host}:${server.port}${healthCheck!.path}: ${answer.text}; ${app}@${live} runs, and is not healthy`;
    return [byHand("error", what, `dp restart ${app}`)];
  },
};
export default check;
