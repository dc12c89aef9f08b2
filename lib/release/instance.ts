// The live process of a release: made from what its run file says, the same way for every step.
import { basename, join } from "node:path";
import type { Runtime } from "../app.ts";
import { factOf, load } from "../context.ts";
import type { DeployConfig, ServerConfig } from "../config.ts";
import { appEnvironment } from "../environment.ts";
import { fact } from "../facts.ts";
import type { Instance } from "../manager.ts";
import { places } from "../paths.ts";
import { takePort } from "./ports.ts";
import { appType, front } from "../registry.ts";
import { commitTree } from "../tree.ts";

/** The facts that an instance is made of. */
export interface InstanceFacts {
  app: string;
  server: ServerConfig;
  config: DeployConfig;
  sha: string;
  repo: string;
  /** The release's folder. */
  release: string;
  runtime: Runtime;
}

/** The port that an instance has to listen on: one of its own behind a front, else the public one. */
export async function takeInstancePort({
  app,
  server,
  release,
}: Pick<InstanceFacts, "app" | "server" | "release">): Promise<number> {
  return (await front(server.front)).holdsPort ? takePort({ app, id: basename(release) }) : server.port;
}

/** The instance of a release Throws DpError "config" when nothing says how to start it. */
export async function instanceOf(facts: InstanceFacts, port: number): Promise<Instance> {
  const { app, server, config, release, runtime } = facts;
  const env = await appEnvironment(server.front === "none" ? facts : { ...facts, port }, runtime);
  const command = config.command ?? (await defaultCommand(facts, env));
  return { app, id: basename(release), release, command, env, user: server.user, stopTimeout: server.stopTimeout };
}

async function defaultCommand(facts: InstanceFacts, env: Record<string, string>): Promise<string> {
  const { app, server, config, release, runtime, repo, sha } = facts;
  const type = await appType(config.type);
  const tree = commitTree(repo, sha);
  const { base } = places(app);
  const place = {
    app,
    id: basename(release),
    base,
    release,
    config,
    tree,
    user: server.user,
    env,
    timeout: server.stepTimeout,
  };
  return type.command(place, runtime);
}

/** The facts of a release that was deployed before, with the server's config of today. */
export async function factsOfRelease(
  app: string,
  id: string,
  server: ServerConfig,
): Promise<InstanceFacts & { subject: string }> {
  const run = await load(join(places(app).runs, `${id}.json`));
  return {
    app,
    server,
    config: factOf(run, "config", fact.config),
    sha: factOf(run, "sha", fact.sha),
    repo: factOf(run, "repo", fact.repo),
    release: factOf(run, "release", fact.release),
    runtime: factOf(run, "runtime", fact.runtime),
    subject: factOf(run, "subject", fact.subject),
  };
}
