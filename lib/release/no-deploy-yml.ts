// The error for a commit without a deploy.yml for the app: what is nearest to it, or the lines that would suffice.
import { posix } from "node:path";
import type { AppType } from "../contracts/app-type.ts";
import { DpError } from "../errors.ts";
import type { TreeEntry } from "../git/entries.ts";
import type { Tree } from "../git/tree.ts";
import { enoughLines } from "./fit.ts";
import { nearDeployYml } from "./near-names.ts";
import { DEPLOY_YML } from "./own-deploy-yml.ts";

/** The error for a commit without deploy.yml: a file with a similar name, or the lines that would suffice. */
export async function noDeployYml(tree: Tree, app: string, types: readonly AppType[]): Promise<DpError> {
  const what = `the commit has no ${DEPLOY_YML} at its top`;
  const near = nearDeployYml(await tree.list());
  if (near !== null) return nearOnly(await tree.list(), near, app);
  const { because, lines, advice } = await enoughLines(app, tree, types);
  const shown = lines.map((line) => `  ${line}`);
  if (because !== null)
    return new DpError("config", what, {
      lines: [`because of ${because} these lines are enough:`, ...shown, ...lacks(advice)],
      hint: `write them into ${DEPLOY_YML}, then commit it`,
    });
  return new DpError("config", what, {
    lines: ["nothing in it shows how the app starts; with your own command these lines are enough:", ...shown],
    hint: `write them into ${DEPLOY_YML} with the line that starts the app on $DP_HOST:$PORT, then commit it`,
  });
}

/** The error for a commit that has almost a deploy.yml for the app: in a folder, for another app, or of another name. */
function nearOnly(entries: readonly TreeEntry[], near: string, app: string): DpError {
  const right = posix.join(posix.dirname(near), DEPLOY_YML);
  if (near !== right)
    return new DpError("config", `the commit has no ${DEPLOY_YML}, but ${near}`, { hint: `git mv ${near} ${right}` });
  const { kind } = entries.find(({ path }) => path === near)!;
  if (kind === "symlink") return new DpError("config", `${near} is a symlink, not a file`);
  return new DpError("config", `the commit has no ${DEPLOY_YML} with name: ${app}, but ${near} for another app`, {
    hint: `write name: ${app} in the file of this app's folder, or push to the other app's repository`,
  });
}

const lacks = (advice: readonly string[]) =>
  advice.length === 0 ? [] : ["the app itself still lacks:", ...advice.map((what) => `  ${what}`)];
