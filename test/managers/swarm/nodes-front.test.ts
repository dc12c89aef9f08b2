// What an entrance on every server is refused for, before anything of it is made; and that the front here waits for no other.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Front, Route } from "../../../lib/contracts/front.ts";
import none from "../../../lib/fronts/none.ts";
import relay from "../../../lib/fronts/relay.ts";
import { entryConfig } from "../../../lib/managers/swarm/entry.ts";
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

test("the front here has its target though no entry can be made", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dp-nodes-front-"));
  const { DP_ROOT, DOCKER_HOST } = process.env;
  Object.assign(process.env, { DP_ROOT: folder, DOCKER_HOST: `unix://${folder}/nobody` });
  try {
    const file = entryConfig({ app: "shop", id: "1-aaaaaaa" });
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'bind "${STATE}"\n');
    const [pointed, warned]: [string[], string[]] = [[], []];
    const own: Front = { ...none, point: async (_, target) => void pointed.push(target!.id) };
    const io = makeIo({ ...silentLog, warn: (line) => void warned.push(line) });
    const target = { id: "1-aaaaaaa", port: 3000 };
    // It could not lead the entrances there: that is said, when the front here has changed.
    const error = await withEntrances(own, 8080, 1_000)
      .point("shop", target, io)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: "the Docker daemon does not answer" });
    expect(pointed).toEqual(["1-aaaaaaa"]);
    expect(warned).toEqual(["not every entrance can follow: the Docker daemon does not answer"]);
  } finally {
    for (const [name, value] of Object.entries({ DP_ROOT, DOCKER_HOST }))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    rmSync(folder, { recursive: true });
  }
});
