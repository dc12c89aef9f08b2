// The environment of whatever a key starts: built anew, from the little that a login may say.
import { SYSTEM_PATH } from "../paths.ts";

/** What a login brings -> the form that it must have. */
const BROUGHT: Readonly<Record<string, RegExp>> = {
  GIT_PROTOCOL: /^version=[0-2]$/,
  LANG: /^[A-Za-z0-9_.@-]{1,40}$/,
  SSH_CONNECTION: /^[0-9A-Fa-f:.]+(?:%\w+)? \d{1,5} [0-9A-Fa-f:.]+(?:%\w+)? \d{1,5}$/,
  TERM: /^[A-Za-z0-9.+-]{1,40}$/,
};

/** The environment for somebody's command; `before`: that of the gate. */
export function environmentFor(name: string, before: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const brought = Object.entries(BROUGHT).filter(([variable, form]) => form.test(before[variable] ?? ""));
  return {
    PATH: SYSTEM_PATH,
    HOME: process.getuid?.() === 0 ? "/root" : (before["HOME"] ?? "/"),
    DP_KEY: name,
    // Only root could set it: sudo hands it on from nobody.
    ...(before["DP_ROOT"] ? { DP_ROOT: before["DP_ROOT"] } : {}),
    ...Object.fromEntries(brought.map(([variable]) => [variable, before[variable]!])),
  };
}
