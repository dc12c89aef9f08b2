// `dp gate`: what sudo starts for somebody who logs in as dp. It lets through what their key may, and nothing else.
import type { CAC, Command } from "cac";
import { environmentFor } from "../access/environment.ts";
import { holders, roleOn, type Holder } from "../access/keys-file.ts";
import { fingerprintOf } from "../access/public-key.ts";
import { appInPath, gitRequest, greeting, mayNot, needsRole, noSuchApp, type GitRequest } from "../access/request.ts";
import { appIn, isEnough, roleFor } from "../access/role.ts";
import { noteUse } from "../access/uses.ts";
import { wordsOf } from "../access/words.ts";
import { appNames } from "../config/server.ts";
import { DpError, exitCodeOf } from "../errors.ts";
import { audit } from "../host/audit.ts";
import { who } from "../host/who.ts";
import { isAppName } from "../paths.ts";
import { quoted } from "../text/text.ts";
import { accessOf, print, warn, type Outcome } from "./arguments.ts";
import { inDpsWords } from "./alias.ts";
import { readLine, runLine, type Line } from "./argv.ts";
import { audited } from "./audit.ts";
import { requireNoRemote } from "./elsewhere.ts";
import { withAppFirst } from "./env.ts";
import { isSpread, runSpread } from "./spread.ts";

/** Serves the one command of a login by a key: `name` and `key`, its fingerprint, are what authorized_keys has for it. */
export async function gate(cli: CAC, name: string, key: string): Promise<Outcome> {
  const typed = process.env["SSH_ORIGINAL_COMMAND"];
  process.env = environmentFor(name, process.env);
  const holder = await holderOf(name, key);
  noteUse(key);
  if (typed === undefined || typed.trim() === "") return print(greeting(holder));
  const all = guarding("?", undefined, () => wordsOf(typed));
  const words = all[0] === "dp" ? all.slice(1) : all;
  if (words.length === 0) return print(greeting(holder));
  const git = gitRequest(words);
  return git ? serve(holder, git) : command(cli, holder, words);
}

async function holderOf(name: string, key: string): Promise<Holder> {
  const found = (await holders()).find((each) => each.name === name);
  if (found?.keys.some((each) => fingerprintOf(each) === key)) return found;
  return guarding("login", undefined, () => {
    throw new DpError("host", "this key is not let in any more");
  });
}

/** Serves git, for the one app that its word names. */
async function serve(holder: Holder, { service, path }: GitRequest): Promise<number> {
  const [what, verb] = service === "receive-pack" ? ["push", "push to"] : ["fetch", "fetch from"];
  const app = await ownApp(holder, appInPath(path), path, what);
  requireRole(holder, app, "push", { what, verb });
  const { serveGit } = await import("../access/serve-git.ts");
  const { namedApp } = await import("../release/named-app.ts");
  return serveGit(namedApp(app), service);
}

/** Runs a command of dp in this process: its words never become arguments, which others can see. */
async function command(cli: CAC, holder: Holder, words: readonly string[]): Promise<Outcome> {
  if (["-v", "--version"].includes(words.join(" "))) return version();
  const name = inDpsWords(words).find((word) => !word.startsWith("-"));
  const found = cli.commands.find((each) => each.name === name);
  if (name === undefined) return print(greeting(holder));
  if (found === undefined) throw unknown(name);
  if (accessOf(found).role == null) {
    const app = ownWord(holder, words);
    throw refused(name, app, mayNot(holder.name, name, app));
  }
  const line = readLine(cli, words);
  if (line.options["help"] === true) return found.outputHelp();
  requireNoRemote(line);
  if (name === "env") line.words = await withAppFirst(line.words);
  await requireAllowed(holder, found, line);
  if (isSpread(line)) return runSpread(line);
  return audited(line, () => runLine(line));
}

/** Throws unless the holder may run that line; a line about all apps becomes one about theirs. */
async function requireAllowed(holder: Holder, found: Command, line: Line): Promise<void> {
  const access = accessOf(found);
  const word = appIn(access, line);
  const needed = roleFor(access, line);
  if (needed === null) throw refused(found.name, undefined, mayNot(holder.name, `use ${found.name} in that way`));
  if (access.isFiltered === true) {
    const there = await appNames();
    const own = holder.apps.filter(({ app, role }) => there.includes(app) && isEnough(role, needed));
    line.options["only"] = own
      .map(({ app }) => app)
      .sort()
      .join(",");
    if (word === undefined) return;
  }
  if (word === undefined) throw refused(found.name, undefined, new DpError("usage", `which app? dp ${found.name} APP`));
  for (const each of [word, ...(access.others?.(line.words) ?? [])]) {
    const app = await ownApp(holder, each, each, found.name);
    requireRole(holder, app, needed, { what: found.name, verb: found.name });
  }
}

/** The app of that name. The same error for one that there is not and one that the holder has not. */
async function ownApp(holder: Holder, name: string | null, word: string, what: string): Promise<string> {
  if (name !== null && roleOn(holder, name) !== null && (await appNames()).includes(name)) return name;
  throw refused(what, name ?? undefined, noSuchApp(word));
}

function requireRole(
  holder: Holder,
  app: string,
  needed: Parameters<typeof isEnough>[1],
  { what, verb }: Record<"what" | "verb", string>,
): void {
  const has = roleOn(holder, app)!;
  if (!isEnough(has, needed)) throw refused(what, app, needsRole(holder.name, verb, app, { has, needed }));
}

const unknown = (word: string) =>
  refused(
    /^[a-z][a-z:-]{0,30}$/.test(word) ? word : "?",
    undefined,
    new DpError("usage", `${quoted(word)} is no command of dp, and there is no shell here`),
  );

/** One of their apps among the words, for the answer alone. */
const ownWord = (holder: Holder, words: readonly string[]) =>
  words.slice(1).find((word) => roleOn(holder, word) !== null);

/** Notes a refusal in the audit log, with the command's word and nothing else that was typed. */
function refused(what: string, app: string | undefined, error: DpError): DpError {
  const about = app !== undefined && isAppName(app) ? app : "-";
  audit({ app: about, what, ...who(), result: "refused", code: exitCodeOf(error) }, warn);
  return error;
}

function guarding<T>(what: string, app: string | undefined, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof DpError ? refused(what, app, error) : error;
  }
}

async function version(): Promise<void> {
  const { versionText } = await import("../host/version.ts");
  print(`dp ${await versionText()}`);
}
