// The command that makes a server and the first deploy: launch.
import type { CAC } from "cac";
import { byKey, print, textOf, whole, type Options } from "./arguments.ts";

export function declareLaunchCommand(cli: CAC): void {
  cli
    .command("launch <server>", "From a fresh server to the live app of this folder; safe to repeat", byKey(null))
    .option("--app <name>", "The app's name on the server; default: the name in deploy.yml")
    .option("--remote <name>", "The name of the git remote; default: production")
    .option("--port <port>", "The app's public port; default: the first free one from 8000")
    .option("--domain <name>", "A domain of the app, with its certificate")
    .option("--env-file <file>", "Settings for the app: NAME=value lines, sent before the push")
    .option("--key <file>", "The public key that may push, for a login that is not root; default: ssh's own")
    .option("--dry-run", "Print every command, and change nothing")
    .option("--yes", "Do not ask before the server is changed")
    .usage("launch [USER@]HOST[:SSH-PORT]")
    .action(async (server: string, options: Options) => {
      const { launch } = await import("../commands/launch.ts");
      const canAsk = process.stdin.isTTY && process.stderr.isTTY && options["yes"] !== true;
      const confirm = async (question: string) => !canAsk || isYes(await (await import("./ask.ts")).ask(question));
      const wishes = {
        server,
        app: textOf(options, "app"),
        remote: textOf(options, "remote") ?? "production",
        port: whole(textOf(options, "port"), "--port", 65535, 1),
        domain: textOf(options, "domain"),
        envFile: textOf(options, "envFile"),
        key: textOf(options, "key"),
        isDry: options["dryRun"] === true,
      };
      return launch(wishes, { print, confirm });
    });
}

const isYes = (text: string) => /^(?:|y|yes)$/i.test(text.trim());
