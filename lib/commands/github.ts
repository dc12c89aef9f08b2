// `dp init --github`: the workflow that deploys each push to GitHub, to the server that the folder's remote leads to.
import { yamlScalar } from "../config/yaml-edit.ts";
import { placeOf } from "../remote/address.ts";
import { here } from "../remote/launch/hands.ts";
import { render, template } from "../host/template.ts";

export const WORKFLOW = ".github/workflows/deploy.yml";

/** Its text, what to check in it, and what to type next. */
export interface Workflow {
  text: string;
  edit: string[];
  next: string[];
}

/** The workflow for an app whose code is on a branch. */
export async function workflowFor(dir: string, app: string, branch: string): Promise<Workflow> {
  const server = await serverIn(dir);
  const at = server ?? "SERVER";
  const remote = at.includes(":") ? `ssh://dp@${at}/${app}` : `dp@${at}:${app}`;
  return {
    text: render(await template("github/deploy.yml"), { app, branch: yamlScalar(branch), remote }),
    edit: server === null ? [`${WORKFLOW}: SERVER stands for the address of your server`] : [],
    next: [
      `ssh root@${at.replace(/:\d+$/, "")} dp keys new ci --app ${app} --role push`,
      "put what it prints into the repository on GitHub: the secret DP_KEY, and the variable DP_KNOWN_HOSTS",
      `git add ${WORKFLOW}`,
      'git commit -m "Deploy from GitHub"',
      "git push",
    ],
  };
}

// They become words of a script.
const PLAIN = /^\w[\w.-]*$/;

/** The server of the folder's remotes, `HOST` or `HOST:PORT`: that of production, else the only one; null: none. */
async function serverIn(dir: string): Promise<string | null> {
  if (Bun.which("git") === null) return null;
  const { text } = await here("git", "-C", dir, "remote", "-v");
  const found = new Map<string, string>();
  for (const [, name, url] of text.matchAll(/^(\S+)\t(.+) \(push\)$/gm)) {
    const { host, port } = placeOf(url!)?.server ?? { host: "" };
    if (PLAIN.test(host)) found.set(name!, port === undefined ? host : `${host}:${port}`);
  }
  const servers = new Set(found.values());
  return found.get("production") ?? (servers.size === 1 ? [...servers][0]! : null);
}
