// The health check of the live release, through the public port, as clients reach it.
import { byHand, type Check } from "../contracts/check.ts";
import { askPublic } from "../health/public-check.ts";
import { factsOfRelease } from "../release/instance.ts";
import { liveWeb } from "../release/wanted.ts";
import { publicAddress } from "../paths.ts";

const check: Check = {
  summary: "the health check of the live release",
  atRest: true,
  async app(app) {
    const { name, server, manager, front } = app;
    const live = await liveWeb(app);
    if (!live) return [];
    // A stopped instance, and a port that nobody holds, are findings of other checks.
    if ((await manager.status({ app: name, id: live })).state !== "running") return [];
    if (front.holdsPort && !(await front.status(name, true))?.isListening) return [];
    const { healthCheck } = (await factsOfRelease(app, live)).config;
    const host = publicAddress(server);
    const answer = await askPublic(app, healthCheck!);
    if (answer.isHealthy || (answer.isRefused && !front.holdsPort)) return [];
    const what = `GET http://${host}:${server.port}${healthCheck!.path}: ${answer.text}; ${name}@${live} runs, and is not healthy`;
    return [byHand("error", what, `dp restart ${name}`)];
  },
};
export default check;
