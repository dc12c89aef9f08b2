// `dp auth`: the users whose password an app's clients must name, as for staging.
import type { App } from "../contracts/app.ts";
import { isUserName, userName } from "../config/user-name.ts";
import { editMap } from "../config/yaml-edit.ts";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { openApp } from "../release/app.ts";
import { routeOf } from "../release/route.ts";
import { changeConfig } from "./change-config.ts";

/** Who may use an app with a password; nobody: all may, without one. */
export interface AuthStatus {
  app: string;
  users: string[];
}

/** What a check costs the server: a tenth of a second, once for each browser. */
const COST = 10;

const statusOf = ({ name, server }: App): AuthStatus => ({ app: name, users: Object.keys(server.basicAuth ?? {}) });

/** The users of an app. */
export const auth = async (name: string): Promise<AuthStatus> => statusOf(await openApp(name));

/** The same for people. */
export const authLines = ({ app, users }: AuthStatus): string[] =>
  users.length === 0 ? [`${app} needs no password: dp auth ${app} add USER`] : users;

/** The one user to add. Throws DpError "usage", before a password is asked for. */
export function oneUser(app: string, typed: readonly string[]): string {
  const [name, ...more] = typed;
  if (name !== undefined && more.length === 0) return userName(name);
  throw new DpError("usage", name === undefined ? "which user?" : "one user at a time: the password is on stdin", {
    hint: `dp auth ${app} add anna`,
  });
}

/** Adds a user, or gives one another password; the front obeys at once. Throws DpError "usage", "config", "locked". */
export async function addUser(name: string, user: string, password: string, io: Io): Promise<AuthStatus> {
  if (password === "" || /\p{Cc}/u.test(password))
    throw new DpError("usage", "the password must be one line of text", { hint: `dp auth ${name} add ${user}` });
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: COST });
  const app = await change(name, (map) => void map.set(user, hash), io);
  if (app.server.domains.length === 0 && app.server.trustedProxies.length === 0)
    io.warn(`${name} has no domain: passwords are sent without encryption, unless a proxy before dp has TLS`);
  return statusOf(app);
}

/** Takes users away; with the last one nobody needs a password. Throws DpError "usage" for one that there is not. */
export async function removeUsers(name: string, typed: readonly string[], io: Io): Promise<AuthStatus> {
  if (typed.length === 0) throw new DpError("usage", "which user?", { hint: `dp auth ${name}` });
  const { users } = await auth(name);
  const stranger = typed.find((user) => !users.includes(user));
  if (stranger !== undefined)
    throw new DpError("usage", `${name} has no user ${isUserName(stranger) ? stranger : JSON.stringify(stranger)}`, {
      hint: `dp auth ${name}`,
    });
  return statusOf(await change(name, (map) => typed.forEach((user) => map.delete(user)), io));
}

const change = (name: string, edit: Parameters<typeof editMap>[2], io: Io): Promise<App> =>
  changeConfig(
    name,
    `dp auth ${name}`,
    (text, file) => editMap(text, "basicAuth", edit, file),
    async (app) => void (await app.front.setup(await routeOf(app), io)),
    io,
  );
