// What the keys of config.yml require of each other.
import type * as v from "valibot";
import { DpError } from "../errors.ts";
import type { serverSchema } from "./server-schema.ts";

type Parsed = v.InferOutput<ReturnType<typeof serverSchema>>;

/** Throws DpError "config" for the first rule that is broken; answers the strategy, chosen when none is named. */
export function checkServer({ strategy, instances, manager, front, protocol }: Parsed, file: string) {
  if (instances > 1 && manager !== "pm2") {
    const what = `instances: ${instances} needs manager: pm2, and manager is ${manager}`;
    const hint = `let the app start its own workers (gunicorn --workers ${instances}), or choose manager: pm2`;
    throw new DpError("config", `${file}: ${what}`, { hint });
  }
  const canRunTwice = front !== "none";
  if (!canRunTwice && (strategy === "blue-green" || protocol === "tcp")) {
    const what = strategy === "blue-green" ? "strategy: blue-green" : "protocol: tcp";
    throw new DpError("config", `${file}: ${what} needs a front, and front is none`, { hint: "write front: relay" });
  }
  return strategy ?? (canRunTwice ? "blue-green" : "restart");
}
