// uv.lock: the locked packages, and which of them come from the release itself.
import * as v from "valibot";
import { DpError } from "../../errors.ts";
import { parseToml, type Pyproject } from "./pyproject.ts";
import { normalName, requirementName } from "./requirements.ts";

const source = v.record(v.string(), v.unknown());
const dependency = v.object({
  name: v.string(),
  version: v.optional(v.string()),
  source: v.optional(source),
  marker: v.optional(v.string()),
  extra: v.optional(v.array(v.string()), []),
});
const requirement = v.object({ name: v.string(), marker: v.optional(v.string(), "") });
const dependencies = v.optional(v.array(dependency), []);
const groups = v.optional(v.record(v.string(), v.array(dependency)), {});
const file = v.object({ hash: v.optional(v.string()) });
const schema = v.object({
  version: v.literal(1),
  package: v.optional(
    v.array(
      v.object({
        name: v.string(),
        version: v.optional(v.string()),
        source,
        dependencies,
        "optional-dependencies": groups,
        "dev-dependencies": groups,
        metadata: v.optional(v.object({ "requires-dist": v.optional(v.array(requirement), []) })),
        sdist: v.optional(file),
        wheels: v.optional(v.array(file), []),
      }),
    ),
    [],
  ),
});

/** A locked package. `source` has one of the keys registry, git, url, path, directory, editable, virtual. */
export type LockedPackage = v.InferOutput<typeof schema>["package"][number];
/** An edge from one package to another, with the marker under which it holds. */
export type LockedDependency = v.InferOutput<typeof dependency>;

/** Parses a uv.lock. Throws DpError "config" for bad TOML and for an unknown format. */
export function parseUvLock(text: string): LockedPackage[] {
  const result = v.safeParse(schema, parseToml("uv.lock", text));
  if (result.success) return result.output.package;
  const issue = result.issues[0];
  throw new DpError("config", `uv.lock: ${v.getDotPath(issue) ?? "content"}: ${issue.message}`, {
    hint: "uv lock, commit, push",
  });
}

/** The app itself among the locked packages, or undefined in a workspace whose root is no package. */
export function rootOf(packages: readonly LockedPackage[]): LockedPackage | undefined {
  return packages.find((candidate) =>
    ["virtual", "editable", "directory"].some((kind) => candidate.source[kind] === "."),
  );
}

/**
 * Throws DpError "config" when pyproject.toml names a package that the lock was made without: uv would install the others
 * and say nothing. `requires-dist` has what was named, an extra's too; before it a lock left out what a marker excluded.
 */
export function requireNamed({ dependencies: edges, metadata }: LockedPackage, project: Pyproject): void {
  if (project.replacesMetadata) return;
  const listed = metadata?.["requires-dist"].filter(({ marker }) => !/\bextra\s*==/.test(marker));
  const known = [...edges, ...(listed ?? [])].map(({ name }) => normalName(name));
  const names = project.dependencies
    .filter((text) => listed || !text.includes(";"))
    .map((text) => requirementName(text));
  const missing = names.filter((name) => name !== null && !known.includes(name));
  if (missing.length === 0) return;
  throw new DpError("config", `uv.lock is out of date: pyproject.toml has ${missing.join(", ")}, which is not in it`, {
    hint: "uv lock, commit, push",
  });
}

/** Whether a package is downloaded by name and version from an index on the network. */
export const isFromIndex = (locked: LockedPackage): boolean => /^https?:/.test(String(locked.source["registry"] ?? ""));

/** Whether an install uses files of the release's folder: a package there, or the app as a package. */
export function locksLocal(packages: readonly LockedPackage[]): boolean {
  return packages.some(({ source: from }) => {
    if (from["virtual"] === ".") return false;
    const registry = from["registry"];
    return typeof registry === "string" ? !/^https?:/.test(registry) : !("git" in from || "url" in from);
  });
}
