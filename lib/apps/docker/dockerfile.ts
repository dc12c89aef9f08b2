// The Dockerfile named in deploy.yml: a file of the commit itself.
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { settingsOf } from "../../docker/config.ts";

const COMPOSE = /^(?:docker-)?compose\.ya?ml$/;

/** The path of the Dockerfile, relative to the app's folder. Throws DpError "config" when the commit has none. */
export async function dockerfileOf({ tree, config }: Pick<Place, "tree" | "config">): Promise<string> {
  const path = settingsOf(config)?.file ?? "Dockerfile";
  const entry = (await tree.list()).find((candidate) => candidate.path === path);
  if (entry?.kind === "file" || entry?.kind === "executable") return path;
  if (entry) throw new DpError("config", `${path} is a ${entry.kind}; it must be a file`);
  const compose = await composeFile(tree);
  throw new DpError(
    "config",
    `the commit has no ${path}${compose === null ? "" : `; ${compose} is not read: dp runs one container, built by a Dockerfile`}`,
    { hint: compose === null ? "write one, or name it: docker: {file: …}" : "write a Dockerfile for the web process" },
  );
}

async function composeFile(tree: Tree): Promise<string | null> {
  return (await tree.list()).find(({ path }) => COMPOSE.test(path))?.path ?? null;
}
