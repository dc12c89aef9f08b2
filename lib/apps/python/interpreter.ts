// The python that an app runs on: which are on PATH, which the commit asks for, which one is used.
import { readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import type { Place, Seeker } from "../../contracts/app-type.ts";
import { readCommitted } from "../../git/committed.ts";
import { codeOf, DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { answerOf, isExecutable, pathFolders } from "../../host/program.ts";
import { howToInstall, runtimeBins } from "../../host/runtime-folder.ts";
import { readPyproject } from "./pyproject.ts";
import {
  compareVersions,
  parseRequiresPython,
  parseVersionFile,
  versionText,
  type Version,
  type Wish,
} from "./version.ts";

/** A python that works. */
export interface Interpreter {
  /** The program itself, absolute, with links resolved. */
  executable: string;
  version: Version;
  /** False for an alpha, beta or release candidate. */
  isFinal: boolean;
  /** Whether it can make a venv with pip; Debian has that in a package of its own. */
  hasVenv: boolean;
}

const NAME = /^python(?:3(?:\.\d+)?)?$/;
// JSON is written by hand: without importing json, importlib.util and site, python answers in half the time.
const PROBE = [
  "import sys, os",
  "from importlib.machinery import PathFinder",
  "path = os.path.realpath(getattr(sys, '_base_executable', '') or sys.executable).translate({34: '\\\\\"', 92: '\\\\\\\\'})",
  "facts = sys.version_info[3] == 'final', all(map(PathFinder.find_spec, ('venv', 'ensurepip')))",
  "print('[\"%s\", %s, %s, %s]' % (path, list(sys.version_info[:3]), *(str(fact).lower() for fact in facts)))",
];

/** Every python, python3 and python3.N on a PATH, each program once, in PATH's order. */
export async function candidates(path: string): Promise<string[]> {
  const found = new Map<string, string>();
  for (const folder of pathFolders(path)) {
    const names = await readdir(folder).catch((error) => {
      if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return [];
      throw error;
    });
    for (const name of names.filter((file) => NAME.test(file)).sort()) {
      const file = join(folder, name);
      if (!(await isExecutable(file))) continue;
      const real = await realpath(file);
      if (!found.has(real)) found.set(real, file);
    }
  }
  return [...found.values()];
}

const number = v.pipe(v.number(), v.integer(), v.minValue(0));
// The program may be the app's own, in its home: any other output means that it is no python.
const Said = v.pipe(
  v.string(),
  v.parseJson(),
  v.tuple([v.string(), v.tuple([number, number, number]), v.boolean(), v.boolean()]),
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
 * Throws DpError "host" with the installed versions when none fits, DpError "config" when a condition is unreadable.
 */
export async function findInterpreter(place: Place, io: Io): Promise<Interpreter> {
  const wishes = await readWishes(place);
  const fits = (found: Interpreter) => wishes.every((wish) => wish.fits(found.version));
  const onPath = await interpreters(place.env["PATH"] ?? "", place, io);
  const best = newest(onPath.filter(fits));
  if (best) return best;
  const more = await interpreters((await runtimeBins("python")).join(":"), place, io);
  return newest(more.filter(fits)) ?? missing(wishes, [...onPath, ...more]);
}

/** Every python on a PATH that works for the user in question. */
export async function interpreters(path: string, seeker: Seeker, io: Io): Promise<Interpreter[]> {
  const files = await candidates(path);
  return (await Promise.all(files.map((file) => probe(file, seeker, io)))).filter((found) => found !== null);
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
