// `dp init --github`: the workflow that deploys each push to GitHub, to the server that the folder's remote leads to.
import { yamlScalar } from "../config/yaml-edit.ts";
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

// The words go into a script: nothing but names, addresses and a port.
const ROOT = /^ssh:\/\/(?:[\w.-]+@)?(\w[\w.-]*(?::\d{1,5})?)\/var\/repos\/[a-z0-9-]+\.git$/;
const SHORT = /^(?:[\w.-]+@(\w[\w.-]*):\/var\/repos\/[a-z0-9-]+\.git|dp@(\w[\w.-]*):[a-z0-9-]+(?:\.git)?)$/;
const GATE = /^ssh:\/\/dp@(\w[\w.-]*(?::\d{1,5})?)\/[a-z0-9-]+(?:\.git)?$/;

/** The server of the folder's remotes, `HOST` or `HOST:PORT`: that of production, else the only one; null: none. */
async function serverIn(dir: string): Promise<string | null> {
  if (Bun.which("git") === null) return null;
  const { text } = await here("git", "-C", dir, "remote", "-v");
  const found = new Map<string, string>();
  for (const [, name, url] of text.matchAll(/^(\S+)\t(\S+) \(push\)$/gm)) {
    const [, ...hosts] = ROOT.exec(url!) ?? SHORT.exec(url!) ?? GATE.exec(url!) ?? [];
    const host = hosts.find((each) => each !== undefined);
    if (host !== undefined) found.set(name!, host);
  }
  const servers = new Set(found.values());
  return found.get("production") ?? (servers.size === 1 ? [...servers][0]! : null);
}
