// Web, workers and cron as containers of one image: deploys under load, scaling, failures, the clock, a power cut.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { CronRow } from "../../lib/commands/cron.ts";
import type { ProcessRow } from "../../lib/commands/ps.ts";
import { dockerSandbox, dockerYml, type DockerBox } from "../support/docker-run.ts";
import { engineUnavailable } from "../support/engine.ts";
import { FAR } from "../support/far-schedule.ts";
import { addJobs, faultsOf, readNotes, upBy } from "../support/queue-app.ts";
import { until } from "../support/sandbox.ts";

// A change of several containers takes a while on a busy machine.
setDefaultTimeout(180_000);

const why = engineUnavailable();

/** The app of support/queue-app.ts for an image that has Bun only; its folder is shared, and mounted as queue/. */
const QUEUE = `import { appendFileSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
const { DP_PROCESS: who, DP_RELEASE: release, PORT, DP_HOST } = process.env;
for (const name of ["todo", "doing", "done"]) mkdirSync("queue/" + name, { recursive: true });
const note = (...words) => appendFileSync("queue/notes", words.join(" ") + "\\n");
let stopping = false;

function web() {
  Bun.serve({ port: PORT, hostname: DP_HOST, fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/add/")) writeFileSync("queue/todo/" + pathname.slice(5), "");
    return new Response(release);
  } });
}

async function work() {
  if (PORT !== undefined) throw new Error("a worker has no port");
  process.on("SIGTERM", () => { stopping = true; });
  note("up", who, release);
  console.log("ready", who, release);
  while (!stopping) {
    for (const job of readdirSync("queue/todo").sort((a, b) => a - b)) {
      try {
        renameSync("queue/todo/" + job, "queue/doing/" + job);
      } catch {
        continue; // another worker's now
      }
      note("begin", job, who, release);
      await Bun.sleep(200);
      renameSync("queue/doing/" + job, "queue/done/" + job);
      note("end", job, who, release);
      if (stopping) break;
    }
    await Bun.sleep(20);
  }
  note("down", who, release);
}

await (process.argv[2] === "web" ? web() : work());
`;
const YML = dockerYml(
  "shop",
  `shared: {dirs: [queue]}
command: exec bun queue.ts web
processes:
  worker: {command: exec bun queue.ts work, healthCheck: {stayUp: 1s}}
cron:
  - {schedule: "* * * * *", command: 'echo "tick of $DP_RELEASE in $DP_PROCESS, version $(cat version)"', name: tick}
  - {schedule: "${FAR}", command: 'echo "$DP_PROCESS of $DP_RELEASE, version $(cat version)"', name: hand}
  - {schedule: "${FAR}", command: "echo no luck; exit 3", name: bad}
`,
);
const DOCKERFILE = "ARG BASE\nFROM ${BASE}\nWORKDIR /app\nCOPY queue.ts version ./\nEXPOSE 8080\n";

