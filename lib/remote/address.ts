// The URL of a git remote, read as git reads it, and whether it leads to an app of a dp server.
import { isAppName } from "../paths.ts";
import type { Server } from "./ssh.ts";

/** An app on a server. */
export interface Place {
  server: Server;
  app: string;
}

/** A server, and a path on it. */
interface Address extends Server {
  path: string;
}

/** `ssh://dp@HOST:2222/shop.git`. */
const URL_FORM = /^(?:ssh|git\+ssh|ssh\+git):\/\/([^/]*)(\/.*)$/;
/** `root@HOST:/var/repos/shop.git`: the first colon comes before any slash. What git reads as a transport has two. */
const SHORT_FORM = /^((?:[^:/[]*@)?(?:\[[^\]]*\]|[^:/[]+)):(?!:)(.*)$/;

/**
 * The app that a URL leads to: by ssh to `/var/repos/APP.git`, or as the user `dp` to `APP` or `APP.git`. Null for every
 * other URL.
 */
export function placeOf(url: string): Place | null {
  const address = addressOf(url);
  if (address === null) return null;
  const { path, ...server } = address;
  const app = /^\/var\/repos\/([^/]+?)(?:\.git)?\/?$/.exec(path)?.[1] ?? ofUserDp(address);
  return app !== undefined && isAppName(app) ? { server, app } : null;
}

const ofUserDp = ({ user, path }: Address) =>
  user === "dp" ? /^\/?([^/]+?)(?:\.git)?\/?$/.exec(path)?.[1] : undefined;

function addressOf(url: string): Address | null {
  const [, authority, path] = URL_FORM.exec(url) ?? [];
  if (authority !== undefined && path !== undefined) {
    const [place, file] = [decoded(authority), decoded(path)];
    return place === null || file === null ? null : withPath(place, file);
  }
  if (url.includes("://")) return null;
  const [, place, file] = SHORT_FORM.exec(url) ?? [];
  return place === undefined || file === undefined ? null : withPath(place, file);
}

/** `[USER@]HOST[:PORT]`, with an IPv6 address in brackets; the short form may have all of it in brackets. */
function withPath(authority: string, path: string): Address | null {
  const whole = /^\[([^\]]*)\]$/.exec(authority)?.[1];
  if (whole !== undefined && !isIpv6(whole)) return withPath(whole, path);
  const [, user, host, port] = /^(?:([^@]*)@)?(\[[^\]]*\]|[^:[\]]*)(?::(\d*))?$/s.exec(authority) ?? [];
  if (!host) return null;
  const number = port ? Number(port) : undefined;
  if (number !== undefined && (number < 1 || number > 65535)) return null;
  const name = host.replace(/^\[(.*)\]$/s, "$1");
  return { host: name, path, ...(user ? { user } : {}), ...(number === undefined ? {} : { port: number }) };
}

const isIpv6 = (text: string) => /^[0-9a-f:.%]*:[^:]*:/i.test(text);

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
