// The command about the Docker Swarm of this server: swarm.
import type { CAC } from "cac";
import { answer, byKey, print, textOf, warn, type Options } from "./arguments.ts";
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";

const ACTIONS = ["status", "init", "invite", "join", "drain", "ready", "remove", "leave"] as const;
/** The actions that are about one server. */
const NAMED = ["drain", "ready", "remove"];
const USAGE = `swarm
  $ dp swarm init [--address IP]                       on the first server
  $ dp swarm invite | ssh root@SERVER dp swarm join    once for each other server; --manager: as a manager
  $ dp swarm drain NAME                                moves everything away from a server; ready: undoes it
  $ dp swarm remove NAME                               takes a server out; then on it: dp swarm leave`;

export function declareSwarmCommand(cli: CAC): void {
  cli
    .command(
      "swarm [action] [name]",
      "Show the Docker Swarm of this server, make one, join one, or take a server out",
      byKey(null),
    )
    .option("--address <ip>", "With init and join: this server's address, as the other servers reach it")
    .option("--manager", "With invite: as a manager; one or three, never two")
    .option("--json", "With status: as JSON")
    .usage(USAGE)
    .action(async (action: string = "status", name: string | undefined, options: Options) => {
      if (!Object.hasOwn(DOES, action))
        throw new DpError("usage", `unknown action ${JSON.stringify(action)}; the actions are ${ACTIONS.join(", ")}`, {
          hint: "dp swarm --help",
          ...didYouMean(action, ACTIONS),
        });
      if ((name === undefined) === NAMED.includes(action))
        throw new DpError(
          "usage",
          `dp swarm ${action} ${name === undefined ? "needs the name of a server" : "takes no name"}`,
          {
            hint: "dp swarm --help",
          },
        );
      return DOES[action as keyof typeof DOES](options, name ?? "");
    });
}

const DOES: Record<(typeof ACTIONS)[number], (options: Options, name: string) => Promise<number | void>> = {
  async status(options) {
    const { exitCodeFor, statusLines, swarmStatus } = await import("../commands/swarm.ts");
    const found = await swarmStatus();
    answer(options, found, () => statusLines(found));
    return exitCodeFor(found);
  },
  async init(options) {
    const { init } = await import("../commands/swarm.ts");
    (await init(textOf(options, "address"))).forEach(print);
  },
  async invite(options) {
    const { invite } = await import("../commands/swarm.ts");
    print(await invite(options["manager"] === true, warn));
  },
  async join(options) {
    const { join } = await import("../commands/swarm.ts");
    (await join(await Bun.stdin.text(), textOf(options, "address"))).forEach(print);
  },
  async drain(_, name) {
    const { drain } = await import("../commands/swarm-nodes.ts");
    (await drain(name)).forEach(print);
  },
  async ready(_, name) {
    const { ready } = await import("../commands/swarm-nodes.ts");
    (await ready(name)).forEach(print);
  },
  async remove(_, name) {
    const { remove } = await import("../commands/swarm-nodes.ts");
    (await remove(name)).forEach(print);
  },
  async leave() {
    const { leave } = await import("../commands/swarm-nodes.ts");
    (await leave()).forEach(print);
  },
};
