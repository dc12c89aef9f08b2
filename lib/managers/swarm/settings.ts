// The settings of the manager swarm in config.yml.
import * as v from "valibot";
import type { ManagerSettings } from "../../config/declared.ts";
import { mapping, must, text, whole } from "../../config/field.ts";

/** What the operator says about an app in the swarm. */
export interface SwarmSettings {
  replicas: number;
  /** Process -> constraint. */
  place: Record<string, string>;
  secrets: string[];
  /** The port that every node opens for the app; missing: only this server takes requests. */
  entrance?: number;
}

const constraint = text(
  /^node\.(?:hostname|role|id|labels\.[A-Za-z0-9._-]+) ?(?:==|!=) ?[A-Za-z0-9._-]+$/,
  "a constraint such as node.labels.role==worker or node.hostname==server1",
);
const name = text(/^[A-Za-z_][A-Za-z0-9_]*$/, "the name of a variable of the env file");

const server = v.pipe(
  mapping({
    replicas: v.optional(
      v.pipe(
        whole(1, 100),
        v.description("How many tasks of the web process run, on as many nodes as there are. Default: 1."),
      ),
      1,
    ),
    place: v.optional(
      v.pipe(
        v.record(v.string(), constraint, must("a mapping of processes to constraints")),
        v.description("Where a process may run: web, another process, or cron, and a constraint of Docker."),
      ),
      {},
    ),
    secrets: v.optional(
      v.pipe(
        v.array(name, must("a list of names")),
        v.description(
          "Variables of the env file that the app gets as files, /run/secrets/NAME, with their path in NAME_FILE.",
        ),
      ),
      [],
    ),
    entrance: v.exactOptional(
      v.pipe(
        whole(1, 65_535),
        v.description("The port on which every node takes requests for the app. Default: only this server takes any."),
      ),
    ),
  }),
  v.description("For manager swarm: how an app runs in a Docker Swarm."),
);

/** The settings of an app, from those of all managers. */
export const swarmSettings = (operator: Readonly<Record<string, unknown>> = {}): SwarmSettings =>
  (operator["swarm"] as SwarmSettings | undefined) ?? { replicas: 1, place: {}, secrets: [] };

const settings: ManagerSettings = { server };
export default settings;
