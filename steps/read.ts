#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Reads deploy.yml from the commit itself, and refuses what could not be deployed.
import { posix } from "node:path";
import { parseDeployConfig, type DeployConfig } from "../lib/config.ts";
import { readEnvFile } from "../lib/env-file.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/facts.ts";
import { hookFile } from "../lib/config/hook.ts";
import { defineStep, main } from "../lib/step.ts";
import { commitTree, type Tree } from "../lib/tree.ts";

const FILE = "deploy.yml";

async function readConfig(tree: Tree, app: string): Promise<DeployConfig> {
  const entry = (await tree.list()).find(({ path }) => path === FILE);
  if (!entry)
    throw new DpError("config", `the commit has no ${FILE} at its top`, { hint: `dp init writes one; then commit it` });
  if (entry.kind === "symlink" || entry.kind === "submodule")
    throw new DpError("config", `${FILE} is a ${entry.kind}, not a file`);
  const config = parseDeployConfig((await tree.read(FILE)) ?? "", FILE);
  if (config.name === app) return config;
  throw new DpError("config", `${FILE} is for "${config.name}", and this is "${app}"`, {
    hint: `write name: ${app}, or push to ${config.name}'s repository`,
  });
}

async function hookProblems(tree: Tree, config: DeployConfig): Promise<string[]> {
  const problems: string[] = [];
  const entries = await tree.list();
  for (const [name, line] of Object.entries(config.hooks)) {
    const file = line === undefined ? null : hookFile(line);
    if (file === null) continue;
    const entry = entries.find(({ path }) => path === file);
    if (!entry) problems.push(`hooks.${name}: the commit has no file ${file}`);
    else if (entry.kind !== "executable")
      problems.push(`hooks.${name}: ${file} is not executable: git update-index --chmod=+x ${file}`);
    else if (/^#![^\n]*\r\n/.test((await tree.read(file)) ?? ""))
      problems.push(`hooks.${name}: ${file} has Windows line ends`);
  }
  return problems;
}

async function treeProblems(tree: Tree): Promise<string[]> {
  const problems: string[] = [];
  for (const { path, kind } of await tree.list()) {
    if (kind === "submodule") problems.push(`${path}: submodules are not deployed; commit the files themselves`);
    if (kind !== "symlink") continue;
    const to = (await tree.link(path)) ?? "";
    const end = posix.normalize(posix.join(posix.dirname(path), to));
    if (to.startsWith("/") || end === ".." || end.startsWith("../"))
      problems.push(`${path}: a link out of the repository, to ${to}`);
  }
  return problems;
}

const step = defineStep(import.meta.path, {
  summary: "Read deploy.yml from the commit",
  needs: { app: fact.app, base: fact.base, repo: fact.repo, sha: fact.sha, server: fact.server },
  provides: { config: fact.config },
  async run({ app, base, repo, sha, server }, io) {
    const tree = commitTree(repo, sha);
    const config = await readConfig(tree, app);
    const problems = [...(await hookProblems(tree, config)), ...(await treeProblems(tree))];
    if (problems.length > 0) throw new DpError("config", `the commit cannot be deployed`, { lines: problems });
    await readEnvFile(base, server.env);
    io.info(`${config.type}, health check ${config.healthCheck.path}`);
    return { config };
  },
});
export default step;
if (import.meta.main) await main(step);
