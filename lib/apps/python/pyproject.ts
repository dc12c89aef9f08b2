// pyproject.toml: the parts that define an app's dependencies.
import * as v from "valibot";
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { readCommitted } from "../../git/committed.ts";

const index = v.object({ url: v.string(), default: v.optional(v.boolean(), false) });

const schema = v.object({
  project: v.optional(
    v.object({
      name: v.optional(v.string()),
      "requires-python": v.optional(v.string()),
      dependencies: v.optional(v.array(v.string()), []),
      dynamic: v.optional(v.array(v.string()), []),
    }),
  ),
  "build-system": v.optional(v.unknown()),
  tool: v.optional(
    v.object({
      uv: v.optional(
        v.object({
          package: v.optional(v.boolean()),
          sources: v.optional(v.record(v.string(), v.unknown()), {}),
          index: v.optional(v.array(index), []),
          "dependency-metadata": v.optional(v.unknown()),
          "default-groups": v.optional(v.union([v.array(v.string()), v.literal("all")])),
        }),
      ),
    }),
  ),
});

/** The parts of a pyproject.toml that dp reads. */
export interface Pyproject {
  /** [project] name, as written. */
  name: string | null;
  requiresPython: string | null;
  /** [project] dependencies, as written. */
  dependencies: string[];
  /** Whether an install of the dependencies also builds and installs the app itself. */
  isPackage: boolean;
  /** [tool.uv] sources: package -> where only uv finds it. */
  sources: Record<string, unknown>;
  /** [[tool.uv.index]], `default` replaces the installer's own. */
  indexes: { url: string; default: boolean }[];
  /** [[tool.uv.dependency-metadata]]: a lock may be made from other dependencies than those that are written. */
  replacesMetadata: boolean;
  /** The dependency groups of a plain `uv sync --no-dev`, or "all". */
  groups: string[] | "all";
}

/** Parses TOML; throws DpError "config", which names the file. */
export function parseToml(path: string, text: string): unknown {
  try {
    return Bun.TOML.parse(text);
  } catch (cause) {
    throw new DpError("config", `${path}: ${cause instanceof Error ? cause.message : "not TOML"}`, { cause });
  }
}

/** Parses a pyproject.toml. Throws DpError "config" for bad TOML and for parts of a wrong type. */
export function parsePyproject(text: string): Pyproject {
  const result = v.safeParse(schema, parseToml("pyproject.toml", text));
  if (!result.success) {
    const issue = result.issues[0];
    throw new DpError("config", `pyproject.toml: ${v.getDotPath(issue) ?? "content"}: ${issue.message}`);
  }
  const { project, tool } = result.output;
  const buildsItself =
    result.output["build-system"] !== undefined || (project?.dynamic.includes("dependencies") ?? false);
  return {
    name: project?.name ?? null,
    requiresPython: project?.["requires-python"] ?? null,
    dependencies: project?.dependencies ?? [],
    isPackage: tool?.uv?.package ?? buildsItself,
    sources: tool?.uv?.sources ?? {},
    indexes: tool?.uv?.index ?? [],
    replacesMetadata: tool?.uv?.["dependency-metadata"] !== undefined,
    groups: tool?.uv?.["default-groups"] ?? [],
  };
}

/** The commit's pyproject.toml, or null when there is none. Throws DpError "config". */
export async function readPyproject(tree: Tree): Promise<Pyproject | null> {
  const text = await readCommitted(tree, "pyproject.toml");
  return text === null ? null : parsePyproject(text);
}
