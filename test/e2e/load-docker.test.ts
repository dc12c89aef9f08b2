// Deploys of an app in containers under load: not one request fails, and the traffic moves in order.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { dockerSandbox, dockerYml, example, type DockerBox } from "../support/docker-run.ts";
import { engineUnavailable, startEngine } from "../support/engine.ts";
import { complaints, ended, figures, QUICK, under } from "../support/load-run.ts";
import { podmanUnavailable, startPodman } from "../support/podman.ts";

// What the load's clients expect: the release as the answer, and what they sent.
const SERVER = example("server.ts").replace(
  '"/": () => Response.json({ app: process.env.DP_APP ?? "local", release: process.env.DP_RELEASE ?? "none" }),',
  '"/": () => new Response(process.env.DP_RELEASE),\n    "/echo": async (request) => new Response(await request.bytes()),',
);

describe.each([
  { name: "Docker Engine", deploys: 2, why: engineUnavailable(), start: startEngine },
  { name: "podman", deploys: 1, why: podmanUnavailable(), start: startPodman },
])("$name", ({ name, deploys, why, start }) => {
  let box: DockerBox;
  const live: string[] = [];
  if (why !== null) console.warn(`${name} under load: skipped, ${why}`);

  beforeAll(async () => {
    if (why !== null) return;
    box = await dockerSandbox("relay", start);
    live.push(await box.release({ "server.ts": SERVER, "deploy.yml": dockerYml("shop") }));
  }, 300_000);
  afterAll(() => box?.stop(), 120_000);

  test.skipIf(why !== null)(
    "deploys and one that is refused, under load: 0 failed, in order, and never the sick one",
    async () => {
      const proof = await under(box, QUICK, async () => {
        await box.commit({ "server.ts": "process.exit(1);\n" });
        expect(ended(await box.push(), 1)).toBe("1");
        for (let count = 0; count < deploys; count++) {
          await box.commit({ "server.ts": SERVER, count: String(count) });
          expect(ended(await box.push())).toBe("0");
          live.push(box.link("current")!);
        }
      });
      console.log(figures(`${name}, deploys: ${deploys}`, proof));
      expect(complaints(proof)).toEqual([]);
      expect([proof.failed, proof.watched.failures.length]).toEqual([0, 0]);
      expect(proof.watched.releases).toEqual(live);
      expect(proof.requests).toBeGreaterThan(200);
    },
    300_000,
  );
});
