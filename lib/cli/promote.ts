// The command that promotes a release: promote, and its parts on the two servers: handover.
import type { CAC } from "cac";
import type { Typed } from "../access/role.ts";
import { byKey, waitOption, withoutOption, HIDDEN, WAIT, WITHOUT, type Options } from "./arguments.ts";

// Another server is reached with the keys of whoever types it: behind a key those would be root's.
const roleForPromote = ({ words }: Typed) =>
  words.length < 2 || words.some((word) => word.includes(":")) ? null : "push";
const roleForHandover = ({ words }: Typed) => (words.length < 2 ? null : "push");

export function declarePromoteCommand(cli: CAC): void {
  cli
    .command(
      "promote <from> <to>",
      "Put live on one app what is live on another: shop-staging shop, or SERVER:APP",
      byKey(roleForPromote, { others: ([, to = ""]) => [to] }),
    )
    .option("--build", "Build it anew with the settings of the second app, not the files that were proved")
    .option("--force", "Also when the deploy branch of the second app has commits that the release lacks")
    .option("--skip-hooks", "Do not run preDeploy and postDeploy")
    .option(...WITHOUT)
    .option(...WAIT)
    .option("--json", "The result as JSON on stdout, the log on stderr")
    .action(async (from: string, to: string, options: Options) => {
      const { promote } = await import("../commands/promote.ts");
      return promote(from, to, {
        isBuilt: options["build"] === true,
        isForced: options["force"] === true,
        skipHooks: options["skipHooks"] === true,
        json: options["json"] === true,
        ...waitOption(options),
        ...withoutOption(options),
      });
    });

  cli
    .command("handover <app> <part> [word]", HIDDEN, byKey(roleForHandover))
    .action(async (app: string, part: string, word: string | undefined) => {
      const { handover } = await import("../commands/handover.ts");
      return handover(app, part, word);
    });
}
