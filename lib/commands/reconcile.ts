// `dp reconcile`: instances and boot follow from `current`, whatever happened.
import { reconcile } from "../instances.ts";
import { makeIo, silentLog } from "../io.ts";
import { report } from "../main.ts";
import { lockNow } from "../queue.ts";
import { appNames, readServer } from "../server.ts";

/** One app, or all: a bad one does not keep the others from being put right. Answers the first failure's exit code. */
export async function reconcileApps(app: string | undefined, print: (line: string) => void): Promise<number> {
  let code = 0;
  for (const name of app === undefined ? await appNames() : [app]) {
    try {
      const server = await readServer(name);
      const lock = await lockNow(name, "dp reconcile");
      try {
        const changes = await reconcile(name, server, makeIo(silentLog));
        print(`${name}: ${changes.join("; ") || "nothing to do"}`);
      } finally {
        lock.release();
      }
    } catch (error) {
      code ||= report(error);
    }
  }
  return code;
}
