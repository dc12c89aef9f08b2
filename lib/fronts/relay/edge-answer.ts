// What the ports of the domains answer by themselves: challenges of a CA, redirects, and names that are nobody's.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isWord } from "./bytes.ts";
import { HTTPS } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { contextOf, domainOf, edge, type Site } from "./domains.ts";
import { leaveUpstream } from "./ending.ts";
import { refusal } from "./refusal.ts";
import { request } from "./request-head.ts";
import { originOf } from "./rewrite.ts";
import { placeOf, UNCLEAR } from "./shared-host.ts";
import type { App, Client } from "./types.ts";

const CHALLENGES = "/.well-known/acme-challenge/";
const TOKEN = /^[A-Za-z0-9_-]{1,128}$/;

/** The answer to the request whose head was just read; null: the app answers. May give the client to another app. */
export function edgeAnswer(client: Client, buffer: Buffer): Buffer | null {
  const host = request.hostAt === -1 ? "" : nameIn(buffer.toString("latin1", request.hostAt, request.hostEnd));
  const site = domainOf(host);
  const found = site === undefined ? null : (site.only ?? placeOf(site, targetIn(buffer)));
  if (client.edge === HTTPS) {
    if (site === undefined || !isOfConnection(client, site, found))
      return refusal(421, "", "its Host is not a name of this connection", request.isHead);
  } else {
    const target = targetIn(buffer);
    if (target.startsWith(CHALLENGES)) return challenge(target.slice(CHALLENGES.length));
    if (site === undefined) return refusal(404, "", "no app has this name", request.isHead);
  }
  if (found === null) return refusal(404, "", "no app has this path", request.isHead);
  if (found === UNCLEAR) return refusal(400, "", "its path can be read in two ways", request.isHead);
  if (client.app !== found.app) giveTo(client, found.app);
  client.prefix = found.stripPrefix === true ? (found.path ?? null) : null;
  if (found.redirect !== undefined) return redirect(found.redirect, buffer);
  if (client.edge === HTTPS) return null;
  const isServed = found.app.route.tls?.http === "serve" || saysHttps(client, buffer) || !contextOf(host);
  return isServed ? null : redirect(host, buffer);
}

/** Whether the app of a request is one of those whose name the client gave in its handshake. */
function isOfConnection(client: Client, site: Site, found: ReturnType<typeof placeOf>): boolean {
  const app = found === null || found === UNCLEAR ? null : found.app;
  if (app === client.app) return true;
  const name = (client.socket as unknown as { getServername(): unknown }).getServername();
  const own = typeof name === "string" ? domainOf(name.toLowerCase()) : undefined;
  return own !== undefined && (own === site || own.places.some((place) => place.app === app));
}

/** A Host as a name: in lower case, without the port and the dot of the root. */
const nameIn = (host: string) => host.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");

/** The target of the request: a path with its query. */
function targetIn(buffer: Buffer): string {
  const line = buffer.toString("latin1", request.start, buffer.indexOf(13, request.start));
  return line.split(" ")[1] ?? "/";
}

/** Whether a trusted proxy says that its own client came over https. */
function saysHttps({ origin }: Client, buffer: Buffer): boolean {
  if (!origin.isTrusted) return false;
  for (let i = 0; i < request.forwarded.length; i += 3) {
    const [at, value, end] = [request.forwarded[i]!, request.forwarded[i + 1]!, request.forwarded[i + 2]!];
    if (isWord(buffer, at, "x-forwarded-proto:"))
      return buffer.toString("latin1", value, end).toLowerCase() === "https";
  }
  return false;
}

/** Moves a connection without a request under way to the app that it is for. */
export function giveTo(client: Client, app: App): void {
  leaveUpstream(client, false);
  client.app.clients.delete(client);
  app.clients.add(client);
  client.app = app;
  const { address, uid, proto, holder } = client.origin;
  client.origin = originOf(address, app.route.trustedProxies, uid, proto, holder);
  client.since = clock.now;
}

function redirect(name: string, buffer: Buffer): Buffer {
  const port = edge.settings?.public.https ?? 443;
  const target = targetIn(buffer);
  const to = `https://${name}${port === 443 ? "" : `:${port}`}${target === "*" ? "/" : target}`;
  return answerOf("308 Permanent Redirect", `Location: ${to}\r\n`, "");
}

/** The answer to a CA; a token that is not ours is not found, and never redirected: the CA would follow it elsewhere. */
function challenge(token: string): Buffer {
  const folder = edge.settings?.challenges;
  const text = folder === undefined || !TOKEN.test(token) ? null : readToken(join(folder, CHALLENGES, token));
  return text === null ? answerOf("404 Not Found", "", "") : answerOf("200 OK", "", text);
}

function readToken(path: string): string | null {
  try {
    return readFileSync(path, "latin1").slice(0, 1024);
  } catch {
    return null; // what cannot be read is no token of ours
  }
}

const answerOf = (status: string, lines: string, body: string) =>
  Buffer.from(
    `HTTP/1.1 ${status}\r\n${lines}Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n` +
      `Cache-Control: no-store\r\nConnection: close\r\n\r\n${request.isHead ? "" : body}`,
    "latin1",
  );
