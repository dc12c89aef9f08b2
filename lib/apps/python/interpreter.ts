// The python that an app runs on: which are on PATH, which the commit asks for, which one is used.
import { readdir, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import type { Place, Seeker } from "../../contracts/app-type.ts";
import { readCommitted } from "../../git/committed.ts";
import { codeOf, DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { answerOf, isExecutable, pathFolders } from "../../host/program.ts";
import { howToInstall, runtimeBins } from "../../host/runtime-folder.ts";
import { knownTo, type Interpreter, type Known } from "./known.ts";
import { readPyproject } from "./pyproject.ts";
import { compareVersions, parseRequiresPython, parseVersionFile, versionText, type Wish } from "./version.ts";

const NAME = /^python(?:3(?:\.\d+)?)?$/;
/** The folder of a version: `3.13.1`. */
const VERSION = /^3(?:\.\d+)+$/;
// JSON is written by hand: without importing json, importlib.util and site, python answers in half the time.
const PROBE = [
  "import sys, os",
  "from importlib.machinery import PathFinder",
  "path = os.path.realpath(getattr(sys, '_base_executable', '') or sys.executable).translate({34: '\\\\\"', 92: '\\\\\\\\'})",
  "facts = sys.version_info[3] == 'final', all(map(PathFinder.find_spec, ('venv', 'ensurepip')))",
  "print('[\"%s\", %s, %s, %s]' % (path, list(sys.version_info[:3]), *(str(fact).lower() for fact in facts)))",
];

/** The programs on a PATH that may be a python, in PATH's order. */
export interface Candidates {
  programs: string[];
  /** What a version manager puts in place of a python: slow, and its answer depends on settings and on the commit. */
  shims: string[];
}

/** Every python, python3 and python3.N on a PATH, each program once. Behind shims the interpreters themselves count. */
export async function candidates(path: string): Promise<Candidates> {
  const [programs, shims] = [new Map<string, string>(), new Map<string, string>()];
  for (const folder of pathFolders(path)) {
    const isShims = basename(folder) === "shims";
    if (isShims) for (const bin of await binsBehind(folder)) await addFrom(bin, programs);
    await addFrom(folder, isShims ? shims : programs);
  }
  return { programs: [...programs.values()], shims: [...shims.values()] };
}

async function addFrom(folder: string, found: Map<string, string>): Promise<void> {
  for (const name of (await namesOf(folder)).filter((file) => NAME.test(file))) {
    const file = join(folder, name);
    if (!(await isExecutable(file))) continue;
    const real = await realpath(file);
    if (!found.has(real)) found.set(real, file);
  }
}

/** Where pyenv, asdf and mise keep the pythons that their shims lead to: versions as of CPython, no environments. */
async function binsBehind(shims: string): Promise<string[]> {
  const homes = [join(dirname(shims), "versions"), join(dirname(shims), "installs/python")];
  const found = await Promise.all(
    homes.map(async (home) =>
      (await namesOf(home)).filter((name) => VERSION.test(name)).map((name) => join(home, name, "bin")),
    ),
  );
  return found.flat();
}

async function namesOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return [];
    throw error;
  }
}

/** The longest path. */
const LONGEST = 4096;
const number = v.pipe(v.number(), v.integer(), v.minValue(0));
// The program may be the app's own, in its home: any other output means that it is no python.
const Said = v.pipe(
  v.string(),
  v.parseJson(),
  v.tuple([v.pipe(v.string(), v.maxLength(LONGEST)), v.tuple([number, number, number]), v.boolean(), v.boolean()]),
);

async function probe(file: string, place: Seeker, io: Io): Promise<Interpreter | null> {
  const answer = await answerOf([file, "-I", "-S", "-c", PROBE.join("\n")], place, io);
  const line = answer?.split("\n").find((text) => text.startsWith("["));
  const said = v.safeParse(Said, line);
  if (!said.success) return null;
  const [executable, version, isFinal, hasVenv] = said.output;
  return version[0] === 3 ? { executable, version, isFinal, hasVenv } : null;
}

/** The conditions on python: .python-version or runtime.txt, and requires-python. Throws DpError "config". */
export async function readWishes(place: Pick<Place, "tree">): Promise<Wish[]> {
  const wishes: Wish[] = [];
  for (const path of [".python-version", "runtime.txt"]) {
    const text = await readCommitted(place.tree, path, "by mark");
    const wish = text === null ? null : parseVersionFile(path, text);
    if (wish) wishes.push(wish);
    if (text !== null) break;
  }
  const required = (await readPyproject(place.tree))?.requiresPython;
  if (required != null) wishes.push(parseRequiresPython(required));
  return wishes;
}

/**
 * The newest python on place.env.PATH that satisfies the commit, otherwise the newest one installed by `dp runtimes`.
 * Shims are asked last, when no interpreter fits. Throws DpError "host" with the installed versions when none fits,
 * DpError "config" when a condition is unreadable.
 */
export async function findInterpreter(place: Place, io: Io): Promise<Interpreter> {
  const wishes = await readWishes(place);
  const known = await knownTo(place);
  const all: Interpreter[] = [];
  const bestOf = async (files: readonly string[], memory?: Known) => {
    const found = await asked(files, place, io, memory);
    all.push(...found);
    return newest(found.filter(({ version }) => wishes.every((wish) => wish.fits(version))));
  };
  const { programs, shims } = await candidates(place.env["PATH"] ?? "");
  const runtimes = async () => (await candidates((await runtimeBins("python")).join(":"))).programs;
  const best = (await bestOf(programs, known)) ?? (await bestOf(shims)) ?? (await bestOf(await runtimes(), known));
  await known.save();
  return best ?? missing(wishes, all);
}

/** Every python on a PATH that works for the user in question. */
export async function interpreters(path: string, seeker: Seeker, io: Io): Promise<Interpreter[]> {
  const { programs, shims } = await candidates(path);
  return asked([...programs, ...shims], seeker, io);
}

async function asked(files: readonly string[], seeker: Seeker, io: Io, known?: Known): Promise<Interpreter[]> {
  const answers = files.map(async (file) => {
    const before = (await known?.of(file)) ?? null;
    const said = before ?? (await probe(file, seeker, io));
    // Debian brings venv in a package of its own, which changes nothing of the program.
    if (before === null && said?.hasVenv) await known?.note(file, said);
    return said;
  });
  return (await Promise.all(answers)).filter((found) => found !== null);
}

/** The newest one, final versions first. The sort is stable: of equals the first counts. */
export const newest = (found: readonly Interpreter[]): Interpreter | undefined =>
  [...found].sort((a, b) => Number(b.isFinal) - Number(a.isFinal) || compareVersions(b.version, a.version))[0];

function missing(wishes: readonly Wish[], all: readonly Interpreter[]): never {
  const installed = [...new Set(all.map((found) => versionText(found.version)))].join(", ");
  const [first] = wishes;
  const command = first ? howToInstall("python", first.asked) : "";
  if (all.length === 0) {
    const hint = ["apt install python3 python3-venv", ...(first ? [command] : [])].join(", or: ");
    throw new DpError("host", "there is no python3 on the app's PATH", { hint });
  }
  const wished = wishes.map((wish) => `${wish.text} (${wish.from})`).join(" and ");
  throw new DpError("host", `the app wants python ${wished}, this server has ${installed}`, {
    hint: first ? `${command}, or change ${first.from}` : "apt install python3 python3-venv",
  });
}
