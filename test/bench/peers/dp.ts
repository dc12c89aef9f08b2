// dp itself, with its own settings as they are by default.
import { freePort } from "../../support/box.ts";
import { openLaptop } from "../../support/server-laptop.ts";
import { flaskFiles } from "../app.ts";
import type { Peer } from "./peer.ts";

/** dp with one of its managers. */
export const dpWith = (manager: "builtin" | "systemd"): Peer => ({
  name: `dp, ${manager}`,
  packages: [],
  async open({ box }) {
    const app = `shop-${manager}`;
    const [laptop, port] = [await openLaptop(box, app), await freePort()];
    await box.mustDp("setup", app, "--port", String(port), "--manager", manager);
    return {
      ...{ laptop, port, files: (say: string) => flaskFiles(app, say) },
      push: () => laptop.push(),
      back: () => box.mustDp("rollback", app),
    };
  },
});
