// What the keys of config.yml require of each other.
import type * as v from "valibot";
import { DpError } from "../errors.ts";
import { usualOf, type ServerKinds } from "./declared.ts";
import type { serverSchema } from "./server-schema.ts";

type Parsed = v.InferOutput<ReturnType<typeof serverSchema>>;

/** Throws DpError "config" for the first broken rule; answers the strategy, with a default when none is named. */
export function checkServer(
  { strategy, instances, manager, front, protocol }: Parsed,
  { managers, fronts }: ServerKinds,
  file: string,
) {
  if (instances > 1 && managers[manager]?.workers === undefined) {
    const able = Object.keys(managers).filter((name) => managers[name]?.workers !== undefined);
    const choice = `manager: ${able.join(" or ")}`;
    const what = `instances: ${instances} needs ${choice}, and manager is ${manager}`;
    const hint = `let the app start its own workers (gunicorn --workers ${instances}), or choose ${choice}`;
    throw new DpError("config", `${file}: ${what}`, { hint });
  }
  const canRunTwice = fronts[front]?.holdsPort !== false;
  if (!canRunTwice && (strategy === "blue-green" || protocol === "tcp")) {
    const what = strategy === "blue-green" ? "strategy: blue-green" : "protocol: tcp";
    const hint = `write front: ${usualOf(fronts)}`;
    throw new DpError("config", `${file}: ${what} needs a front, and front is ${front}`, { hint });
  }
  return strategy ?? (canRunTwice ? "blue-green" : "restart");
}
