// dp itself, with its own settings as they are by default.
import { flaskFiles } from "../app.ts";
import type { Peer } from "./peer.ts";

/** dp with one of its managers. */
export function dpWith(manager: "builtin" | "systemd"): Peer {
  const app = `shop-${manager}`;
  return {
    ...{ name: `dp, ${manager}`, app, packages: [] },
    async open({ box }, { laptop, port }) {
      await box.mustDp("setup", app, "--port", String(port), "--manager", manager);
      return {
        files: (say) => flaskFiles(app, say),
        push: () => laptop.push(),
        back: () => box.mustDp("rollback", app),
      };
    },
  };
}
