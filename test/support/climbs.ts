// How far a reader has to climb who follows a push from the hook to its first step.
// `bun test/support/climbs.ts [COMMIT...]` counts it in commits, in the working tree without one; SHOW=1 lists the climbs.
//
// The walk goes from deployingHook in lib/commands/hook.ts along the calls, in the order in which they are written, and
// reads each function once, until steps/read.ts is entered. It is a push that succeeds: what is thrown or caught is left
// out, and so is what is loaded by `await import()` where it is needed: that is not loaded for most pushes. (A module
// that is loaded ahead, by import() alone, is followed.) The first call from one file into another is a move. A move is a
// climb when it leads into a file that was read before, or into a room further out.
//
// Two figures are printed. The first counts every climb. The second leaves out those into files of words, see WORDS:
// what is called there says by its name all that the reader needs, as a function of node:fs does, and decides nothing
// about an app. So nobody who reads the road turns the page for it.
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { isOutward } from "./house.ts";

const project = resolve(import.meta.dir, "../..");
const [START, FIRST, END] = ["lib/commands/hook.ts", "deployingHook", "steps/read.ts"];
/** What runs a step as a module: whoever comes to it is at the first step. */
const AT_A_STEP = /\bstep\.run\(/;

/** Files and rooms of words: text, names, errors, and what wraps a system call. */
const WORDS = [
  "lib/text/",
  "lib/errors.ts",
  ...["files", "link", "lock", "modules", "passwd", "users"].map((name) => `lib/host/${name}.ts`),
  ...["libc", "library", "proc", "process", "reader"].map((name) => `lib/host/process/${name}.ts`),
];

/** Whether a climb is more than looking up a word. */
export const isIntoDecisions = ([, to]: readonly [from: string, to: string]) =>
  !WORDS.some((place) => (place.endsWith("/") ? to.startsWith(place) : to === place));

/** A file as the walk needs it. */
interface Source {
  /** Function, or anything else that is named at the top -> its text. */
  bodies: Map<string, string>;
  /** Name -> the file that it is imported from, and its name there. */
  imports: Map<string, readonly [file: string, name: string]>;
}

const transpiler = new Bun.Transpiler({ loader: "ts" });
const IMPORT = /^import\s+(?:(\w+),?\s*)?(?:\{([^}]*)\}\s*)?from\s*"(\.[^"]*)"/gm;
const TOP = /^(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:function\*?|const|let|var|class)\s+([\w$]+)/;
/** A name that is called, or handed to somebody who calls it. */
const USE = /(?<![.\w$]|\bnew )([A-Za-z_$][\w$]*)(?=\()|(?<=[(,]\s*)([A-Za-z_$][\w$]*)(?=\s*[,)])/g;
/** What a push that succeeds does not come to: an error that is thrown, and the lines that catch one. */
const THROWN = /\bthrow [\s\S]*?;$/gm;
const CAUGHT = /^( *)\} catch .*\{$[\s\S]*?^\1\}/gm;
const PROMISED = /=\s*import\("(\.[^"]*)"\)[\s\S]*?\(\{([^{}]*)\}\)\s*=>/g;

const namesIn = (list: string) =>
  list.split(",").flatMap((part) => {
    const [, name, own = name] = /^\s*([\w$]+)(?:(?:\s+as\s+|:\s*)([\w$]+))?\s*$/.exec(part) ?? [];
    return name === undefined ? [] : [[own!, name] as const];
  });

/** Reads a file's text; types are gone from it, and so are comments. */
function sourceOf(file: string, text: string): Source {
  const whole = transpiler.transformSync(text.replace(/^#!.*/, ""));
  const code = whole.replace(THROWN, ";").replace(CAUGHT, "$1}");
  const from = (path: string) => relative(project, resolve(project, dirname(file), path));
  const found: Source = { bodies: new Map(), imports: new Map() };
  for (const [, first, list = "", path = ""] of code.matchAll(IMPORT)) {
    if (first !== undefined) found.imports.set(first, [from(path), "default"]);
    for (const [own, name] of namesIn(list)) found.imports.set(own, [from(path), name]);
  }
  for (const [, path = "", list = ""] of code.matchAll(PROMISED))
    for (const [own, name] of namesIn(list)) found.imports.set(own, [from(path), name]);
  let name: string | undefined;
  for (const line of code.replace(/"(?:[^"\\\n]|\\.)*"/g, '""').split("\n")) {
    if (/^\S/.test(line) && !/^[})\]]/.test(line)) name = TOP.exec(line)?.[1];
    if (name !== undefined) found.bodies.set(name, `${found.bodies.get(name) ?? ""}${line}\n`);
  }
  return found;
}

/** What the walk has come by. */
export interface Road {
  moves: [from: string, to: string][];
  climbs: [from: string, to: string][];
  files: Set<string>;
}

/** Walks through the sources; `read` answers a file's text. */
export function roadOfPush(read: (file: string) => string): Road {
  const sources = new Map<string, Source>();
  const source = (file: string) => {
    const found = sources.get(file) ?? sourceOf(file, read(file));
    sources.set(file, found);
    return found;
  };
  const road: Road = { moves: [], climbs: [], files: new Set([START]) };
  const seen = new Set<string>();
  const known = new Set<string>();
  const move = (from: string, to: string) => {
    if (from === to || known.has(`${from} ${to}`)) return;
    known.add(`${from} ${to}`);
    road.moves.push([from, to]);
    if (road.files.has(to) || isOutward({ from, to })) road.climbs.push([from, to]);
    road.files.add(to);
  };
  /** Whether the first step was reached. */
  const walk = (file: string, name: string): boolean => {
    const { bodies, imports } = source(file);
    const body = bodies.get(name);
    if (body === undefined || seen.has(`${file} ${name}`)) return false;
    seen.add(`${file} ${name}`);
    for (const [, called, handed] of body.slice(body.indexOf(name) + name.length).matchAll(USE)) {
      const word = (called ?? handed)!;
      const [to, there] = imports.get(word) ?? [file, word];
      if (!/^(lib|steps)\//.test(to) || !source(to).bodies.has(there)) continue;
      move(file, to);
      if (walk(to, there)) return true;
    }
    if (!AT_A_STEP.test(body)) return false;
    road.moves.push([file, END]); // by its contract: the engine knows no step
    road.files.add(END);
    return true;
  };
  if (!walk(START, FIRST)) throw new Error(`the walk from ${FIRST} does not come to ${END}`);
  return road;
}

const textIn = (commit: string) => (file: string) =>
  Bun.spawnSync(["git", "-C", project, "show", `${commit}:${file}`]).stdout.toString();

const byTarget = ([a, b]: [string, string], [c, d]: [string, string]) => b.localeCompare(d) || a.localeCompare(c);

if (import.meta.main) {
  const commits = process.argv.slice(2);
  const roads = commits.length > 0 ? commits.map((commit) => [commit, textIn(commit)] as const) : [];
  const all =
    roads.length > 0 ? roads : [["now", (file: string) => readFileSync(join(project, file), "utf8")] as const];
  for (const [name, read] of all) {
    const { moves, climbs, files } = roadOfPush(read);
    const far = climbs.filter(isIntoDecisions);
    const paths = climbs.filter(([, to]) => to === "lib/paths.ts").length;
    console.log(
      `${name}: ${files.size} files, ${moves.length} moves, ${climbs.length} climbs; ${far.length} of them into more than words, ${paths} into lib/paths.ts`,
    );
    if (process.env["SHOW"]) for (const [from, to] of far.toSorted(byTarget)) console.log(`  ${to} <- ${from}`);
  }
}
