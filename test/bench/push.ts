// From `git push` to the new release: cold and warm, by step, and dp's own share of it.
import { join } from "node:path";
import type { Sandbox } from "../support/sandbox.ts";
import { filesOf, flaskFiles, giveWayToPip, withApp, withFlask } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { appTimes, push, type Timing } from "./timing.ts";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";

const STEPS = PIPELINES.deploy;
const ms = { unit: "ms" };

type Steps = `warm: step ${(typeof STEPS)[number]}`;
const stepRows = Object.fromEntries(STEPS.map((step) => [`warm: step ${step}`, ms])) as Record<Steps, typeof ms>;

const rows = {
  "cold: push": ms,
  "cold: push to the first new answer": ms,
  "warm: push": ms,
  "warm: push to the first new answer": ms,
  "warm: dp's own share (push − verifyTime − boot − end)": { unit: "ms", below: 500 },
  "warm: git alone, to a repository without dp": ms,
  "warm: dp's own share, without git": { unit: "ms", below: 400 },
  "warm: processor time, without the app": ms,
  "warm: the app's boot, alone": ms,
  "warm: the app's end, alone": ms,
  "warm: the app's boot, as dp saw it": ms,
  "warm: before the first step (git, hooks)": ms,
  ...stepRows,
  "warm: after the last step": ms,
  "warm: switch": { unit: "ms", below: 20 },
  "Flask cold: push, pip included": ms,
  "Flask cold: pip (step install)": ms,
  "Flask warm: push": ms,
  "Flask warm: the app's boot, alone": ms,
  "Flask warm: the app's end, alone": ms,
  "Flask warm: dp's own share": { unit: "ms", below: 500 },
  "Flask warm: push to the first new answer": ms,
  "Flask warm: the same, with a boot of 500 ms": { unit: "ms", below: 760 },
};

type Name = keyof typeof rows;

const APP = "bench";
const VERIFY = 200;
const CONFIG = [`verifyTime: ${VERIFY}ms`];

/** The middle of what some pushes have in a field. */
const middle = (timings: readonly Timing[], field: (timing: Timing) => number) => median(timings.map(field));

/** Pushes again and again, something else each time. */
async function warmPushes(count: number, again: (say: string) => Promise<Timing>): Promise<Timing[]> {
  const timings: Timing[] = [];
  for (let number = 0; number < count; number++) timings.push(await again(`warm ${number}`));
  return timings;
}

/** `git push` of a commit to a repository that nothing deploys from; in ms, the median of some times. */
async function gitAlone(box: Sandbox, times: number): Promise<number> {
  const repo = join(box.root, "alone.git");
  await mustGit(box, "init", "--quiet", "--bare", repo);
  await mustGit(box, "push", "--quiet", repo, "main");
  const took: number[] = [];
  for (let time = 0; time < times; time++) {
    await box.commit({ say: `alone ${time}` });
    const begun = performance.now();
    await mustGit(box, "push", "--quiet", repo, "main");
    took.push(performance.now() - begun);
  }
  return median(took);
}

async function mustGit(box: Sandbox, ...words: string[]): Promise<void> {
  const { code, text } = await box.git(...words);
  if (code !== 0) throw new Error(`git ${words.join(" ")} exited with code ${code}:\n${text}`);
}

async function plain(options: Options): Promise<Partial<Record<Name, number>>> {
  const { isQuick, say } = options;
  return withApp(options, APP, CONFIG, async (box) => {
    await box.commit(filesOf(APP, "first"));
    const cold = await push(box, "first");
    const warm = await warmPushes(isQuick ? 1 : 7, async (text) => {
      await box.commit({ say: text });
      return push(box, text);
    });
    say(`push: ${warm.map(({ total }) => Math.round(total)).join(", ")} ms warm`);
    const { boot, end } = await appTimes(box, "/health", isQuick ? 1 : 5);
    const git = await gitAlone(box, isQuick ? 1 : 5);
    const share = middle(warm, (timing) => timing.total) - VERIFY - boot - end;
    const steps = STEPS.map((step) => [`warm: step ${step}`, middle(warm, (timing) => timing.steps[step] ?? 0)]);
    return {
      "cold: push": cold.total,
      "cold: push to the first new answer": cold.firstAnswer,
      "warm: push": middle(warm, (timing) => timing.total),
      "warm: push to the first new answer": middle(warm, (timing) => timing.firstAnswer),
      "warm: dp's own share (push − verifyTime − boot − end)": share,
      "warm: git alone, to a repository without dp": git,
      "warm: dp's own share, without git": share - git,
      "warm: processor time, without the app": middle(warm, (timing) => timing.cpu),
      "warm: the app's boot, alone": boot,
      "warm: the app's end, alone": end,
      "warm: the app's boot, as dp saw it": middle(warm, (timing) => timing.boot),
      "warm: before the first step (git, hooks)": middle(warm, (timing) => timing.before),
      ...(Object.fromEntries(steps) as Record<Steps, number>),
      "warm: after the last step": middle(warm, (timing) => timing.after),
      "warm: switch": middle(warm, (timing) => timing.switchTime),
    };
  });
}

async function flask(options: Options): Promise<Partial<Record<Name, number>>> {
  const { say } = options;
  return withApp(options, APP, CONFIG, async (box) => {
    giveWayToPip(box);
    await box.commit({ "server.py": null, say: null, ...flaskFiles(APP, "first") });
    const cold = await push(box, "first");
    const warm = await warmPushes(5, async (text) => {
      await box.commit(flaskFiles(APP, text));
      return push(box, text);
    });
    say(`push: Flask ${warm.map(({ total }) => Math.round(total)).join(", ")} ms warm`);
    const { boot, end } = await appTimes(box, "/health", 5);
    const total = middle(warm, (timing) => timing.total);
    const firstAnswer = middle(warm, (timing) => timing.firstAnswer);
    return {
      "Flask cold: push, pip included": cold.total,
      "Flask cold: pip (step install)": cold.steps["install"] ?? 0,
      "Flask warm: push": total,
      "Flask warm: the app's boot, alone": boot,
      "Flask warm: the app's end, alone": end,
      "Flask warm: dp's own share": total - VERIFY - boot - end,
      "Flask warm: push to the first new answer": firstAnswer,
      "Flask warm: the same, with a boot of 500 ms": firstAnswer - boot + 500,
    };
  });
}

async function measure(options: Options): Promise<Measured<Name>> {
  const notes = [`verifyTime is ${VERIFY} ms here (default: 3 s); pushes are over the local transport, without ssh`];
  const values = await plain(options);
  return withFlask({ values, notes }, options, flask);
}

export default section({ name: "push", rows, measure });
