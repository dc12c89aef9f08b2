// The plan of the house: which rooms there are, in which order, and what the imports make of it.
// `bun test/support/house.ts` counts imports against the order, circles, loose files and rooms.
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const project = resolve(import.meta.dir, "../..");

/** The rooms from the outside in: a file imports from its own line or from lower ones. A name with "/" is a folder. */
export const ORDER: readonly (readonly string[])[] = [
  ["bin/"],
  ["lib/bundle/"],
  ["lib/cli.ts", "lib/cli/"],
  ["lib/commands/"],
  ["lib/fleet/"],
  ["lib/doctor/"],
  ["lib/selftest/"],
  ["lib/setup/"],
  ["lib/access/"],
  ["lib/remote/"],
  ["lib/watch/"],
  ["lib/deploy/"],
  ["steps/"],
  ["lib/domains/"],
  ["lib/notify/"],
  ["lib/servers/"],
  ["lib/release/"],
  ["lib/cron/"],
  ["lib/pipeline/"],
  ["lib/health/"],
  ["lib/apps/"],
  ["lib/managers/"],
  ["lib/fronts/"],
  ["lib/registry.ts"],
  ["lib/docker/"],
  ["lib/contracts/"],
  ["lib/config/"],
  ["lib/git/"],
  ["lib/host/"],
  ["lib/main.ts"],
  ["lib/text/"],
  ["lib/errors.ts", "lib/paths.ts"],
];

/** One import, as it stands in a file. */
export interface Import {
  from: string;
  to: string;
}

/** How far out a file is, 0 for the outermost; null: it has no place in the plan. */
export function layerOf(file: string): number | null {
  const isHome = (place: string) => (place.endsWith("/") ? file.startsWith(place) : file === place);
  const found = ORDER.findIndex((places) => places.some(isHome));
  return found === -1 ? null : found;
}

/** The project's own source files, sorted. */
export function sourceFiles(): string[] {
  const patterns = ["bin/*", "lib/**/*.ts", "steps/*.ts"];
  return patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: project })]).sort();
}

// What starts a step as a program stands above it, like bin/dp: that line is not the step's.
const PROGRAM = /^if \(import\.meta\.main\) .*$/gm;
const IMPORT = /(?:^\s*(?:import|export)\s+(?:[^"';]*?\sfrom\s+)?|\b(?:import|require)\(\s*)["'](\.[^"']*)["']/gm;

/** Every file of the project that a file names in an import: of values or types, at its top or when it is called. */
export function importsOf(file: string, text = readFileSync(join(project, file), "utf8")): Import[] {
  const found = [...text.replaceAll(PROGRAM, "").matchAll(IMPORT)];
  return found.map(([, path]) => ({ from: file, to: relative(project, resolve(project, dirname(file), path!)) }));
}

/** Whether an import leads to a room further out. */
export function isOutward({ from, to }: Import): boolean {
  const [here, there] = [layerOf(from), layerOf(to)];
  return here !== null && there !== null && there < here;
}

/** Files that import each other in a circle, each circle once, as the path that closes it. */
export function circles(imports: readonly Import[]): string[][] {
  const next = Map.groupBy(imports, ({ from }) => from);
  const done = new Set<string>();
  const found: string[][] = [];
  const walk = (file: string, path: string[]) => {
    const at = path.indexOf(file);
    if (at >= 0) found.push([...path.slice(at), file]);
    if (at >= 0 || done.has(file)) return;
    for (const { to } of next.get(file) ?? []) walk(to, [...path, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return found;
}

if (import.meta.main) {
  const files = sourceFiles();
  const imports = files.flatMap((file) => importsOf(file));
  const loose = files.filter((file) => /^lib\/[^/]+\.ts$/.test(file));
  const rooms = new Set(files.map((file) => dirname(file)));
  console.log(`${imports.filter(isOutward).length} imports against the order`);
  console.log(`${circles(imports).length} circles`);
  console.log(`${loose.length} loose files in lib/`);
  console.log(`${rooms.size} folders, ${files.length} files, ${imports.length} imports`);
}
