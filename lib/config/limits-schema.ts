// The keys docker and build of config.yml: limits on a container or a build.
import * as v from "valibot";
import { mapping, must, text, whole } from "./field.ts";

/** The schema of such a key: `what` is "a container", `description` says what the key is for. */
export function limitsOf(what: string, description: string) {
  return v.pipe(
    mapping({
      memory: v.exactOptional(
        v.pipe(
          text(/^[1-9][0-9]{0,8}[kmgKMG]$/, "a size such as 512m or 2g"),
          v.description(`Memory of ${what}, including swap; above that it is killed.`),
        ),
      ),
      cpus: v.exactOptional(
        v.pipe(
          v.union([v.number(), v.string()], must("a number such as 1.5")),
          v.transform(String),
          text(/^(?!0+(?:\.0+)?$)[0-9]{1,4}(?:\.[0-9]{1,2})?$/, "a number such as 1.5"),
          v.description(`Processors of ${what}.`),
        ),
      ),
      pids: v.exactOptional(v.pipe(whole(16, 1_000_000), v.description(`Processes and threads of ${what}.`))),
    }),
    v.description(`${description} Default: 4096 processes; otherwise none.`),
  );
}
