// Python apps: an interpreter, a virtual environment shared by content, and the command that starts them.
import { lstat } from "node:fs/promises";
import { join } from "node:path";
import type { AppType, Place, Runtime } from "../contracts/app-type.ts";
import { codeOf } from "../errors.ts";
import type { Tree } from "../git/tree.ts";
import { isOther } from "../host/process/privilege.ts";
import { proposal } from "./python/advice.ts";
import { readDefinition } from "./python/definition.ts";
import { settingsSum } from "./python/variables.ts";
import { findInstaller } from "./python/installer.ts";
import { candidates, findInterpreter, readWishes } from "./python/interpreter.ts";
import { interpreterFolder } from "./python/links.ts";
import runtimes from "./python/runtimes.ts";
import { startCommand } from "./python/start.ts";
import { findUvWorkspace } from "./python/uv-workspace.ts";
import { buildVenv, isComplete, pruneVenvs, venvKey, venvsFolder } from "./python/venv.ts";
import { versionText } from "./python/version.ts";

// Otherwise output before a crash stays in the buffer and never reaches the log.
const env = { PYTHONUNBUFFERED: "1" };

/** Files of which one says what to install. */
const DEFINITIONS = ["uv.lock", "requirements.txt", "pyproject.toml"];
const SIGNS = [...DEFINITIONS, "Pipfile", "manage.py"];

async function isInstalled(runtime: Runtime, program: string): Promise<boolean> {
  if (runtime.dependencies === null) return false;
  try {
    await lstat(join(runtime.dependencies, "bin", program));
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return false;
    throw error;
  }
}

const commandOf = (tree: Tree, runtime: Runtime) => startCommand(tree, (program) => isInstalled(runtime, program));

// An app without dependencies and with its own start command may not use python at all.
async function needsNoPython(place: Place): Promise<boolean> {
  if (place.config.command === undefined || (await readWishes(place)).length > 0) return false;
  const { programs, shims } = await candidates(place.env["PATH"] ?? "");
  return programs.length + shims.length === 0;
}

const python: AppType = {
  name: "python",
  summary: "Python with uv, or venv and pip",
  packages: { "python3-venv": "python3 -c 'import ensurepip, venv'" },
  runtimes,

  async detect(tree) {
    const paths = (await tree.list()).map((entry) => entry.path);
    const because = SIGNS.find((path) => paths.includes(path)) ?? paths.find((path) => /^[^/]+\.py$/.test(path));
    return because === undefined ? null : { ...(await proposal(tree)), because };
  },

  async install(place, io) {
    // All wait for programs. An error in the definition is reported first, and python may not be needed at all.
    const asked = findInterpreter(place, io);
    asked.catch(() => undefined);
    const paths = (await place.tree.list()).map(({ path }) => path);
    const summed = DEFINITIONS.some((path) => paths.includes(path)) ? settingsSum(place, io) : null;
    summed?.catch(() => undefined);
    const definition = await readDefinition(place.tree, place.env, await findUvWorkspace(place));
    if (!definition && (await needsNoPython(place))) {
      io.info("no dependencies, and no python on this server");
      return { path: [], env, dependencies: null };
    }
    const interpreter = await asked;
    const version = versionText(interpreter.version);
    const runsOn = { name: "python", version, program: interpreter.executable };
    if (!definition) {
      io.info(`no dependencies, python ${version}`);
      const bin = await interpreterFolder(place, interpreter, io);
      return { path: bin === null ? [] : [bin], env, dependencies: null, interpreter: runsOn };
    }
    const installer = await findInstaller(place, io);
    const key = venvKey(place, definition, installer, interpreter, await (summed ?? settingsSum(place, io)));
    const venv = join(venvsFolder(place.base), key);
    if (await isComplete(place.base, key)) {
      io.info(`dependencies unchanged (venv ${key})`);
    } else {
      io.info(`installing ${definition.from} with ${installer.name}, python ${version}`);
      if (definition.project?.isPackage)
        io.info("the app is a package, installed anew for each release: dp help python says how it is not");
      await buildVenv(place, key, definition, installer, interpreter, io);
    }
    const own = { ...env, VIRTUAL_ENV: venv };
    return { path: [join(venv, "bin")], env: own, dependencies: venv, interpreter: runsOn };
  },

  // Before a hook that migrates a database, and where no hook can install what is missing: the environment is root's.
  async inspect({ config, tree, user }, runtime) {
    if (config.hooks.preDeploy === undefined || !isOther(user)) return;
    if (config.healthCheck !== undefined && config.command === undefined) await commandOf(tree, runtime);
  },

  // The files of the release only: an environment is bound to its path, and so it is installed for each app.
  async adopt(place, { interpreter }, io) {
    if (interpreter === null) return { runtime: null };
    const { version } = await findInterpreter(place, io);
    const own = versionText(version);
    if (own !== interpreter.version) return `it was built on python ${interpreter.version}, and here it is ${own}`;
    io.info("an environment is bound to its path, so dependencies are installed here");
    return { runtime: null };
  },

  command: ({ tree }, runtime) => commandOf(tree, runtime),

  // By default they would listen on the whole network (gunicorn with $PORT), or on another port (uvicorn).
  listenVariables: (host, port) => ({
    GUNICORN_CMD_ARGS: `--bind=${host}:${port}`,
    UVICORN_HOST: host,
    UVICORN_PORT: String(port),
  }),

  store: venvsFolder,

  prune: pruneVenvs,
};

export default python;
