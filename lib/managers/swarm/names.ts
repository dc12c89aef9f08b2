// The names and labels of what dp makes in a swarm. A name there is a name of DNS: no dots, at most 63 characters.
import { labels } from "../../docker/names.ts";
import type { InstanceName } from "../../host/instance.ts";
import { places, realm } from "../../paths.ts";
import { isWeb, processOf, releaseOf } from "../../text/ids.ts";

const LONGEST = 63;

/** The service of an instance: `shop-42-3f9c2ab`, `shop-42-3f9c2ab-worker-2-1a2b3c4`. */
export function serviceName({ app, id }: InstanceName): string {
  const head = `${places(app).app}-${releaseOf(id)}`;
  if (isWeb(id)) return `${head}${realm()}`;
  const process = processOf(id);
  // "a-1" number 2 and "a" number "1-2" would be the same words.
  const tail = `-${new Bun.CryptoHasher("sha256").update(process).digest("hex").slice(0, 7)}${realm()}`;
  const words = `${head}-${process.replaceAll(".", "-")}`;
  return `${words.slice(0, LONGEST - tail.length)}${tail}`;
}

/** The container on this server that leads to the tasks of a web instance. */
export const entryName = (name: InstanceName) => `${serviceName(name)}-entry`;

/** The network of an app. */
export const networkName = (app: string) => `dp-${places(app).app}${realm()}`;

/** The job that removes an app's old images from every server. */
export const sweepName = (app: string) => `dp-sweep-${places(app).app}${realm()}`;

/** The job that asks the servers whether they are alike in what an app runs on. */
export const alikeName = (app: string) => `dp-alike-${places(app).app}${realm()}`;

/** Labels of everything that belongs to an app. */
export function appLabels(app: string): Record<string, string> {
  const { "dp.release": _, ...own } = labels({ app, id: "" });
  return own;
}

/** The label of the job that removes an app's old images, and of its containers, which the next one removes. */
export const SWEEP = "dp.sweep";

/** The label of a service that dp has stopped, and of one that starts at boot. */
export const [STOPPED, ENABLED] = ["dp.stopped", "dp.enabled"] as const;