describe.skipIf(why !== null)(`processes in containers${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: DockerBox;
  beforeAll(async () => {
    box = await dockerSandbox();
    const files = { "deploy.yml": YML, Dockerfile: DOCKERFILE, "queue.ts": QUEUE, version: "1\n", "server.ts": null };
    await box.commit(files);
  });
  afterAll(() => box?.stop());

  const live = () => box.link("current")!;
  const notes = () => readNotes(box.base, "shared/queue");
  const must = async (...argv: string[]) => {
    const { code, text, stdout } = await box.dp(...argv);
    expect(`${code}${code === 0 ? "" : `\n${text}`}`).toBe("0");
    return stdout;
  };
  const ids = (workers: number) => [
    live(),
    ...Array.from({ length: workers }, (_, index) => `${live()}.worker.${index + 1}`),
  ];
  /** Without jobs: these come and go by the clock. */
  const running = async () => (await box.running()).filter((id) => !id.includes(".cron.")).sort();
  /** The live release's containers run and no others, by the engine, by dp and by the notes of the workers. */
  const expectWell = async (workers: number) => {
    expect(await running()).toEqual(ids(workers));
    const all = JSON.parse(await must("ps", "shop", "--json")) as ProcessRow[];
    const rows = all.filter(({ process }) => !process.startsWith("cron."));
    expect(rows.map(({ process, state, release }) => `${process} ${state} ${release}`)).toEqual(
      [
        "web.1",
        ...ids(workers)
          .slice(1)
          .map((id) => id.slice(live().length + 1)),
      ].map((name) => `${name} running ${live()}`),
    );
    await until("the workers say that they are up", () => Object.keys(upBy(notes().notes)).length === workers);
    expect(upBy(notes().notes)).toEqual(
      Object.fromEntries(
        ids(workers)
          .slice(1)
          .map((id) => [id.slice(live().length + 1), live()]),
      ),
    );
    expect(JSON.parse(await must("status", "shop", "--json"))).toMatchObject({ isHealthy: true, strays: [] });
    expect(await box.answer()).toBe(live());
  };

  test("a push starts web, and a worker that has no port", async () => {
    const { code, text } = await box.push();
    expect(`${code} ${text}`).toMatch(/^0 [\s\S]*workers .* worker\.1, cron tick runs at \* \* \* \* \*/);
    await expectWell(1);
  });

  test("deploys and scaling under load: every job is done once, no worker runs twice, none of an old release is left", async () => {
    const load = addJobs(box.port, 250);
    try {
      await must("scale", "shop", "worker=3");
      await expectWell(3);
      for (let count = 2; count <= 3; count++) {
        await box.release({ version: `${count}\n` });
        await expectWell(3);
      }
      await must("scale", "shop", "worker=1");
      await expectWell(1);
      await must("scale", "shop", "worker=2");
      await expectWell(2);
      await must("restart", "shop", "worker.2");
      await expectWell(2);
    } finally {
      await load.stop();
    }
    await until("all jobs are done", () => notes().left === 0);
    expect(load.failures).toEqual([]);
    expect(load.jobs.length).toBeGreaterThan(20);
    await until("the last end is noted", () => faultsOf(notes().notes, load.jobs).length === 0);
  });

  test("a worker that crashes at boot fails the push, and the old ones go on", async () => {
    const before = live();
    await box.commit({ "queue.ts": QUEUE.replace('note("up"', 'throw new Error("there is no queue");\n  note("up"') });
    const { code, text } = await box.push();
    expect([code, text]).toEqual([1, expect.stringMatching(/FAILED at workers: shop@\S+\.worker\.\d /)]);
    expect(text).toContain("there is no queue");
    expect(text).not.toContain("undo failed");
    expect(live()).toBe(before);
    await expectWell(2);
    expect(await must("logs", "shop", "worker", "--failed")).toMatch(/ worker\.\d\[\S+\]: .*there is no queue$/m);
    const ready = await must("logs", "shop", "worker.2", "-n", "1", "--grep", "ready", "--since", "1h");
    expect(ready).toEndWith(` worker.2[${before}]: ready worker.2 ${before}\n`);
    await box.git("reset", "--quiet", "--hard", "HEAD~1");
  });

  test("rollback takes the workers along, and stop and start heed one kind", async () => {
    const last = live();
    await must("rollback", "shop");
    expect(live()).not.toBe(last);
    await expectWell(2);
    await must("stop", "shop", "worker");
    expect(await running()).toEqual([live()]);
    expect(upBy(notes().notes)).toEqual({});
    expect(await must("reconcile", "shop")).toContain("nothing to do");
    await must("start", "shop");
    await expectWell(2);
  });

  test("cron runs in a container of the live image, by hand and by the clock", async () => {
    const entry = async (name: string) =>
      (JSON.parse(await must("cron", "shop", "--json")) as CronRow[]).find((row) => row.name === name)!;
    const said = `cron.hand of ${live()}, version 2\n`;
    for (let time = 1; time <= 2; time++)
      expect(await box.dp("cron", "run", "shop", "hand")).toMatchObject({ code: 0, stdout: said });
    expect(await box.dp("cron", "run", "shop", "bad")).toMatchObject({ code: 6, stdout: "no luck\n" });
    expect((await entry("bad")).last).toMatchObject({ code: 3, detail: "exited with code 3", release: live() });
    const since = new Date().toISOString();
    const deadline = performance.now() + 120_000;
    while (!(((await entry("tick")).last?.endedAt ?? "") > since)) {
      expect(performance.now()).toBeLessThan(deadline);
      await Bun.sleep(500);
    }
    expect((await entry("tick")).last).toMatchObject({ code: 0, release: live() });
    // Their containers are gone, what they said is not.
    const logs = async (name: string) =>
      (await must("logs", "shop", name))
        .split("\n")
        .filter(Boolean)
        .map((line) => line.replace(/^\S+Z /, ""));
    expect(await logs("cron.hand")).toEqual(Array(2).fill(`cron.hand[${live()}]: ${said.trimEnd()}`));
    expect((await logs("cron.tick"))[0]).toBe(`cron.tick[${live()}]: tick of ${live()} in cron.tick, version 2`);
    expect(await logs("cron.bad")).toEqual([`cron.bad[${live()}]: no luck`]);
    const left = () => box.engine.must("container", "ls", "--all", "--quiet", "--filter=name=cron");
    await until("no job is under way", async () => (await left()) === "");
    await expectWell(2);
  });

  test("after a power cut the engine brings up the live web and workers, and nothing else", async () => {
    await box.engine.halt("cut");
    await box.engine.start();
    await until("all of them are back", async () => (await running()).length === 3);
    expect(await running()).toEqual(ids(2));
    await until("it answers", () =>
      box.answer().then(
        (text) => text === live(),
        () => false,
      ),
    );
    expect(await must("reconcile", "shop")).toContain("nothing to do");
  });

  test("destroy takes all of them away", async () => {
    await must("destroy", "shop", "--yes");
    expect(await box.engine.must("container", "ls", "--all", "--quiet")).toBe("");
    expect(await box.engine.must("image", "ls", "--quiet", "dp/*")).toBe("");
  });
});
