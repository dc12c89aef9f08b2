// A uv.lock as requirements that pip installs exactly: every package pinned and hashed, with its markers.
import { DpError } from "../../errors.ts";
import type { Pyproject } from "./pyproject.ts";
import { isFromIndex, rootOf, type LockedDependency, type LockedPackage } from "./uv-lock.ts";

/** The paths that lead to a package: each is a set of markers that must all hold. */
type Ways = readonly (readonly string[])[];

/** A package, or one of its extras, that the app needs. */
interface Node {
  locked: LockedPackage;
  extra: string | null;
  ways: Ways;
}

/**
 * The text of a requirements file with the packages that the app needs, without dev groups; empty when it needs none.
 * Throws DpError "host" when only uv can install the lock: git, url and path sources, no hashes.
 */
export function pinnedRequirements(packages: readonly LockedPackage[], project: Pyproject): string {
  const root = rootOf(packages);
  if (!root) throw uvNeeded("a workspace without a package of its own");
  const wanted = reach(packages, root, project.groups).filter((node) => node.extra === null && node.locked !== root);
  const lines = wanted.map(({ locked, ways }) => requirement(locked, ways)).sort();
  return [...indexOptions(wanted, project), ...lines].map((line) => `${line}\n`).join("");
}

function uvNeeded(what: string): DpError {
  const hint =
    "install uv on the server, or commit: uv export --frozen --no-dev -o requirements.txt, without the uv.lock";
  return new DpError(
    "host",
    `uv.lock has ${what}, which only uv can install, and there is no uv on this server's PATH`,
    { hint },
  );
}

function requirement(locked: LockedPackage, ways: Ways): string {
  const files = locked.sdist ? [locked.sdist, ...locked.wheels] : locked.wheels;
  const hashes = files.map((file) => file.hash).filter((hash) => hash !== undefined);
  if (!isFromIndex(locked) || locked.version === undefined)
    throw uvNeeded(`${locked.name} from ${Object.keys(locked.source)[0]}`);
  if (hashes.length === 0) throw uvNeeded(`${locked.name} without a hash`);
  const always = ways.some((way) => way.length === 0);
  const marker = ways.map((way) => way.map((part) => `(${part})`).join(" and ")).join(" or ");
  const pin = always ? `${locked.name}==${locked.version}` : `${locked.name}==${locked.version} ; ${marker}`;
  return [pin, ...hashes.map((hash) => `--hash=${hash}`)].join(" ");
}

/** Every node that the root reaches, with all paths to it. It terminates, because paths only become weaker. */
function reach(packages: readonly LockedPackage[], root: LockedPackage, groups: Pyproject["groups"]): Node[] {
  const nodes = new Map<string, Node>();
  const queue: Node[] = [];
  const visit = (locked: LockedPackage, extra: string | null, ways: Ways) => {
    const key = JSON.stringify([locked.name, locked.version, locked.source, extra]);
    const before = nodes.get(key)?.ways ?? [];
    const after = weakest([...before, ...ways]);
    if (nodes.has(key) && after.length === before.length && after.every((way) => before.includes(way))) return;
    const node = { locked, extra, ways: after };
    nodes.set(key, node);
    queue.push(node);
  };
  const follow = (edges: readonly LockedDependency[], ways: Ways) => {
    for (const edge of edges) {
      const target = packages.find((candidate) => isTarget(edge, candidate));
      if (!target)
        throw new DpError("config", `uv.lock: ${edge.name} is needed and not locked`, {
          hint: "uv lock, commit, push",
        });
      const through = edge.marker === undefined ? ways : ways.map((way) => [...new Set([...way, edge.marker!])].sort());
      visit(target, null, through);
      for (const extra of edge.extra) visit(target, extra, through);
    }
  };
  visit(root, null, [[]]);
  for (const group of Object.keys(root["dev-dependencies"])) {
    if (group !== "dev" && (groups === "all" || groups.includes(group))) follow(root["dev-dependencies"][group]!, [[]]);
  }
  for (let node = queue.shift(); node; node = queue.shift()) {
    follow(
      node.extra === null ? node.locked.dependencies : (node.locked["optional-dependencies"][node.extra] ?? []),
      node.ways,
    );
  }
  return [...nodes.values()];
}

/** Without the paths that a shorter one makes redundant. */
function weakest(ways: Ways): Ways {
  return ways.filter(
    (way, at) =>
      !ways.some(
        (other, index) =>
          index !== at && other.every((part) => way.includes(part)) && (other.length < way.length || index < at),
      ),
  );
}

function isTarget(edge: LockedDependency, candidate: LockedPackage): boolean {
  if (candidate.name !== edge.name) return false;
  if (edge.version !== undefined && candidate.version !== edge.version) return false;
  return edge.source === undefined || Bun.deepEquals(edge.source, candidate.source);
}

const plainUrl = (url: string) => url.replace(/\/+$/, "");

/** pip's options for the indexes that pyproject.toml declares and the lock uses. */
function indexOptions(wanted: readonly Node[], project: Pyproject): string[] {
  const used = new Set(wanted.map(({ locked }) => plainUrl(String(locked.source["registry"]))));
  return project.indexes
    .filter((index) => used.has(plainUrl(index.url)))
    .map((index) => `${index.default ? "--index-url" : "--extra-index-url"} ${index.url}`);
}
