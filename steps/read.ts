#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Reads deploy.yml from the commit itself, and refuses a commit that cannot be deployed.
import { posix } from "node:path";
import { readEnvFile } from "../lib/config/env-file.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { ownSource } from "../lib/git/source.ts";
import { hasScopes } from "../lib/host/process/confine.ts";
import { withMainHost } from "../lib/config/main-domain.ts";
import { withProcfile } from "../lib/config/procfile.ts";
import { appTypes } from "../lib/registry.ts";
import { commitProblems } from "../lib/release/commit-problems.ts";
import { nearNames } from "../lib/release/near-names.ts";
import { noDeployYml } from "../lib/release/no-deploy-yml.ts";
import { DEPLOY_YML, deployYmlOf, innerPaths, parseOwn, type OwnDeployYml } from "../lib/release/own-deploy-yml.ts";
import { strayNames } from "../lib/release/processes.ts";
import { ownPart } from "../lib/servers/part.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { commitTree, subtree, type Tree } from "../lib/git/tree.ts";
import type { DeployConfig } from "../lib/config/types.ts";
import type { AppSettings, Declared } from "../lib/config/declared.ts";
import { appSettings } from "../lib/config/kinds.ts";

async function own(tree: Tree, app: string): Promise<OwnDeployYml> {
  const found = await deployYmlOf(tree, app);
  if (found !== null) return found;
  const entry = (await tree.list()).find(({ path }) => path === DEPLOY_YML);
  if (!entry) throw await noDeployYml(tree, app, await appTypes());
  throw new DpError("config", `${DEPLOY_YML} is a ${entry.kind}, not a file`);
}

/** The Procfile is in the app's own folder. */
const withOwnProcfile = (config: DeployConfig, tree: Tree, types: Declared<AppSettings>) =>
  withProcfile(config, config.root === undefined ? tree : subtree(tree, config.root), types[config.type]);

const step = defineStep(import.meta.path, {
  summary: "Read deploy.yml from the commit",
  needs: { app: fact.app, base: fact.base, repo: fact.repo, sha: fact.sha, server: fact.server, group: fact.group },
  provides: { config: fact.config },
  async run({ app, base, repo, sha, server, group }, io) {
    const tree = commitTree(repo, sha, io.signal);
    const name = server.for ?? app;
    const { path, text } = await own(tree, name);
    const types = await appSettings();
    const { config: whole, ignored } = await withOwnProcfile(parseOwn({ path, text }, types, name), tree, types);
    const config = ownPart(whole, group);
    const problems = await commitProblems({ tree, source: ownSource(repo, sha, io.signal) }, config, text, path);
    if (problems.length > 0) throw new DpError("config", `the commit cannot be deployed`, { lines: problems });
    const entries = await tree.list();
    for (const note of nearNames(app, config.root ?? "", entries)) io.warn(note);
    const other = posix.join(config.root ?? "", DEPLOY_YML);
    if (other !== path && innerPaths(entries).includes(other)) io.warn(`${other} is not read for ${app}, ${path} is`);
    await readEnvFile(base, server.env);
    const web = config.healthCheck ? [`health check ${config.healthCheck.path}`] : [];
    io.info([config.type, ...web, ...Object.keys(config.processes)].join(", "));
    if (ignored.length > 0) io.info(`deploy.yml overrides the Procfile: ${ignored.join(", ")}`);
    for (const what of strayNames(whole, server, group?.roles)) io.warn(what);
    if (server.build !== undefined && !hasScopes())
      io.warn("build in config.yml has no effect here: it needs systemd and root");
    return { config: withMainHost(config, server) };
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
