// What to type while an app has no live release; that depends on what was pushed and how the last deploy ended.
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { newestRun } from "./history.ts";
import { git } from "../git/git.ts";
import { tipOf } from "../git/ref.ts";

/** How to get a first release live, as a hint: `push to deploy: git push production main`. */
export async function firstDeploy(app: App): Promise<string> {
  const { name, places, server } = app;
  const last = (await newestRun(app))?.state;
  if (last === "failed") return `dp logs ${name} --deploy shows why the last deploy failed; mend it, and push again`;
  if (last === "running" || last === "waiting") return `dp logs ${name} --deploy -f`;
  if (last === "unfinished") return `dp resume ${name}`;
  const { branch } = server;
  const { repo } = places;
  if ((await tipOf(repo, `refs/heads/${branch}`)) !== "" || (await hasOrigin(repo))) return `dp deploy ${name}`;
  const [stored] = await branches(repo);
  if (stored === undefined) return `push to deploy: git push production ${branch}`;
  return `${stored} is stored, but ${name} deploys ${branch}: git push production ${stored}:${branch}`;
}

/** The error of a command that needs a live release. */
export const nothingLive = async (app: App): Promise<DpError> =>
  new DpError("usage", `${app.name} has no live release yet`, { hint: await firstDeploy(app) });

/** The ref of the deploy branch. Throws DpError "usage" when nothing was pushed to it. */
export async function deployRef(app: App): Promise<string> {
  const { branch } = app.server;
  const ref = `refs/heads/${branch}`;
  if ((await tipOf(app.places.repo, ref)) !== "") return ref;
  throw new DpError("usage", `${app.name} has no commit on ${branch}, which it deploys`, {
    hint: await firstDeploy(app),
  });
}

const hasOrigin = async (repo: string) =>
  (await git(repo, ["config", "--get", "remote.origin.url"], { check: false })).code === 0;

async function branches(repo: string): Promise<string[]> {
  const words = ["for-each-ref", "--sort=-committerdate", "--format=%(refname:lstrip=2)", "refs/heads"];
  const { text } = await git(repo, words, { check: false });
  return text.split("\n").filter(Boolean);
}
