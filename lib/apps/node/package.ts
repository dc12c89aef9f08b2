// package.json: the fields that dp reads, validated once.
import { DpError } from "../../errors.ts";
import { readCommitted } from "../../git/committed.ts";
import type { Tree } from "../../git/tree.ts";

/** The relevant fields of a package.json; those of a wrong type count as missing, as in npm. */
export interface Package {
  name: string | undefined;
  version: string | undefined;
  main: string | undefined;
  /** Name -> shell line. */
  scripts: Readonly<Record<string, string>>;
  engines: Readonly<Record<string, string>>;
  /** `pnpm@9.1.0+sha512.…`, as it is written. */
  packageManager: string | undefined;
  /** Name -> range, of everything that an install without development dependencies needs. */
  dependencies: Readonly<Record<string, string>>;
  devDependencies: Readonly<Record<string, string>>;
  /** Patterns of the folders with other packages. */
  workspaces: readonly string[];
  /** `config`, for npm_package_config_NAME. */
  config: Readonly<Record<string, string>>;
  /** The whole file. */
  json: Readonly<Record<string, unknown>>;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

function texts(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, entry]) => {
      const isScalar = typeof entry === "string" || typeof entry === "number" || typeof entry === "boolean";
      return isScalar ? [[key, String(entry)]] : [];
    }),
  );
}

/** Parses a package.json; `path` is for the message. Throws DpError "config" when it is no JSON object. */
export function parsePackage(source: string, path = "package.json"): Package {
  let json: unknown;
  let hasNul = false;
  try {
    json = JSON.parse(source.replace(/^\uFEFF/, ""), (key, value: unknown) => {
      hasNul ||= key.includes("\0") || (typeof value === "string" && value.includes("\0"));
      return value;
    });
  } catch (cause) {
    throw new DpError("config", `${path}: not valid JSON (${(cause as Error).message})`, { cause });
  }
  // Names, versions and scripts become arguments and variables of processes, which end at a NUL.
  if (hasNul) throw new DpError("config", `${path}: has a NUL character (\\u0000)`);
  if (!isObject(json)) throw new DpError("config", `${path}: must be a JSON object`);
  const workspaces = isObject(json["workspaces"]) ? json["workspaces"]["packages"] : json["workspaces"];
  return {
    name: text(json["name"]),
    version: text(json["version"]),
    main: text(json["main"]),
    scripts: texts(json["scripts"]),
    engines: texts(json["engines"]),
    packageManager: text(json["packageManager"]),
    dependencies: { ...texts(json["dependencies"]), ...texts(json["optionalDependencies"]) },
    devDependencies: texts(json["devDependencies"]),
    workspaces: Array.isArray(workspaces) ? workspaces.filter((entry) => typeof entry === "string") : [],
    config: texts(json["config"]),
    json,
  };
}

/** The package.json of a commit, or null when there is none. Throws DpError "config". */
export async function readPackage(tree: Tree): Promise<Package | null> {
  const source = await readCommitted(tree, "package.json");
  return source === null ? null : parsePackage(source);
}
