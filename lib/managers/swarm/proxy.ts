// The configuration of a HAProxy that leads to the tasks of one release.
import type { HealthCheck } from "../../config/types.ts";
import type { Instance } from "../../contracts/manager.ts";
import type { Image } from "../../docker/image.ts";
import { DpError } from "../../errors.ts";
import { render, template } from "../../host/template.ts";
import { serviceName } from "./names.ts";
import { insidePort, tasksWanted } from "./spec.ts";

/** The port of HAProxy in its container. */
export const INSIDE = 8000;
/** How long an entry that is told to stop still takes requests, in ms: by then every entrance has the next one. */
export const GRACE = 3_000;
/** How many more tasks than wanted may be in DNS: those of a lost node stay there for a while. */
const SPARE = 5;

/** A text as one word of the configuration. Throws DpError "config" for one that cannot be quoted. */
function word(text: string): string {
  if (/^[\x20-\x26\x28-\x7e]+$/.test(text)) return `'${text}'`;
  throw new DpError("config", `healthCheck: ${JSON.stringify(text)} cannot be sent by HAProxy, which checks the tasks`);
}

const HTTP = {
  defaults: "    option http-server-close\n    retry-on conn-failure empty-response",
  rules:
    "    # Only what may be asked twice is asked twice.\n    http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
};
const TCP = { defaults: "    # Connections are passed on as they are.", rules: "    balance roundrobin" };

function headersOf({ host = "localhost", headers = {} }: Partial<HealthCheck>): string {
  const all = { Host: host, "User-Agent": "dp", Connection: "close", ...headers };
  return Object.entries(all)
    .map(([name, value]) => `hdr ${word(name)} ${word(value)}`)
    .join(" ");
}

/** The text for an instance that listens on a port, with its health check. */
export async function proxyText(instance: Instance, image: Image): Promise<string> {
  const check: Partial<HealthCheck> = instance.config.healthCheck ?? {};
  const isHttp = instance.protocol !== "tcp";
  return render(await template("swarm/entry.cfg"), {
    ...(isHttp ? HTTP : TCP),
    mode: isHttp ? "http" : "tcp",
    grace: `${GRACE}ms`,
    port: String(insidePort(instance, image)),
    service: serviceName(instance),
    count: String(tasksWanted(instance) + SPARE),
    path: word(check.path ?? "/"),
    headers: headersOf(check),
    status: check.status === undefined ? "rstatus ^2" : `rstatus ^(${check.status.join("|")})$`,
  });
}
