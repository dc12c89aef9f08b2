// The configuration of dp's HAProxy, dp.cfg: rendered from the routes alone.
import { existsSync } from "node:fs";
import { DpError } from "../../errors.ts";
import { appName } from "../../paths.ts";
import { render, template } from "../../host/template.ts";
import { userExists } from "../../host/users.ts";
import { filesOf, isService } from "./places.ts";
import { serverOf, type KeptRoute } from "./routes.ts";

/** How long a request waits, in ms, when HAProxy starts during a hold. */
const HOLD = 30_000;
// Debian's package makes both.
const [USER, JAIL] = ["haproxy", "/var/lib/haproxy"];

/** A path as a word of the configuration. Throws DpError "usage" for a path that would need quotes. */
function word(path: string): string {
  if (/^\/[\w./@+:-]*$/.test(path)) return path;
  throw new DpError("usage", `${JSON.stringify(path)} cannot be named in HAProxy's configuration`);
}

function address(text: string): string {
  if (/^[0-9a-fA-F.:]+$/.test(text)) return text;
  throw new DpError("usage", `${JSON.stringify(text)} is not an IP address`);
}

function servers(route: KeptRoute): string {
  const lines = route.slots.map((slot, at) => {
    const port = Math.trunc(slot?.port ?? 1);
    return `    server ${serverOf(at)} 127.0.0.1:${port}${at === route.live ? "" : " disabled"}`;
  });
  return lines.join("\n");
}

async function section(route: KeptRoute): Promise<string> {
  const { listen, protocol, trustedProxies, held } = route;
  const values = {
    app: appName(route.app),
    bind: `${address(listen.host)}:${Math.trunc(listen.port)}`,
    limit: String(held ?? HOLD),
    servers: servers(route),
  };
  if (protocol === "tcp") return render(await template("haproxy/tcp.cfg"), values);
  const isIdle = route.slots.map((_, at) => `!{ srv_is_up(${serverOf(at)}) }`).join(" ");
  return render(await template("haproxy/http.cfg"), { ...values, isIdle, forwarded: await forwarded(trustedProxies) });
}

/** The rules for the client's X-Forwarded-* headers: removed at the public edge, kept from a trusted proxy. */
async function forwarded(trustedProxies: readonly string[]): Promise<string> {
  if (trustedProxies.length === 0) return (await template("haproxy/edge.cfg")).trimEnd();
  const trusted = trustedProxies.map(address).join(" ");
  return render(await template("haproxy/behind.cfg"), { trusted }).trimEnd();
}

/** The text of dp.cfg. */
export async function configText(routes: ReadonlyMap<string, KeptRoute>): Promise<string> {
  const { lua, socket } = filesOf();
  const apps = [...routes.values()].sort((a, b) => (a.app < b.app ? -1 : 1));
  // The service has no privileges to drop.
  const isRoot = process.getuid?.() === 0 && !isService();
  const rights = isRoot && userExists(USER) && existsSync(JAIL);
  return render(await template("haproxy/dp.cfg"), {
    lua: word(lua),
    socket: word(socket),
    rights: rights ? `    user ${USER}\n    group ${USER}\n    chroot ${JAIL}` : "",
    held: apps.map(({ app, held }) => `    server ${app} 127.0.0.1:1${held === null ? " disabled" : ""}`).join("\n"),
    apps: (await Promise.all(apps.map(section))).join("\n"),
  });
}
