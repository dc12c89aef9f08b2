// A python for all apps: fetched by uv (which pip fetches if the server has none), and tested before it counts.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { FoundRuntime, Runtimes } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { networkEnv } from "../../host/network.ts";
import { nobody, openToAll, runtimeBins, runtimeFolder } from "../../host/runtime-folder.ts";
import { interpreters, newest } from "./interpreter.ts";
import type { Interpreter } from "./known.ts";
import { parseSpecifiers, versionText, type Version } from "./version.ts";

const MINUTES = 60_000;
const USER = { base: "/", folder: "/" };

/**
 * Whether a version matches the request: `3.12`, `3.12.1`, `>=3.11,<3.13`. Throws DpError "usage" for an invalid
 * request.
 */
function isAsked(wanted: string): (version: Version) => boolean {
  if (/^3(?:\.\d{1,3}){0,2}$/.test(wanted)) {
    const parts = wanted.split(".").map(Number);
    return (version) => parts.every((part, index) => part === version[index]);
  }
  const fits = /^[<>=!~]/.test(wanted) ? parseSpecifiers(wanted) : null;
  if (fits) return fits;
  throw new DpError("usage", `${JSON.stringify(wanted)} is not a version of python`, {
    hint: "dp runtimes install python 3.12",
  });
}

const found = ({ version, executable }: Interpreter): FoundRuntime => {
  return { name: "python", version: versionText(version), program: executable };
};

async function install(wanted: string, io: Io): Promise<FoundRuntime> {
  const fits = isAsked(wanted);
  const { folder, temp } = await runtimeFolder("python");
  try {
    const uv = Bun.which("uv") ?? (await fetchUv(temp, io));
    io.info(`fetching python ${wanted} with uv`);
    await fetchPython(uv, wanted, folder, io);
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
  await openToAll(folder, io);
  const seeker = { ...USER, user: nobody(), env: { PATH: "/usr/bin:/bin" } };
  const bins = await runtimeBins("python");
  const best = newest((await interpreters(bins.join(":"), seeker, io)).filter((one) => fits(one.version)));
  if (best) return found(best);
  throw new DpError("host", `python ${wanted} is in ${folder} now, and does not run on this server`, {
    hint: `try one of ${bins.map((bin) => join(bin, "python3")).join(", ")}`,
  });
}

async function fetchPython(uv: string, wanted: string, folder: string, io: Io): Promise<void> {
  // Keeps uv out of root's own ~/.local/bin.
  const where = { UV_PYTHON_INSTALL_DIR: folder, UV_PYTHON_INSTALL_BIN: "0", UV_PYTHON_DOWNLOADS: "automatic" };
  const options = { env: { ...networkEnv(), ...where }, timeout: 20 * MINUTES, check: false, quiet: true };
  const result = await io.run([uv, "python", "install", "--no-progress", "--", wanted], options);
  if (result.code === 0) return;
  const isUnknown = /no download found|No download/i.test(result.text);
  throw new DpError("command", `uv could not fetch python ${wanted}`, {
    lines: result.text.split("\n").slice(-10),
    hint: isUnknown
      ? "uv python list shows what there is; an older uv does not know the newest"
      : `uv fetches it from github.com; from a mirror: UV_PYTHON_INSTALL_MIRROR=URL dp runtimes install python ${wanted}`,
  });
}

/** Fetches uv from pip's index each time, because only a newer uv knows newer versions of python. */
async function fetchUv(temp: string, io: Io): Promise<string> {
  const python = Bun.which("python3");
  const hint = "apt install python3-venv, or install uv for all users";
  if (python === null) throw new DpError("host", "there is no uv, and no python3 to fetch it with", { hint });
  const venv = join(temp, "uv");
  const options = { env: networkEnv(), timeout: 10 * MINUTES };
  const made = await io.run([python, "-I", "-m", "venv", venv], { ...options, check: false, quiet: true });
  if (made.code !== 0)
    throw new DpError("host", "there is no uv, and this python3 has no venv to fetch it with", {
      lines: made.text.split("\n").slice(-5),
      hint,
    });
  io.info("fetching uv with pip");
  const pip = [join(venv, "bin/python"), "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"];
  const came = await io.run([...pip, "--progress-bar", "off", "uv"], { ...options, check: false, quiet: true });
  if (came.code === 0) return join(venv, "bin/uv");
  throw new DpError("command", "pip could not fetch uv", {
    lines: came.text.split("\n").slice(-10),
    hint: "pip's index must be reachable (pip config list), or install uv for all users",
  });
}

const runtimes: Runtimes = {
  name: "python",
  example: "3.12",
  async find(seeker, io) {
    const path = [seeker.env["PATH"] ?? "", ...(await runtimeBins("python"))].join(":");
    return (await interpreters(path, seeker, io)).map(found);
  },
  install,
};

export default runtimes;
