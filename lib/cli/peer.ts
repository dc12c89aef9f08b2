// What the servers of one app ask each other: peer.
import type { CAC } from "cac";
import { byKey, HIDDEN } from "./arguments.ts";
import type { Typed } from "../access/role.ts";
import { DpError } from "../errors.ts";
import { printJson } from "../text/say.ts";

const role = ({ words }: Typed) => (words[1] === undefined ? null : "server");

export function declarePeerCommand(cli: CAC): void {
  cli
    .command("peer <what> <app> [word]", HIDDEN, byKey(role, { app: ([, app]) => app }))
    .action(async (what: string, app: string, word: string | undefined) => {
      if (what === "run") {
        const { runAsPeer } = await import("../deploy/peer.ts");
        // Exits by itself: the line from the other server would keep this process alive.
        process.exit(await runAsPeer(app));
      }
      const peer = await import("../commands/peer.ts");
      if (what === "hello") return printJson(await peer.hello(app));
      if (what === "fits") return printJson(await peer.fit(app));
      if (what === "take") return peer.take(app, word);
      if (what === "commit") return peer.commit(app, word);
      throw new DpError("usage", `dp peer does not know ${JSON.stringify(what)}`);
    });
}
