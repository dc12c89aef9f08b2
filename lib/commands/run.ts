// `dp run`: a one-off command in the live release, with its environment, as its user.
import { appEnvironment } from "../release/environment.ts";
import { DpError } from "../errors.ts";
import { nothingLive } from "../release/first-deploy.ts";
import { factsOfRelease } from "../release/instance.ts";
import { ONE_OFF } from "../release/one-off.ts";
import { placeOf } from "../release/place.ts";
import { inTerminal } from "../host/process/terminal.ts";
import { attached } from "../host/process/attached.ts";
import { appType } from "../registry.ts";
import { openApp } from "../release/app.ts";

/**
 * Runs a command to its end; answers its exit code, or 128 and the signal's number. One word with spaces is a line for
 * sh. At a terminal it gets a pseudo-terminal of its own: pushed code never gets hold of the operator's.
 */
export async function runOnce(name: string, words: readonly string[], options: { tty: boolean }): Promise<number> {
  const app = await openApp(name);
  const live = await app.live();
  if (live === null) throw await nothingLive(app);
  if (words.length === 0) throw new DpError("usage", "which command?", { hint: `dp run ${name} -- COMMAND` });
  const facts = await factsOfRelease(app, live);
  const env = { ...(await appEnvironment(facts, facts.runtime)), ...ONE_OFF };
  const isLine = words.length === 1 && /\s/.test(words[0]!);
  const place = placeOf(facts, env);
  const hasTerminal = options.tty && process.stdin.isTTY && process.stdout.isTTY;
  const run = hasTerminal ? inTerminal : attached;
  const type = await appType(facts.config.type);
  const line = ["/bin/sh", "-c", ...(isLine ? words : ['exec "$@"', "sh", ...words])];
  if (type.runOnce) return type.runOnce(isLine ? line : words, place, hasTerminal, run);
  const { user, stopTimeout } = app.server;
  return run({ argv: line, cwd: place.folder, env, user, app: app.name, stopTimeout });
}
