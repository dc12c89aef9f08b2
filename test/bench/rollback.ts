// The way back: to a release that still runs, and to one that has to be started.
import { filesOf, withApp } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { dp, push, type Timing } from "./timing.ts";

const ms = { unit: "ms" };

const rows = {
  "warm: dp rollback to the first old answer": { unit: "ms", below: 100 },
  "warm: dp rollback": ms,
  "warm: processor time": ms,
  "warm: switch": { unit: "ms", below: 20 },
  "cold: dp rollback to the first old answer": ms,
  "cold: dp rollback": ms,
};

type Name = keyof typeof rows;

const APP = "bench";

/** Pushes two releases, and goes back and forth between them. */
async function backAndForth(keepWarm: string, options: Options): Promise<Timing[]> {
  const { isQuick, say } = options;
  return withApp(options, APP, ["verifyTime: 0s", `keepWarm: ${keepWarm}`], async (box) => {
    for (const text of ["first", "second"]) {
      await box.commit(filesOf(APP, text));
      await push(box, text);
    }
    const [one, two] = box.ids();
    const timings: Timing[] = [];
    for (let time = 0; time < (isQuick ? 1 : 8); time++) {
      const [id, text] = time % 2 === 0 ? [one!, "first"] : [two!, "second"];
      timings.push(await dp(box, text, "rollback", APP, id));
      const isWarm = box.run().facts["isWarm"] === true;
      if (isWarm !== (keepWarm !== "0s")) throw new Error(`keepWarm is ${keepWarm}, and isWarm was ${isWarm}`);
    }
    say(`rollback, keepWarm ${keepWarm}: ${timings.map(({ firstAnswer }) => Math.round(firstAnswer)).join(", ")} ms`);
    return timings;
  });
}

async function measure(options: Options): Promise<Measured<Name>> {
  const warm = await backAndForth("10m", options);
  const cold = await backAndForth("0s", options);
  const middle = (timings: readonly Timing[], name: "total" | "firstAnswer" | "cpu" | "switchTime") =>
    median(timings.map((timing) => timing[name]));
  const values = {
    "warm: dp rollback to the first old answer": middle(warm, "firstAnswer"),
    "warm: dp rollback": middle(warm, "total"),
    "warm: processor time": middle(warm, "cpu"),
    "warm: switch": middle(warm, "switchTime"),
    "cold: dp rollback to the first old answer": middle(cold, "firstAnswer"),
    "cold: dp rollback": middle(cold, "total"),
  };
  return { values, notes: ["verifyTime is 0 here"] };
}

export default section({ name: "rollback", rows, measure });
