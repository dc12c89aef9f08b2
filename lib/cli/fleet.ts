// Commands about many apps and servers at once: report fleet metrics, and swarm.
import type { CAC } from "cac";
import { isTerminal } from "../host/process/libc.ts";
import { resolve } from "node:path";
import { declareBalancerCommand } from "./balancer.ts";
import { byKey, only, print, textOf, whole, HIDDEN, type Options } from "./arguments.ts";
import { declareSwarmCommand } from "./swarm.ts";
import { DpError } from "../errors.ts";
import { waitTime } from "../config/duration.ts";
import { printJson, say } from "../text/say.ts";
import { didYouMean } from "../text/suggestion.ts";

const ACTIONS = ["add", "remove", "sync", "key"] as const;

export function declareFleetCommands(cli: CAC): void {
  declareMetrics(cli);
  declareBalancerCommand(cli);
  declareSwarmCommand(cli);
  cli
    .command(
      "report",
      "Show the server and all its apps on one screen; dp fleet asks servers for it",
      byKey(({ options }) => (options["look"] === undefined ? "view" : null), { isFiltered: true }),
    )
    .option("--only <apps>", HIDDEN)
    .option("--json", "As JSON")
    .option("--no-probe", "Ask no health check; dp watch has just done so")
    .option("--look", "Let dp doctor look, and keep what it found (internal)")
    .action(async (options: Options) => {
      if (options["look"]) return (await import("../commands/keep-diagnosis.ts")).renewFindings();
      const { printReport, report } = await import("../commands/report.ts");
      const found = await report({ only: only(options), isProbing: options["probe"] !== false });
      // In one line: it travels, and has an array for each minute.
      if (options["json"]) return printJson(found);
      printReport(found);
    });

  cli
    .command(
      "fleet [action] [name] [address]",
      "Show all apps of all your servers, asked by ssh, what is wrong first",
      byKey(null),
    )
    .option("--check", "Exit with code 7 when something is down, unknown or failed")
    .option("--watch", "Ask again and again; q ends it")
    .option("--web", "Serve it as a page on this machine, until Ctrl-C")
    .option("--port <port>", "The port of the page; default: a free one")
    .option("--no-open", "Do not open a browser")
    .option("--out <folder>", "Write the page and its data into a folder")
    .option("--every <time>", "Write the data again and again: 30s, 5m")
    .option("--json", "As JSON")
    .usage(
      `fleet [--watch | --web | --out FOLDER | --json]
  $ dp fleet add NAME [USER@]HOST[:PORT]  puts a server on the list
  $ dp fleet remove NAME
  $ dp fleet sync APP                     brings the other servers of an app to what is live on the one that leads
  $ dp fleet key                          on a server: the key by which it reaches the others`,
    )
    .action(
      async (action: string | undefined, name: string | undefined, address: string | undefined, options: Options) => {
        const fleet = await import("../commands/fleet.ts");
        if (action === "sync" && address === undefined) return sync(name, options);
        if (action === "key" && name === undefined) {
          const { serverKey } = await import("../commands/server-key.ts");
          return print(await serverKey());
        }
        if (action === "add") return print(await fleet.add(name, address));
        if (action === "remove" && address === undefined) return print(await fleet.remove(name));
        if (action !== undefined)
          throw new DpError(
            "usage",
            `unknown action ${JSON.stringify(action)}; the actions are ${ACTIONS.join(", ")}`,
            {
              hint: action === "list" ? "dp fleet" : "dp fleet --help",
              ...didYouMean(action, ACTIONS),
            },
          );
        if (options["web"]) return web(options);
        const out = textOf(options, "out");
        if (out !== undefined) return fleet.writeOut(resolve(out), period(textOf(options, "every")));
        if (options["watch"]) return fleet.watchInTerminal();
        const found = await fleet.fleetNow();
        if (options["json"]) printJson(found);
        else fleet.printFleet(found);
        return options["check"] ? fleet.checkCode(found) : undefined;
      },
    );
}

/** On the server that gets the pushes. */
async function sync(app: string | undefined, options: Options): Promise<number> {
  if (app === undefined) throw new DpError("usage", "which app? dp fleet sync APP");
  const { sync: bring, syncedCode } = await import("../commands/sync.ts");
  const done = await bring(app, (line) => (options["json"] ? undefined : print(line)));
  if (options["json"]) printJson(done);
  return syncedCode(done);
}

const lines = (text: string) => text.trimEnd().split("\n").forEach(print);

function declareMetrics(cli: CAC): void {
  cli
    .command("metrics", "Print the state of all apps in Prometheus' text format", byKey(null))
    .option("--textfile <folder>", "Write it there as dp.prom, for node_exporter's textfile collector")
    .option("--install <folder>", "Do that every 15 s, by a timer of systemd")
    .option("--uninstall", "Remove that timer")
    .option("--dashboard", "Print a dashboard for Grafana")
    .action(async (options: Options) => {
      const { dashboard, install, metrics, uninstall, writeTextfile } = await import("../commands/metrics.ts");
      const [folder, timed] = [textOf(options, "textfile"), textOf(options, "install")];
      if (options["dashboard"]) return lines(await dashboard());
      if (options["uninstall"]) return (await uninstall()).forEach(print);
      if (timed !== undefined) return (await install(resolve(timed))).forEach(print);
      if (folder !== undefined) return writeTextfile(resolve(folder));
      lines(await metrics());
    });
}

async function web(options: Options): Promise<void> {
  const { openBrowser, serve } = await import("../commands/fleet.ts");
  const port = whole(textOf(options, "port"), "--port", 65_535, 1) ?? 0;
  await serve(port, (url) => {
    print(url);
    say("dp: the address is good for one browser; Ctrl-C ends the page");
    if (options["open"] !== false && isTerminal(1)) openBrowser(url);
  });
}

/** More often would be a load without a use. */
const LEAST = 5_000;

/** The value of `--every`, in ms. Throws DpError "usage". */
function period(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = waitTime(text);
  if (ms !== null && ms >= LEAST) return ms;
  throw new DpError("usage", `--every must be a time from 5s, not ${JSON.stringify(text)}: 30s, 5m`);
}
