// How variables reach a container: through the docker command's own environment, so that no process list shows a value.
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DpError } from "../errors.ts";
import { removeFile, writeFileAtomic } from "../host/files.ts";
import { places } from "../paths.ts";
import type { InstanceName } from "../host/instance.ts";

// Variables about the server; in a container the image sets them.
const isServers = ([key, value]: [string, string]) =>
  key === "PATH" || key === "HOME" || (key === "LANG" && value === "C.UTF-8");

// Names that docker or podman would interpret themselves, as root, and those that make their C library load code.
const HEEDED =
  /^(?:GCONV_PATH|GETCONF_DIR|GLIBC_TUNABLES|HOSTALIASES|LOCALDOMAIN|LOCPATH|NIS_PATH|NLSPATH|RES_OPTIONS|RESOLV_HOST_CONF|TZDIR)$|^(?:LD|MALLOC)_|^(?:DOCKER|BUILDKIT|BUILDX|CONTAINERS?|PODMAN|BUILDAH|STORAGE|REGISTRY|XDG|GO|SSL|LC)_|^(?:GO[A-Z]*|TMPDIR|TZ|LANG)$|_PROXY$/i;

/** The variables that a container gets of an instance's. */
export const ownVariables = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).filter((entry) => !isServers(entry));

/** Options of `docker create` and `docker run`, and the environment that they need. */
export interface Passed {
  options: string[];
  env: Record<string, string>;
}

/**
 * Runs `use` with the variables passed on. A value whose name the command would interpret goes through a temporary
 * file. Throws DpError "config" for such a value with several lines, which the file cannot hold.
 */
export async function withVariables<T>(
  name: InstanceName,
  values: Readonly<Record<string, string>>,
  use: (passed: Passed) => Promise<T>,
): Promise<T> {
  const all = ownVariables(values);
  const heeded = all.filter(([key]) => HEEDED.test(key));
  const plain = all.filter(([key]) => !HEEDED.test(key));
  const broken = heeded.find(([, value]) => /[\r\n]/.test(value));
  if (broken) throw new DpError("config", `${broken[0]} in the env file must be one line: a container cannot get more`);
  const options = plain.map(([key]) => `--env=${key}`);
  const env = Object.fromEntries(plain);
  if (heeded.length === 0) return use({ options, env });
  const file = variablesFile(name);
  await mkdir(dirname(file), { recursive: true, mode: 0o711 });
  await writeFileAtomic(file, heeded.map(([key, value]) => `${key}=${value}\n`).join(""), 0o600);
  try {
    return await use({ options: [...options, `--env-file=${file}`], env });
  } finally {
    await removeFile(file);
  }
}

/** The temporary file with some of an instance's variables while its container is made. */
export const variablesFile = ({ app, id }: InstanceName) => join(places(app).instances, `${id}.docker.env`);
