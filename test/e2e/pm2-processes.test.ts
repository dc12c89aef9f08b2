// Workers and cron under the real pm2, without root: deploys under load, a worker that does not start, jobs.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CronRow } from "../../lib/commands/cron.ts";
import type { ProcessRow } from "../../lib/commands/ps.ts";
import { FAR } from "../support/far-schedule.ts";
import { pm2Folder, pm2Unavailable } from "../support/pm2.ts";
import { addJobs, faultsOf, queueApp, readNotes, upBy } from "../support/queue-app.ts";
import { sandbox, until, type Sandbox } from "../support/sandbox.ts";

// pm2's command takes a second each time, and many on a busy machine.
setDefaultTimeout(180_000);

const why = pm2Unavailable();
const CRON = `cron:
  - {schedule: "* * * * *", command: 'echo "tick of $DP_RELEASE"', name: tick}
  - {schedule: "${FAR}", command: 'echo "year of $DP_RELEASE"', name: year}
  - {schedule: "${FAR}", command: "echo no luck; exit 3", name: bad}
`;

describe.skipIf(why !== null)(`processes under pm2${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = await sandbox("shop");
    const tools = join(dirname(box.root), "tools");
    symlinkSync(Bun.which("node")!, join(tools, "node"));
    symlinkSync(join(await pm2Folder(), "pm2"), join(tools, "pm2"));
    await must("setup", "shop", "--manager", "pm2");
    await must("scale", "shop", "worker=2");
    await box.commit({ ...queueApp("shop", CRON), "server.py": null, say: null });
  });
  afterAll(() => box?.stop());

  const must = async (...argv: string[]) => {
    const { code, text, stdout } = await box.dp(...argv);
    expect(`${code}${code === 0 ? "" : `\n${text}`}`).toBe("0");
    return stdout;
  };
  const live = () => box.link("current")!;
  const expectWell = async (workers: number) => {
    const all = JSON.parse(await must("ps", "shop", "--json")) as ProcessRow[];
    // Jobs come and go by the clock.
    const rows = all.filter(({ process }) => !process.startsWith("cron."));
    const names = ["web.1", ...Array.from({ length: workers }, (_, index) => `worker.${index + 1}`)];
    expect(rows.map(({ process, state, release }) => `${process} ${state} ${release}`)).toEqual(
      names.map((name) => `${name} running ${live()}`),
    );
    for (const { pid, memory } of rows) expect([pid, memory]).toEqual([expect.any(Number), expect.any(Number)]);
    await until(
      "the workers say that they are up",
      () => Object.keys(upBy(readNotes(box.base).notes)).length === workers,
    );
    expect(upBy(readNotes(box.base).notes)).toEqual(Object.fromEntries(names.slice(1).map((name) => [name, live()])));
    expect(JSON.parse(await must("status", "shop", "--json"))).toMatchObject({ manager: "pm2", strays: [] });
  };

  test("pushes under load: every job is done once, no worker runs twice, none of an old release is left", async () => {
    await box.release({});
    await expectWell(2);
    const load = addJobs(box.port, 100);
    try {
      for (let count = 1; count <= 5; count++) {
        await box.release({ version: `${count}` });
        await expectWell(2);
      }
    } finally {
      await load.stop();
    }
    await until("all jobs are done", () => readNotes(box.base).left === 0);
    expect(load.failures).toEqual([]);
    await until("the last end is noted", () => faultsOf(readNotes(box.base).notes, load.jobs).length === 0);
  });

  test("a worker that crashes at boot fails the push, and the old ones go on", async () => {
    const before = live();
    await box.commit({ "worker.py": 'raise SystemExit("there is no queue")\n' });
    const { code, text } = await box.push();
    expect([code, text]).toEqual([1, expect.stringMatching(/FAILED at workers: shop@\S+\.worker\.\d /)]);
    expect(text).toContain("| there is no queue");
    expect(live()).toBe(before);
    await expectWell(2);
    expect(await must("logs", "shop", "worker", "--failed")).toMatch(/ worker\.\d\[\S+\]: there is no queue$/m);
    const ready = await must("logs", "shop", "worker.2", "-n", "1", "--grep", "ready", "--since", "1h");
    expect(ready).toEndWith(` worker.2[${before}]: ready worker.2 ${before}\n`);
    await box.git("reset", "--quiet", "--hard", "HEAD~1");
  });

  test("after everything was killed, dp reconcile brings it back: scale, stop, start, and jobs by hand and by the clock", async () => {
    const ups = () => readNotes(box.base).notes.filter(([what]) => what === "up").length;
    const before = ups();
    await box.cutPower();
    const since = new Date().toISOString();
    await must("reconcile", "shop");
    await until("the workers are up again", () => ups() === before + 2);
    await expectWell(2);
    await must("scale", "shop", "worker=1");
    await expectWell(1);
    await must("stop", "shop", "worker");
    expect(Object.keys(upBy(readNotes(box.base).notes))).toEqual([]);
    expect(await must("reconcile", "shop")).toContain("nothing to do");
    await must("start", "shop");
    await expectWell(1);
    await must("scale", "shop", "worker=2");
    await expectWell(2);
    expect(await box.dp("cron", "run", "shop", "year")).toMatchObject({ code: 0, stdout: `year of ${live()}\n` });
    expect(await box.dp("cron", "run", "shop", "bad")).toMatchObject({ code: 6, stdout: "no luck\n" });
    const last = async () =>
      (JSON.parse(await must("cron", "shop", "--json")) as CronRow[]).find(({ name }) => name === "tick")!.last;
    const deadline = performance.now() + 100_000;
    while (!(((await last())?.endedAt ?? "") > since)) {
      expect(performance.now()).toBeLessThan(deadline);
      await Bun.sleep(500);
    }
    expect(await last()).toMatchObject({ code: 0, release: live() });
    expect(await must("logs", "shop", "cron.tick", "-n", "1")).toEndWith(` cron.tick[${live()}]: tick of ${live()}\n`);
    await expectWell(2);
  });
});
