// The error for a commit without a deploy.yml for the app: what is nearest to it, or the lines that would suffice.
import { posix } from "node:path";
import type { AppType } from "../contracts/app-type.ts";
import { DpError } from "../errors.ts";
import type { Tree } from "../git/tree.ts";
import { quoted } from "../text/text.ts";
import { enoughLines } from "./fit.ts";
import { nearDeployYml } from "./near-names.ts";
import { DEPLOY_YML, deployYmls, nameIn, type OwnDeployYml } from "./own-deploy-yml.ts";

/** The error for a commit without deploy.yml: files for other apps, of similar names, or the lines that would suffice. */
export async function noDeployYml(tree: Tree, app: string, types: readonly AppType[]): Promise<DpError> {
  const others = (await deployYmls(tree)).filter((each) => nameIn(each) !== null);
  if (others.length > 0) return otherApps(others, app);
  const near = nearDeployYml(await tree.list());
  if (near !== null) return almost(near, app);
  const what = `the commit has no ${DEPLOY_YML} at its top`;
  const { because, lines, advice, folders } = await enoughLines(app, tree, types);
  if (folders.length > 0)
    return new DpError("config", what, {
      lines: ["these folders have an app:", ...folders.map((each) => `  ${each}`)],
      hint: `in the one of ${app}: dp init --name ${app}, then commit its ${DEPLOY_YML}`,
    });
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

function otherApps(others: readonly OwnDeployYml[], app: string): DpError {
  const shown = others.map((each) => `${each.path} is for ${quoted(nameIn(each)!)}`).join(", ");
  return new DpError("config", `the commit has no ${DEPLOY_YML} with name: ${app}; ${shown}`, {
    hint: `write name: ${app} in that of this app's folder, or push to the other app's repository`,
  });
}

/** The error for a file that dp would read if it were a plain file of the right name, and for this app. */
function almost(near: string, app: string): DpError {
  const right = posix.join(posix.dirname(near), DEPLOY_YML);
  if (near !== right)
    return new DpError("config", `the commit has no ${DEPLOY_YML}, but ${near}`, { hint: `git mv ${near} ${right}` });
  return new DpError("config", `the commit has no ${DEPLOY_YML} at its top, and ${near} is not one for ${app}`, {
    hint: `it must be a file, not a link, and have the line name: ${app}; dp init writes one`,
  });
}

const lacks = (advice: readonly string[]) =>
  advice.length === 0 ? [] : ["the app itself still lacks:", ...advice.map((what) => `  ${what}`)];
