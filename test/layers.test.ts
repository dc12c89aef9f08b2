// The plan of the house holds: every file has its room, no import leads outwards, none go in a circle.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { isIntoDecisions, roadOfPush } from "./support/climbs.ts";
import { circles, type Import, importsOf, isOutward, layerOf, ORDER, sourceFiles } from "./support/house.ts";

const project = resolve(import.meta.dir, "..");
const sources = sourceFiles();
const imports = sources.flatMap((file) => importsOf(file));
const shown = ({ from, to }: Import) => `${from} -> ${to}`;

test.each(sources)("%s has a place in the plan", (file) => {
  expect(layerOf(file)).not.toBeNull();
});

test.each(ORDER.flat())("%s of the plan exists", (place) => {
  expect(existsSync(join(project, place))).toBe(true);
});

test.each(sources)("%s imports nothing from further out", (file) => {
  expect(importsOf(file).filter(isOutward).map(shown)).toEqual([]);
});

test("no imports go in a circle, those of types and those of later included", () => {
  expect(circles(imports).map((path) => path.join(" -> "))).toEqual([]);
});

test("six loose files at most lie in lib/", () => {
  expect(sources.filter((file) => /^lib\/[^/]+$/.test(file)).length).toBeLessThanOrEqual(6);
});

/** What every app goes through, whatever runs it. */
const CORE = /^(?:steps|lib\/(?:deploy|release|cron|pipeline|health|apps|contracts|config|git|host))\//;

test("the core does not know of swarms", () => {
  const knows = (file: string) => /swarm|Swarm/.test(readFileSync(join(project, file), "utf8"));
  expect(sources.filter((file) => CORE.test(file) && knows(file))).toEqual([]);
});

test.each(sources)("%s imports files that exist, with their extension", (file) => {
  const isFile = (path: string) => statSync(join(project, path), { throwIfNoEntry: false })?.isFile() === true;
  expect(
    importsOf(file)
      .filter(({ to }) => !isFile(to))
      .map(shown),
  ).toEqual([]);
});

/** Climbs of a push: about as many as there are now. `SHOW=1 bun test/support/climbs.ts` lists them. */
const MOST_CLIMBS = 42;

test("a push can be followed from the hook to its first step, and never into a room further out", () => {
  const { files, climbs } = roadOfPush((file) => readFileSync(join(project, file), "utf8"));
  expect(files.has("steps/read.ts")).toBe(true);
  expect(climbs.filter(([from, to]) => isOutward({ from, to })).map((climb) => climb.join(" -> "))).toEqual([]);
  expect(climbs.filter(([, to]) => to === "lib/paths.ts").map((climb) => climb.join(" -> "))).toEqual([]);
  expect(climbs.filter(isIntoDecisions).length).toBeLessThanOrEqual(MOST_CLIMBS);
});

test("nothing of the tests reaches dp", () => {
  expect(imports.filter(({ to }) => to.startsWith("test/")).map(shown)).toEqual([]);
});

describe("what the plan is checked by", () => {
  test("sees an import however it is written", () => {
    const text = `import "../a.ts";\nimport { b } from '../b.ts';\nimport {\n  c,\n} from "./c.ts";\nexport * from "./d.ts";\nimport type { E } from "./e.ts";\nconst f = await import("./f.ts");\ntype G = typeof import("./g.ts");\nconst h = require("./h.ts");\n`;
    expect(importsOf("lib/x/y.ts", text).map(({ to }) => to)).toEqual([
      "lib/a.ts",
      "lib/b.ts",
      "lib/x/c.ts",
      "lib/x/d.ts",
      "lib/x/e.ts",
      "lib/x/f.ts",
      "lib/x/g.ts",
      "lib/x/h.ts",
    ]);
  });

  test("leaves out the line by which a step is a program", () => {
    const text = `if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));\n`;
    expect(importsOf("steps/swap.ts", text)).toEqual([]);
  });

  test.each([
    ["lib/host/io.ts", "lib/config/types.ts", true],
    ["lib/config/types.ts", "lib/host/io.ts", false],
    ["steps/swap.ts", "lib/cli/ask.ts", true],
    ["lib/apps/node.ts", "lib/release/history.ts", true],
    ["lib/apps/node.ts", "lib/apps/python.ts", false],
  ])("tells whether %s -> %s leads outwards", (from, to, expected) => {
    expect(isOutward({ from, to })).toBe(expected);
  });

  test.each(["lib/utils.ts", "lib/new/x.ts", "src/a.ts"])("has no place for %s", (file) => {
    expect(layerOf(file)).toBeNull();
  });

  test("finds a circle, and shows the way round it", () => {
    const edges = ["a b", "b c", "c b", "a d"].map((pair) => pair.split(" ") as [string, string]);
    expect(circles(edges.map(([from, to]) => ({ from, to })))).toEqual([["b", "c", "b"]]);
  });
});
