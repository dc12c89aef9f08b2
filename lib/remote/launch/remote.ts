// The step `remote` of `dp launch`: the git remote that leads to the app, by the way that the login has.
import { DpError } from "../../errors.ts";
import type { Server } from "../ssh.ts";
import { here, type Hands } from "./hands.ts";

/** The URL of the app's repository: as root straight to it, otherwise through the user dp and its gate. */
export function urlFor(app: string, { user, host, port }: Server, needsSudo: boolean): string {
  const at = `${host.includes(":") ? `[${host}]` : host}${port === undefined ? "" : `:${port}`}`;
  if (!needsSudo) return `ssh://${user === undefined ? "" : `${user}@`}${at}/var/repos/${app}.git`;
  return port === undefined && !host.includes(":") ? `dp@${host}:${app}` : `ssh://dp@${at}/${app}`;
}

/** Whether the remote is there. Throws DpError "usage" when it leads elsewhere: it is never changed. */
export async function hasRemote(name: string, url: string): Promise<boolean> {
  const { code, text } = await here("git", "remote", "get-url", "--push", "--", name);
  if (code === 0 && text === url) return true;
  if (code !== 0) return false;
  throw new DpError("usage", `the remote ${name} of this folder leads to ${text}, not to ${url}`, {
    hint: `dp launch --remote NAME, or take it away: git remote remove ${name}`,
  });
}

/** Adds the remote. */
export async function addRemote(hands: Hands, name: string, url: string): Promise<string> {
  if (await hasRemote(name, url)) return `${name} → ${url}, as before`;
  const code = await hands.changeHere(["git", "remote", "add", "--", name, url]);
  if (code !== null && code !== 0)
    throw new DpError("usage", `git could not add the remote ${name}`, { hint: `git remote add ${name} ${url}` });
  return `${name} → ${url}`;
}
