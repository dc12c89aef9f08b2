// Deploys of an app in containers under load: not one request fails, and the traffic moves in order.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { dockerSandbox, dockerYml, example, type DockerBox } from "../support/docker-run.ts";
import { engineUnavailable } from "../support/engine.ts";
import { complaints, ended, figures, QUICK, under } from "../support/load-run.ts";

const why = engineUnavailable();
if (why !== null) console.warn(`docker under load: skipped, ${why}`);

let box: DockerBox;
const live: string[] = [];

// What the load's clients expect: the release as the answer, and what they sent.
const SERVER = example("server.ts").replace(
  '"/": () => Response.json({ app: process.env.DP_APP ?? "local", release: process.env.DP_RELEASE ?? "none" }),',
  '"/": () => new Response(process.env.DP_RELEASE),\n    "/echo": async (request) => new Response(await request.bytes()),',
);

beforeAll(async () => {
  if (why !== null) return;
  box = await dockerSandbox();
  live.push(await box.release({ "server.ts": SERVER, "deploy.yml": dockerYml("shop") }));
}, 300_000);
afterAll(async () => {
  if (why === null) await box?.stop();
}, 120_000);

test.skipIf(why !== null)(
  "two deploys and one that is refused, under load: 0 failed, in order, and never the sick one",
  async () => {
    const proof = await under(box, QUICK, async () => {
      for (let count = 0; count < 2; count++) {
        await box.commit({ "server.ts": `process.exit(${count + 1});\n` });
        if (count === 1) expect(ended(await box.push(), 1)).toBe("1");
        await box.commit({ "server.ts": SERVER, count: String(count) });
        expect(ended(await box.push())).toBe("0");
        live.push(box.link("current")!);
      }
    });
    console.log(figures("containers, 2 deploys", proof));
    expect(complaints(proof)).toEqual([]);
    expect([proof.failed, proof.watched.failures.length]).toEqual([0, 0]);
    expect(proof.watched.releases).toEqual(live);
    expect(proof.requests).toBeGreaterThan(200);
  },
  300_000,
);
