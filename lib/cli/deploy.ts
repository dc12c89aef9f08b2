// Commands about deploys: deploy rollback releases resume execute, and those that hooks call.
import type { CAC } from "cac";
import {
  answer,
  byKey,
  waitOption,
  withoutOption,
  textOf,
  warn,
  HIDDEN,
  WAIT,
  WITHOUT,
  type Options,
} from "./arguments.ts";
import { declarePromoteCommand } from "./promote.ts";
import type { Typed } from "../access/role.ts";
import type { Ended } from "../deploy/launch.ts";

const isJson = (options: Options) => options["json"] === true;

/** The answer for a launched deploy; people have read its log already. */
function ended(options: Options, result: Ended): number {
  answer(options, result, () => []);
  return result.code;
}

// A lock is somebody's word, and settings are not for the role push.
const roleForRollback = ({ options }: Typed) =>
  options["force"] === true || options["withEnv"] === true ? "operate" : "push";

export function declareDeployCommands(cli: CAC): void {
  cli
    .command(
      "deploy <app> [ref]",
      "Deploy a branch, tag or commit that was pushed before, also the live one again",
      byKey("push"),
    )
    .option("--skip-hooks", "Do not run preDeploy and postDeploy")
    .option(...WITHOUT)
    .option(...WAIT)
    .option("--json", "The result as JSON on stdout, the log on stderr")
    .action(async (app: string, ref: string | undefined, options: Options) => {
      const { deploy } = await import("../commands/deploy.ts");
      return ended(
        options,
        await deploy(app, ref, {
          skipHooks: options["skipHooks"] === true,
          json: isJson(options),
          ...waitOption(options),
          ...withoutOption(options),
        }),
      );
    });

  cli
    .command(
      "rollback <app> [id]",
      "Go back to the release that was live before, or to the one you name",
      byKey(roleForRollback),
    )
    .option("--with-env", "Go back one release and restore its settings, also in the env file")
    .option(...WITHOUT)
    .option("--force", "Go back even if the app is locked, in an outage; the lock stays")
    .option(...WAIT)
    .option("--json", "The result as JSON on stdout, the log on stderr")
    .action(async (app: string, id: string | undefined, options: Options) => {
      const { rollback } = await import("../deploy/rollback.ts");
      const how = { withEnv: options["withEnv"] === true, force: options["force"] === true };
      return ended(
        options,
        await rollback(app, id, { json: isJson(options), ...how, ...waitOption(options), ...withoutOption(options) }),
      );
    });

  declarePromoteCommand(cli);
  cli
    .command("releases <app>", "List the releases, newest first", byKey("view"))
    .option("--json", "As JSON")
    .action(async (app: string, options: Options) => {
      const { releases, releaseLines } = await import("../commands/releases.ts");
      const rows = await releases(app, warn);
      answer(options, rows, () => releaseLines(rows));
    });

  cli
    .command("resume <app>", "Continue the newest deploy that was interrupted or failed", byKey("push"))
    .option("--from <step>", "Run this step and all after it again")
    .option("--json", "The result as JSON on stdout, the log on stderr")
    .action(async (app: string, options: Options) => {
      const { resume } = await import("../commands/deploy.ts");
      const result = await resume(app, textOf(options, "from"), { json: isJson(options) });
      if (result) return ended(options, result);
      return answer(options, null, () => [`the newest run of ${app} is complete; nothing to resume`]);
    });

  cli
    .command("execute <git-dir> <sha>", "Deploy a commit of a repository, as its hook does", byKey(null))
    .action(async (repo: string, sha: string) => {
      const { execute } = await import("../commands/hook.ts");
      return execute(repo, sha);
    });

  // Commands that dp calls itself are not in the help.
  cli
    .command("hook <name> <git-dir> [...args]", HIDDEN, byKey(null))
    .action(async (name: string, repo: string, args: string[]) => {
      const { deployingHook, killed, preReceive, refusedByGit } = await import("../commands/hook.ts");
      if (name === "pre-receive") return preReceive(repo);
      if (name === "refused") return refusedByGit(repo, args[0] ?? "", args[1] ?? "");
      return name === "killed" ? killed(repo, args[0]) : deployingHook(name, repo, args);
    });

  cli.command("serve-git <service> <app>", HIDDEN, byKey(null)).action(async (service: string, name: string) => {
    const { serve } = await import("../access/serve.ts");
    return serve(service, name);
  });

  cli.command("work <app>", HIDDEN, byKey(null)).action(async (app: string) => {
    const { workOnOrder } = await import("../deploy/work.ts");
    return workOnOrder(app);
  });
}
