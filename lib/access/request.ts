// What somebody with a key may ask of git, and the answers that refuse them.
import { DpError } from "../errors.ts";
import { isAppName } from "../paths.ts";
import { quoted } from "../text/text.ts";
import type { Holder } from "./keys-file.ts";
import { grantedIn, rolesOf, type Granted, type Role } from "./role.ts";
import type { GitService } from "./serve-git.ts";

export interface GitRequest {
  service: GitService;
  /** The word that names the repository, as it was typed. */
  path: string;
}

const SERVICE = /^git-(receive-pack|upload-pack)$/;

/** The request of a git client, `git-receive-pack '/shop.git'`; null: the words are something else. */
export function gitRequest(words: readonly string[]): GitRequest | null {
  const [program = "", path, ...more] = words[0] === "git" ? [`git-${words[1] ?? ""}`, ...words.slice(2)] : words;
  const service = SERVICE.exec(program)?.[1] as GitService | undefined;
  return service === undefined || path === undefined || more.length > 0 ? null : { service, path };
}

/** The app that a path means: `shop`, `shop.git`, `/shop.git`, `/var/repos/shop.git`. Null: none. */
export function appInPath(path: string): string | null {
  const name = /^(?:\/var\/repos\/|\/)?([^/]+?)(?:\.git)?$/.exec(path)?.[1] ?? "";
  return isAppName(name) ? name : null;
}

/** One answer for an app that the key has not and one that there is not. */
export const noSuchApp = (word: string) => new DpError("usage", `there is no app ${quoted(word)} for this key`);

/** The answer when no key may do that; `what`: `destroy`. */
export const mayNot = (name: string, what: string, app?: string) =>
  new DpError("host", `${name} may not ${what}${app === undefined ? "" : ` ${app}`}`, {
    hint: "no key may do that: it is typed by root on the server",
  });

/** The answer when the role for an app is not enough; `what`: `restart`, `push to`. */
export function needsRole(name: string, what: string, app: string, { has, needed }: { has: Granted; needed: Role }) {
  const message = `${name} may not ${what} ${app}: that needs the role ${needed}, and ${name} has ${has}`;
  const isServer = rolesOf(has).includes("server");
  // A server that deploys together with this one says itself what it needs for all of `--on`.
  if (isServer) return new DpError("host", message);
  const role = needed === "server" ? grantedIn(`${has},server`) : needed;
  return new DpError("host", message, {
    hint: `root on the server types: dp keys allow ${name} ${app} --role ${role}`,
  });
}

/** Who somebody is, and what they may: the answer when no command is typed. */
export function greeting({ name, apps }: Holder): string {
  const may = apps.map(({ app, role }) => `${app} (${role})`).join(", ");
  return `dp: hello ${name}: no shell here; ${may || "no app yet"}`;
}
