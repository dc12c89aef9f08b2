// Deploys of real apps under load: not one request fails, and the traffic moves in order.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ALL, complaints, deployYml, ended, figures, fixture, loadSandbox, under } from "../support/load-run.ts";
import type { Load } from "../fronts/relay/support/load.ts";
import { watch } from "../support/load-watch.ts";
import type { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await loadSandbox({}, ["node"]);
});
afterAll(() => box?.stop());

interface App {
  type: "python" | "node";
  files: Record<string, string>;
  command: string;
  /** How many good deploys come under load, beside one that is refused. */
  deploys: number;
  websockets: number;
}

const requirements = fixture("requirements.txt");
const python = (file: string) => ({ [file]: fixture(file), "requirements.txt": requirements });

const APPS: Record<string, App> = {
  "Flask under gunicorn": {
    type: "python",
    files: python("flask_app.py"),
    command: 'exec gunicorn --worker-class gthread --threads 16 --bind "$DP_HOST:$PORT" flask_app:app',
    ...{ deploys: 5, websockets: 0 },
  },
  "FastAPI under uvicorn": {
    type: "python",
    files: python("fastapi_app.py"),
    command: 'exec uvicorn fastapi_app:app --no-access-log --host "$DP_HOST" --port "$PORT"',
    ...{ deploys: 3, websockets: 1 },
  },
  "a server on Node": {
    type: "node",
    files: { "server.js": fixture("server.js") },
    command: "exec node server.js",
    ...{ deploys: 3, websockets: 1 },
  },
};

const hasNode = Bun.which("node") !== null;
if (!hasNode) console.warn("load: a server on Node is left out: there is no node");
const cases = Object.entries(APPS).filter(([name]) => hasNode || !name.includes("Node"));

describe.each(cases)("%s", (name, { type, files, command, deploys, websockets }) => {
  const deployFile = () => deployYml(box.app, command).replace("type: python", `type: ${type}`);
  const live: string[] = [];
  let refused = "";
  let receipts: string[] = [];

  beforeAll(async () => {
    live.push(await box.release({ ...files, "deploy.yml": deployFile(), sick: null }));
  });

  async function deployAll({ heard }: Load): Promise<void> {
    await heard(live[0]!);
    for (let count = 0; count < deploys; count++) {
      if (count === 1) {
        await box.commit({ sick: "yes", "deploy.yml": deployFile().replace("20s", "2s") });
        expect(ended(await box.push(), 1)).toBe("1");
        refused = box.ids().at(-1)!;
        await box.git("reset", "--quiet", "--hard", "HEAD~1");
      }
      await box.commit({}, `Deploy ${count}`);
      const pushed = await box.push();
      expect(ended(pushed)).toBe("0");
      receipts = [...receipts, pushed.text];
      live.push(box.link("current")!);
      await heard(live.at(-1)!);
    }
  }

  test(`${deploys} deploys and one that is refused, under load: 0 failed, in order, and never the sick one`, async () => {
    const proof = await under(box, { ...ALL, websockets }, deployAll);
    console.log(figures(`${name}, ${deploys} deploys`, proof));
    expect(complaints(proof)).toEqual([]);
    expect([proof.failed, proof.watched.failures.length, proof.websockets.failed]).toEqual([0, 0, 0]);
    expect(proof.watched.releases).toEqual(live);
    expect(Object.keys(proof.answers).sort()).toEqual([...live].sort());
    expect(refused).not.toBe("");
    expect(live).not.toContain(refused);
    // It was a load: some of everything, at each of the releases.
    expect(proof.requests).toBeGreaterThan(100 * deploys);
    if (websockets > 0) expect(proof.websockets.opened).toBeGreaterThanOrEqual(deploys);
    if (websockets > 0) expect(proof.websockets.messages).toBeGreaterThan(10 * deploys);
  }, 120_000);

  test("dp's own requests say the same, on the receipt and in the run file", () => {
    expect(receipts).toHaveLength(deploys);
    for (const text of receipts) expect(text).toMatch(/live: shop .* requests [1-9]\d*, failed 0, longest gap \d+ ms/);
    for (const id of live.slice(1)) {
      const { facts } = box.run(id);
      for (const probes of ["swapProbes", "verifyProbes"]) expect(facts[probes]).toMatchObject({ failed: 0 });
      expect((facts["swapProbes"] as { requests: number }).requests).toBeGreaterThan(0);
    }
  });

  test("the releases share what was installed", () => {
    if (!("requirements.txt" in files)) return;
    const venvs = live.map((id) => (box.run(id).facts["runtime"] as { dependencies: string }).dependencies);
    expect(new Set(venvs).size).toBe(1);
    for (const id of live.slice(1)) expect(box.log(id)).toContain("dependencies unchanged");
  });
});

test("the clients that watch can tell: a failure, and an answer from a release that was left", async () => {
  const answers = ["a", "a", "b", "b", "a", "503", "c"];
  let count = 0;
  const server = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    fetch() {
      const answer = answers[Math.min(count++, answers.length - 1)]!;
      return new Response(answer, { status: answer === "503" ? 503 : 200 });
    },
  });
  const watching = watch(server.port!, 1);
  await watching.until("c");
  const { failures, releases, late } = await watching.stop();
  await server.stop(true);
  expect({ failures, releases, late }).toEqual({
    failures: ["503 503"],
    releases: ["a", "b", "c"],
    late: ["a after b"],
  });
});
