// The commands to type after `dp setup`, exactly.
import { hostname } from "node:os";
import { places, root } from "../paths.ts";
import { loginName } from "../host/users.ts";
import type { ServerConfig } from "../config/types.ts";

/** Three commands: two for the machine with the code (unless it was fetched), and one for here. */
export function nextCommands(app: string, { branch }: ServerConfig, url: string | undefined): string[] {
  const { repo } = places(app);
  const dp = root() ? `DP_ROOT=${root()} dp` : "dp";
  if (url !== undefined) return [`${dp} deploy ${app}`, `${dp} status ${app}`, `${dp} logs ${app}`];
  const remote = root() ? repo : `ssh://${loginName()}@${hostname()}${repo}`;
  return [`git remote add production ${remote}`, `git push production ${branch}`, `${dp} status ${app}`];
}
