// What an entrance on every server is refused for: before anything of it is made.
import { expect, test } from "bun:test";
import type { Front, Route } from "../../../lib/contracts/front.ts";
import none from "../../../lib/fronts/none.ts";
import relay from "../../../lib/fronts/relay.ts";
import { withEntrances } from "../../../lib/managers/swarm/nodes-front.ts";
import { makeIo, silentLog } from "../../../lib/host/io.ts";

const route: Omit<Route, "target"> = {
  app: "shop",
  listen: { host: "127.0.0.1", port: 3000 },
  protocol: "http",
  trustedProxies: [],
};

test.each<[string, Front, Partial<Route>, number, string]>([
  ["allow", relay, { allow: ["10.0.0.0/8"] }, 8080, "it would let in whom allow keeps out"],
  ["passwords", relay, { basicAuth: { ann: "$2b$10$x" } }, 8080, "it would let in whom basicAuth keeps out"],
  ["the app's own port", relay, {}, 3000, "port 3000 is the app's own on this server"],
  ["no front", none, {}, 8080, "it needs a front, and front: none holds no port"],
])("%s", async (_, own, more, port, said) => {
  const made = withEntrances(own, port, 1_000).setup({ ...route, ...more }, makeIo(silentLog));
  const error = await made.catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ exit: "config", message: `swarm.entrance: ${said}` });
});
