// Apps without a virtual environment: a folder in which `python` and `python3` are the chosen interpreter.
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import type { Io } from "../../host/io.ts";
import { findProgram } from "../../host/program.ts";
import type { Interpreter } from "./known.ts";
import { freshFolder, isComplete, keyOf, markComplete, venvsFolder } from "./venv.ts";
import { versionText } from "./version.ts";

const NAMES = ["python", "python3"];

/** Whether both names lead to the interpreter already; on Debian `python` does not exist. */
async function leadsThere(path: string, interpreter: Interpreter): Promise<boolean> {
  const found = await Promise.all(NAMES.map((name) => findProgram(name, path)));
  const real = await Promise.all(found.map((file) => (file === null ? null : realpath(file))));
  return real.every((file) => file === interpreter.executable);
}

/** The folder to put first on PATH, absolute; null when PATH already leads to the interpreter. Safe to repeat. */
export async function interpreterFolder(place: Place, interpreter: Interpreter, io: Io): Promise<string | null> {
  if (await leadsThere(place.env["PATH"] ?? "", interpreter)) return null;
  const python = versionText(interpreter.version);
  const key = keyOf(["links", interpreter.executable, python]);
  const bin = join(venvsFolder(place.base), key, "bin");
  if (await isComplete(place.base, key)) return bin;
  await freshFolder(place, key, io);
  const script = `mkdir "$1" && cd "$1" && for name in ${NAMES.join(" ")}; do ln -s "$2" "$name"; done`;
  await io.run(["sh", "-c", script, "sh", bin, interpreter.executable], { user: place.user, quiet: true });
  await markComplete(place, key, { python, interpreter: interpreter.executable }, io);
  return bin;
}
