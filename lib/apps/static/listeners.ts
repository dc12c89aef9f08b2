// The sites that are being served: a listening socket for each, as the files of the sites say.
import { closeSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { messageOf } from "../../errors.ts";
import { answer, type OpenSite } from "./answer.ts";
import { openBeneath, openFolder } from "./beneath.ts";
import { rulesOf } from "./headers.ts";
import { readSite, siteNames, type Site, type Tree } from "./site.ts";
import { inTurn } from "./turns.ts";
import { print, say } from "../../text/say.ts";

interface Listener {
  site: Site;
  server: Server | null;
  open: OpenSite | null;
  error: string | null;
}

/** A site as the server reports it; `error`: why it is not served. */
export interface Served {
  app: string;
  id: string;
  port: number;
  error: string | null;
}

const listeners = new Map<string, Listener>();
/** Milliseconds that in-flight requests may take when a site is stopped: the front has drained it already. */
const STOP_TIME = 10_000;

/** Longer than fronts keep idle connections: the front, not the server, must be the one that closes them. */
const KEEP_ALIVE = 120_000;

const keyOf = ({ app, id }: Pick<Site, "app" | "id">) => `${app}@${id}`;

function openTree({ release, root }: Tree): number | null {
  const outer = openFolder(release);
  try {
    return openBeneath(outer, root, "folder");
  } finally {
    closeSync(outer);
  }
}

function openSite(site: Site): OpenSite {
  const folder = openTree(site);
  if (folder === null) throw new Error(`the release has no readable folder ${site.root}`);
  const older = site.older.flatMap((tree) => {
    try {
      const open = openTree(tree);
      const id = tree.release.split("/").at(-1)!;
      return open === null ? [] : [{ folder: open, id, until: Date.parse(tree.until) }];
    } catch {
      return []; // the release was pruned
    }
  });
  // The file of a site from an older dp lacks these names.
  const given = site.given ? new Set(site.given) : null;
  return { site, folder, older, rules: rulesOf(site), isMade: (name) => given !== null && !given.has(name) };
}

function closeSite({ folder, older }: OpenSite): void {
  for (const each of [{ folder }, ...older]) closeSync(each.folder);
}

/** Starts to serve a site; the answer shows whether that worked. */
async function start(site: Site): Promise<Listener> {
  let open: OpenSite | null = null;
  try {
    const site1 = (open = openSite(site));
    const handle = inTurn((request, response) => {
      if (!server.listening) response.setHeader("connection", "close");
      try {
        answer(site1, request, response);
      } catch (error) {
        say(`${keyOf(site)}: ${request.method} ${request.url}: ${messageOf(error)}`);
        if (response.headersSent) response.destroy();
        else response.writeHead(500, { "content-type": "text/plain" }).end("500 Internal Server Error\n");
      }
    });
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE }, handle);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: site.host, port: site.port, backlog: 4096 }, resolve);
    });
    print(`${keyOf(site)}: serves ${site.release}/${site.root} on ${site.host}:${site.port}`);
    return { site, server, open, error: null };
  } catch (error) {
    if (open) closeSite(open);
    say(`${keyOf(site)}: ${messageOf(error)}`);
    return { site, server: null, open: null, error: messageOf(error) };
  }
}

/** Stops a site: it accepts no new connections, and in-flight requests end first. */
async function stop({ site, server, open }: Listener): Promise<void> {
  if (server !== null) {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    const late = setTimeout(() => server.closeAllConnections(), STOP_TIME);
    await closed;
    clearTimeout(late);
    clearInterval(idle);
    print(`${keyOf(site)}: stopped`);
  }
  if (open) closeSite(open);
}

const isSame = (one: Site, other: Site) => JSON.stringify(one) === JSON.stringify(other);

async function syncNow(folder: string): Promise<void> {
  const wanted = new Map<string, Site>();
  for (const name of await siteNames(folder)) {
    const site = await readSite(folder, name);
    if (site) wanted.set(keyOf(name), site);
  }
  const gone = [...listeners].filter(([key, { site, error }]) => {
    const now = wanted.get(key);
    return now === undefined || error !== null || !isSame(now, site);
  });
  for (const [key] of gone) listeners.delete(key);
  await Promise.all(gone.map(([, listener]) => stop(listener)));
  for (const [key, site] of wanted) if (!listeners.has(key)) listeners.set(key, await start(site));
}

let running: Promise<void> = Promise.resolve();

/** Brings the served sites in line with the files; one call at a time. */
export function sync(folder: string): Promise<void> {
  const next = () => syncNow(folder);
  return (running = running.then(next, next));
}

/** The sites that are served, and those that are not. */
export const served = (): Served[] =>
  [...listeners.values()].map(({ site: { app, id, port }, error }) => ({ app, id, port, error }));

/** Stops all sites. */
export async function stopAll(): Promise<void> {
  await Promise.all([...listeners.values()].map(stop));
  listeners.clear();
}
