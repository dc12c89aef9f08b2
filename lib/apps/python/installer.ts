// The commands that make a virtual environment and fill it: with uv if available, otherwise with venv and pip.
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import type { Definition } from "./definition.ts";
import { answerOf, findProgram } from "../../host/program.ts";
import type { Interpreter } from "./known.ts";
import { pinnedRequirements } from "./pinned.ts";
import { rootOf } from "./uv-lock.ts";
import type { Progress } from "../../text/fold.ts";
import { versionText } from "./version.ts";

/** The installer; `uv` is its absolute path. */
export type Installer = { name: "uv"; uv: string } | { name: "pip" };

/** The progress lines of pip and uv. */
export const PROGRESS: Progress = {
  collected: /^Collecting \S/,
  downloaded: /^\s*Downloading \S/,
  "from the cache": /^\s*Using cached \S/,
  "there already": /^Requirement already satisfied/,
  "": /^\s*(?:Preparing metadata|Getting requirements|Installing (?:build|backend) dep|Obtaining dependency|Building wheels? for|Created wheel|Stored in|Successfully built|Installing collected|Processing )|^ [+~-] \S+==/,
  installed: /^Successfully installed (?<words>.*)/,
};

/** The recipe of a venv. */
export interface Recipe {
  argvs: string[][];
  /** Additional variables for these commands. */
  env: Record<string, string>;
  /** A requirements file that must exist at `lockPath` first, or null. */
  requirements: string | null;
}

/** uv if it is on the app's PATH and its user can run it, otherwise pip. */
export async function findInstaller(place: Place, io: Io): Promise<Installer> {
  const uv = await findProgram("uv", place.env["PATH"] ?? "");
  if (uv === null) return { name: "pip" };
  return (await answerOf([uv, "--version"], place, io)) === null ? { name: "pip" } : { name: "uv", uv };
}

/**
 * The commands that build `venv`, all to be run in the release's folder. Throws DpError "host" when the interpreter
 * cannot make a venv, or when only uv can install the definition and is missing.
 */
export function recipe(
  definition: Definition,
  installer: Installer,
  interpreter: Interpreter,
  venv: string,
  lockPath: string,
): Recipe {
  return installer.name === "uv"
    ? withUv(installer.uv, definition, interpreter, venv)
    : withPip(definition, interpreter, venv, lockPath);
}

function withUv(uv: string, definition: Definition, { executable }: Interpreter, venv: string): Recipe {
  // A missing python is our error, which lists the available versions; uv must not download one. The venv gets copies:
  // with links into uv's cache, sealing the venv would change the owner of the cache's files. They are compiled now,
  // because nobody can write to them later.
  const own = { UV_LINK_MODE: "copy", UV_COMPILE_BYTECODE: "1" };
  const env = { UV_PYTHON_DOWNLOADS: "never", UV_PROJECT_ENVIRONMENT: venv, ...own };
  const make = [uv, "venv", "--quiet", "--no-project", "--allow-existing", "--python", executable, venv];
  const install = [uv, "pip", "install", "--no-progress", "--python", `${venv}/bin/python`];
  if (definition.from === "uv.lock") {
    const sync = [uv, "sync", "--no-progress", "--frozen", "--no-dev", "--python", executable];
    const root = definition.isWorkspace ? undefined : rootOf(definition.packages);
    return {
      argvs: [[...sync, ...(root?.source["virtual"] ? ["--no-install-project"] : [])]],
      env,
      requirements: null,
    };
  }
  const hashes = definition.isHashed ? ["--require-hashes"] : [];
  const what =
    definition.from === "requirements.txt" ? [...hashes, "-r", "requirements.txt"] : projectWithUv(definition);
  return { argvs: [make, [...install, ...what]], env, requirements: null };
}

const projectWithUv = ({ project }: Definition): string[] => (project?.isPackage ? ["."] : ["-r", "pyproject.toml"]);

function withPip(definition: Definition, interpreter: Interpreter, venv: string, lockPath: string): Recipe {
  requireNoUv(definition);
  if (!interpreter.hasVenv) throw noVenv(interpreter);
  // -I: without it the release's folder comes first on sys.path, and a logging.py of the app would be pip's.
  const make = [interpreter.executable, "-I", "-m", "venv", venv];
  const pip = [
    `${venv}/bin/python`,
    "-I",
    "-m",
    "pip",
    "install",
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar",
    "off",
  ];
  if (definition.from === "requirements.txt")
    return { argvs: [make, [...pip, "-r", "requirements.txt"]], env: {}, requirements: null };
  if (definition.from === "pyproject.toml") {
    const what = definition.project!.isPackage ? ["."] : definition.project!.dependencies;
    return { argvs: [make, [...pip, "--", ...what]], env: {}, requirements: null };
  }
  const requirements = pinnedRequirements(definition.packages, definition.project!);
  const argvs = [make];
  if (requirements !== "") argvs.push([...pip, "--require-hashes", "--no-deps", "-r", lockPath]);
  if (!rootOf(definition.packages)?.source["virtual"]) argvs.push([...pip, "--no-deps", "--", "."]);
  return { argvs, env: {}, requirements };
}

/** Throws DpError "host" for a definition that only uv can install. */
function requireNoUv(definition: Definition): void {
  const needsUv = definition.from === "pyproject.toml" && usesUvIndex(definition);
  if (needsUv) {
    throw new DpError(
      "host",
      `pyproject.toml has ${needsUv}, which only uv supports, and there is no uv on this server's PATH`,
      {
        hint: "install uv on the server, or commit a requirements.txt",
      },
    );
  }
  if (definition.isWorkspace)
    throw new DpError(
      "host",
      "uv.lock is that of a workspace, which only uv can install, and there is no uv on this server's PATH",
      {
        hint: "install uv on the server, or commit a requirements.txt in the app's folder",
      },
    );
}

function usesUvIndex({ project }: Definition): string | null {
  if (project && Object.keys(project.sources).length > 0) return "[tool.uv.sources]";
  return project && project.indexes.length > 0 ? "[[tool.uv.index]]" : null;
}

function noVenv({ version, executable }: Interpreter): DpError {
  const isDebian = executable.startsWith("/usr/bin/");
  return new DpError("host", `python ${versionText(version)} (${executable}) has no venv with pip`, {
    hint: isDebian
      ? `apt install python${version[0]}.${version[1]}-venv`
      : "install python's venv and ensurepip modules, or uv",
  });
}
