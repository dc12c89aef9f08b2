// Commands about who holds an app: lock unlock cancel.
import type { CAC } from "cac";
import { answer, byKey, textOf, warn, ON, type Options } from "./arguments.ts";
import { DpError, EXIT } from "../errors.ts";

const isStatus = ([first, name]: readonly string[]) => first === "status" && name !== undefined;

export function declareLockCommands(cli: CAC): void {
  cli
    .command(
      "lock <app> [name]",
      "Let nobody change an app until dp unlock; dp lock status APP shows who holds the lock",
      byKey(({ words }) => (isStatus(words) ? "view" : "operate"), {
        app: (words) => (isStatus(words) ? words[1] : words[0]),
      }),
    )
    .option("-m, --message <reason>", "The reason, shown to whoever is refused")
    .option(...ON)
    .option("--json", "Who holds the lock, as JSON")
    .usage(
      `lock <app> [-m REASON]
  $ dp lock status <app>                  exit code 0: nobody holds it, 5: somebody does`,
    )
    .action(async (app: string, name: string | undefined, options: Options) => {
      const { appNames } = await import("../config/server.ts");
      const { describeHolder } = await import("../deploy/queue.ts");
      const { lock, lockLines, lockStatus } = await import("../commands/lock.ts");
      if (name !== undefined && isStatus([app, name])) {
        const now = await lockStatus(name);
        answer(options, now, () => lockLines(now));
        return now.isHeld ? EXIT.locked : EXIT.ok;
      }
      if (app === "status" && !(await appNames()).includes(app)) throw new DpError("usage", "dp lock status needs APP");
      if (name !== undefined)
        throw new DpError("usage", `dp lock takes only the name of an app`, { hint: `dp lock ${app} -m "${name}"` });
      const now = await lock(app, textOf(options, "message") ?? null);
      if (now.running) warn(`${describeHolder(now.running)}, continues to its end`);
      return answer(options, now, () => [`${app} is locked: dp unlock ${app}`]);
    });

  cli
    .command("unlock <app>", "Remove the lock of dp lock", byKey("operate"))
    .option(...ON)
    .option("--json", "The removed lock, as JSON")
    .action(async (app: string, options: Options) => {
      const { unlock } = await import("../commands/lock.ts");
      const { describeHandLock } = await import("../deploy/hand-lock.ts");
      const was = await unlock(app);
      const words = was ? `${app} is unlocked; it was locked by ${describeHandLock(was)}` : `${app} is not locked`;
      answer(options, { app, lock: was }, () => [words]);
    });

  cli
    .command(
      "cancel <app> [id]",
      "Cancel the running deploy before its switch, or the waiting one that you name",
      byKey("push"),
    )
    .option("--json", "As JSON")
    .action(async (app: string, id: string | undefined, options: Options) => {
      const { cancel, cancelledLines } = await import("../commands/cancel.ts");
      const ended = await cancel(app, id, warn);
      answer(options, ended, () => cancelledLines(ended));
      return { code: ended.code, run: ended.id };
    });
}
