// Commands about the server and its apps: init setup status reconcile doctor demo.
import type { CAC } from "cac";
import { existsSync } from "node:fs";
import {
  ALL,
  answer,
  oneOrAll,
  byKey,
  given,
  only,
  print,
  textOf,
  warn,
  whole,
  HIDDEN,
  ON,
  type Options,
} from "./arguments.ts";
import { DpError } from "../errors.ts";
import { report } from "../main.ts";
import type { ServerConfig } from "../config/types.ts";
import type { Io } from "../host/io.ts";
import type { Fit } from "../release/fit.ts";
import { didYouMean } from "../text/suggestion.ts";
import { plainText, quoted } from "../text/text.ts";
import { appTypeNames, frontNames, managerNames } from "../config/kinds.ts";
import { exampleNames } from "../host/template.ts";
import { say } from "../text/say.ts";

const nextLines = (commands: readonly string[]) => ["next:", ...commands.map((line) => `  ${line}`)];

/** Words as a choice: "builtin, pm2 or systemd". */
const oneOf = (names: readonly string[]) => `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;

/** A line for each balancer of this server; its module is loaded only where there is one. */
async function balancersHere(): Promise<string[]> {
  const { filesOf } = await import("../fronts/haproxy/places.ts");
  if (!existsSync(filesOf().balancers)) return [];
  return (await import("../commands/balancer.ts")).balancerSummary();
}

export function declareServerCommands(cli: CAC): void {
  cli
    .command("init", "Write a deploy.yml that fits the current folder", byKey(null))
    .option("--name <name>", "The app's name; default: the folder's")
    .option("--type <type>", `${oneOf(appTypeNames())}; default: by the files`)
    .option("--example <name>", `Write a small working app as well: ${exampleNames().join(", ")}`)
    .option("--github", "Write a workflow for GitHub Actions that deploys each push; a deploy.yml that is there stays")
    .option("--json", "As JSON")
    .action(async (options: Options) => {
      const { init } = await import("../commands/init.ts");
      const { appTypes } = await import("../registry.ts");
      const wishes = Object.assign({}, ...["name", "type", "example"].map((key) => given(key, textOf(options, key))));
      const choose = process.stdin.isTTY && process.stderr.isTTY ? chosenType : undefined;
      const made = await init({
        dir: process.cwd(),
        types: await appTypes(),
        choose,
        github: options["github"] === true,
        ...wishes,
      });
      answer(options, made, () => [
        ...made.files.map((file) => `Created ${file}`),
        ...(made.edit.length > 0
          ? ["edit deploy.yml where this is wrong:", ...made.edit.map((line) => `  ${line}`)]
          : []),
        ...nextLines(made.next),
      ]);
    });

  cli
    .command("setup <app> [git-url]", "Prepare the server for an app; safe to repeat", byKey(null))
    .option("--port <port>", "The public port; default: the first free one from 8000")
    .option("--manager <name>", `What starts the app: ${oneOf(managerNames())}; default: systemd where it runs`)
    .option("--for <name>", "The name that deploy.yml has, to run its commits once more: shop-staging --for shop")
    .option("--env <env>", "The name of the environment, whose settings are in .env.ENV; default: production")
    .option("--branch <branch>", "The branch whose pushes are deployed; default: main")
    .option("--host <address>", "The address of the public port; default: 127.0.0.1")
    .option("--front <name>", `What holds the public port: ${oneOf(frontNames())}; default: relay`)
    .option("--domain <name>", "A domain of the app, with its certificate; see dp help domains")
    .option("--json", "As JSON")
    .action(async (app: string, url: string | undefined, options: Options) => {
      const { setup } = await import("../commands/setup.ts");
      const { addressLine, nextCommands } = await import("../commands/next.ts");
      const { makeIo } = await import("../host/io.ts");
      const texts = ["manager", "env", "branch", "host", "front"].map((name) => given(name, textOf(options, name)));
      const port = given("port", whole(textOf(options, "port"), "--port", 65535, 1));
      const io = makeIo({ info: print, warn, output: (line) => say(`  | ${line}`) });
      const wanted = Object.assign(
        { ...port, ...given("url", url), ...given("for", textOf(options, "for")) },
        ...texts,
      );
      await checkDomain(app, textOf(options, "domain"));
      const { changes, server: made, isLive, hasRelease, unfetched } = await setup(app, wanted, io);
      const server = await withDomain(app, textOf(options, "domain"), made, io);
      const next = nextCommands(app, server, { isFetched: url !== undefined && unfetched === null, hasRelease });
      const nothing = changes.length > 0 || unfetched ? "" : `, nothing to change for ${app}`;
      const lines = [...changes, `checked: all in place${nothing}`, await addressLine(app, server, isLive)];
      answer(options, { app, changes, server, next }, () => [...lines, ...nextLines(next)]);
      if (unfetched !== null) throw unfetched;
    });

  cli
    .command(
      "status [app]",
      "Show the live release and whether it is healthy; without APP for all apps",
      byKey("view", { isFiltered: true }),
    )
    .option(...ALL)
    .option(...ON)
    .option("--json", "As JSON")
    .option("--only <apps>", HIDDEN)
    .action(async (app: string | undefined, options: Options) => {
      app = oneOrAll(app, options);
      const { statusOfAll, statusWithServers } = await import("../commands/status.ts");
      const { statusLines } = await import("../commands/status-lines.ts");
      let code = 0;
      const broken = (error: unknown) => {
        const own = report(error);
        code ||= own;
      };
      const found = app === undefined ? await statusOfAll(broken, only(options)) : await statusWithServers(app);
      const isWhole = app === undefined && only(options) === undefined;
      const beside = isWhole && options["json"] !== true ? await balancersHere() : [];
      answer(options, found, () => {
        const own = Array.isArray(found) ? found.flatMap(statusLines) : statusLines(found);
        const lines = [...own, ...(own.length > 0 && beside.length > 0 ? [""] : []), ...beside];
        return lines.length > 0 || code !== 0 ? lines : ["no app yet: dp setup APP"];
      });
      return code;
    });

  cli
    .command(
      "reconcile [app]",
      "Start and stop processes, now and for the next boot, to match the link current",
      byKey(null),
    )
    .option(...ALL)
    .option("--json", "As JSON")
    .action(async (app: string | undefined, options: Options) => {
      app = oneOrAll(app, options);
      const { reconcileApps } = await import("../commands/reconcile.ts");
      const { changes, code } = await reconcileApps(app, warn);
      const words = ([name, list]: [string, string[]]) => `${name}: ${list.join("; ") || "nothing to do"}`;
      answer(options, changes, () => Object.entries(changes).map(words));
      return code;
    });

  cli
    .command(
      "doctor [app]",
      "Find what is wrong with an app, or the server and all apps, and the command that mends it",
      byKey(null),
    )
    .option("--fix", "Mend what can be mended safely, and check again")
    .option(...ALL)
    .option(...ON)
    .option("--json", "As JSON")
    .action(async (app: string | undefined, options: Options) => {
      app = oneOrAll(app, options);
      const { codeOf, doctorLines, examine, mend } = await import("../commands/doctor.ts");
      const { lookAndKeep } = await import("../commands/keep-diagnosis.ts");
      const look = async () => (options["fix"] ? mend(app, warn) : { ...(await examine(app)), fixed: [] });
      const diagnosis = await lookAndKeep(app, look);
      const found = diagnosis.found.map(({ fix, ...finding }) => ({ ...finding, isSafe: fix !== undefined }));
      answer(options, { ...diagnosis, found }, () => doctorLines(diagnosis, app === undefined));
      return codeOf(diagnosis);
    });

  cli
    .command("selftest", "Prove with a test app that deploys on this server keep their promises", byKey(null))
    .option("--json", "As JSON")
    .action(async (options: Options) => {
      const { selftest } = await import("../commands/selftest.ts");
      const { table } = await import("../text/table.ts");
      const { proofs, code } = await selftest(warn);
      const row = ({ step, result, took, why }: (typeof proofs)[number]) => {
        const time = result === "not run" || result === "skipped" ? "" : `${(took / 1000).toFixed(1)} s`;
        return [result, time, why ? `${step}: ${why}` : step];
      };
      answer(options, proofs, () => table(["RESULT", "TOOK", "WHAT"], proofs.map(row)));
      return code;
    });

  cli
    .command("demo", "Push, deploy, break and roll back a small app in a temporary folder", byKey(null))
    .action(async () => {
      const { demo } = await import("../commands/demo.ts");
      return demo(print);
    });
}

/** Throws when the domain that `dp setup --domain` names cannot be the app's: nothing is made then. */
async function checkDomain(app: string, domain: string | undefined): Promise<void> {
  if (domain !== undefined) await (await import("../commands/domains.ts")).addable(app, [domain]);
}

/** Adds the domain that `dp setup --domain` names; answers config.yml as it is then. */
async function withDomain(
  app: string,
  domain: string | undefined,
  server: ServerConfig,
  io: Io,
): Promise<ServerConfig> {
  if (domain === undefined) return server;
  const { addNames } = await import("../commands/domains.ts");
  const { openApp } = await import("../release/app.ts");
  await addNames(app, [domain], { isForced: false }, io);
  return (await openApp(app)).server;
}

/** Asks which of the fitting types is meant; an empty answer takes the usual one. */
async function chosenType(fits: readonly Fit[], usual: Fit): Promise<Fit> {
  const { ask } = await import("./ask.ts");
  const words = fits.map(({ type, found }) => `${type.name} (${plainText(found.because)})`);
  const typed = (await ask(`${words.join(" or ")}? [${usual.type.name}] `)).trim();
  const fit = typed === "" ? usual : fits.find(({ type }) => type.name === typed);
  if (fit) return fit;
  const names = fits.map(({ type }) => type.name);
  throw new DpError("usage", `${quoted(typed)} is none of ${names.join(", ")}`, didYouMean(typed, names));
}
