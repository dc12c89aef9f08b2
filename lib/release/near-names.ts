// Files of a commit whose names are almost those that dp reads, and an env file that should not be there.
import { posix } from "node:path";
import type { TreeEntry } from "../git/entries.ts";

/** A path that is almost `deploy.yml`, at the top or in a folder, the nearest first; null: there is none. */
export function nearDeployYml(entries: readonly TreeEntry[]): string | null {
  // Not those of hidden folders: .github/workflows/deploy.yml is something else.
  const near = entries.map(({ path }) => path).filter((path) => /^(?:\w[^/]*\/)*\.?deploy\.ya?ml$/i.test(path));
  const depth = (path: string) => path.split("/").length;
  return (
    near.filter((path) => path !== "deploy.yml" && depth(path) <= 3).sort((a, b) => depth(a) - depth(b))[0] ?? null
  );
}

const NEAR_PROCFILE = /^procfile(?:\.txt|\.ya?ml)?$/i;
// Example files are meant to be committed.
const ENV = /^\.env(?:\.(?!.*(?:example|sample|template|dist|defaults?)$)[\w.-]+)?$/;

/** A sentence for each file in the app's folder, `root`, that does not have the effect its name suggests. */
export function nearNames(app: string, root: string, entries: readonly TreeEntry[]): string[] {
  const top = entries.flatMap(({ path }) => (path.includes("/") ? [] : [path]));
  const own = entries.flatMap(({ path }) => {
    const name = posix.relative(root, path);
    return name.includes("/") ? [] : [name];
  });
  const at = (name: string) => posix.join(root, name);
  const notes: string[] = [];
  for (const name of top.filter((path) => path !== "deploy.yml" && /^\.?deploy\.ya?ml$/i.test(path)))
    notes.push(`${name} is not read, deploy.yml is: git rm ${name}`);
  const procfile = own.includes("Procfile") ? undefined : own.find((name) => NEAR_PROCFILE.test(name));
  if (procfile !== undefined)
    notes.push(`${at(procfile)} is not read, a Procfile is: git mv ${at(procfile)} ${at("Procfile")}`);
  for (const name of [...new Set([...top, ...own.map(at)])].filter((path) => ENV.test(posix.basename(path))))
    notes.push(
      `${name} is in the commit, readable by everybody who can read the repository: git rm --cached ${name}; its settings belong on the server: dp env ${app} import`,
    );
  return notes;
}
