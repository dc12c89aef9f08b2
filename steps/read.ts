#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Reads deploy.yml from the commit itself, and refuses a commit that cannot be deployed.
import { posix } from "node:path";
import { parseDeployConfig } from "../lib/config/config.ts";
import { readEnvFile } from "../lib/config/env-file.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { ownSource } from "../lib/git/source.ts";
import { hasScopes } from "../lib/host/process/confine.ts";
import { withMainHost } from "../lib/config/main-domain.ts";
import { withProcfile } from "../lib/config/procfile.ts";
import { appTypes } from "../lib/registry.ts";
import { commitProblems } from "../lib/release/commit-problems.ts";
import { enoughLines } from "../lib/release/fit.ts";
import { nearDeployYml, nearNames } from "../lib/release/near-names.ts";
import { strayNames } from "../lib/release/processes.ts";
import { ownPart } from "../lib/servers/part.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { commitTree, subtree, type Tree } from "../lib/git/tree.ts";
import type { DeployConfig } from "../lib/config/types.ts";
import type { AppSettings, Declared } from "../lib/config/declared.ts";
import { appSettings } from "../lib/config/kinds.ts";

const FILE = "deploy.yml";

async function readText(tree: Tree, app: string): Promise<string> {
  const text = await tree.read(FILE, "by mark");
  if (text !== null) return text;
  const entry = (await tree.list()).find(({ path }) => path === FILE);
  if (!entry) throw await missing(tree, app);
  throw new DpError("config", `${FILE} is a ${entry.kind}, not a file`);
}

/** The error for a commit without deploy.yml: a file with a similar name, or the lines that would suffice. */
async function missing(tree: Tree, app: string): Promise<DpError> {
  const what = `the commit has no ${FILE} at its top`;
  const near = nearDeployYml(await tree.list());
  if (near !== null) {
    const root = posix.dirname(near);
    const then = root === "." ? "" : `, and write root: ${root} in it`;
    return new DpError("config", `${what}, but ${near}`, { hint: `git mv ${near} ${FILE}${then}` });
  }
  const { because, lines, advice } = await enoughLines(app, tree, await appTypes());
  const shown = lines.map((line) => `  ${line}`);
  if (because !== null)
    return new DpError("config", what, {
      lines: [`because of ${because} these lines are enough:`, ...shown, ...lacks(advice)],
      hint: `write them into ${FILE}, then commit it`,
    });
  return new DpError("config", what, {
    lines: ["nothing in it shows how the app starts; with your own command these lines are enough:", ...shown],
    hint: `write them into ${FILE} with the line that starts the app on $DP_HOST:$PORT, then commit it`,
  });
}

const lacks = (advice: readonly string[]) =>
  advice.length === 0 ? [] : ["the app itself still lacks:", ...advice.map((what) => `  ${what}`)];

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
    const text = await readText(tree, name);
    const types = await appSettings();
    const { config: whole, ignored } = await withOwnProcfile(parseDeployConfig(text, FILE, types, name), tree, types);
    const config = ownPart(whole, group);
    const problems = await commitProblems({ tree, source: ownSource(repo, sha, io.signal) }, config, text, FILE);
    if (problems.length > 0) throw new DpError("config", `the commit cannot be deployed`, { lines: problems });
    for (const note of nearNames(app, config.root ?? "", await tree.list())) io.warn(note);
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
