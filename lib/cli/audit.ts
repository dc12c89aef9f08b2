// The command that shows the audit log, and the list of commands that are logged: audit.
import type { CAC } from "cac";
import type { Line } from "./argv.ts";
import { ALL, answer, oneOrAll, byKey, given, textOf, warn, whole, type Options, type Outcome } from "./arguments.ts";
import { isName } from "../config/env.ts";
import { exitCodeOf, EXIT } from "../errors.ts";

const MOST = 1_000_000;

export function declareAuditCommand(cli: CAC): void {
  cli
    .command("audit [app]", "Show who changed what, when, and the result; also for apps that are gone", byKey("view"))
    .option("-n, --lines <count>", "How many lines; default: the last 50, with --since all")
    .option("--since <time>", "Only lines since that time: 10m, 2h, 3d, 12:04, 2026-03-01T12:04")
    .option(...ALL)
    .option("--json", "As JSON")
    .action(async (app: string | undefined, options: Options) => {
      app = oneOrAll(app, options);
      const { auditLines, auditTable } = await import("../commands/audit.ts");
      const { momentOf } = await import("../config/moment.ts");
      const since = options["since"] === undefined ? undefined : momentOf(textOf(options, "since") ?? "");
      const lines = whole(textOf(options, "lines"), "--lines", MOST) ?? (since === undefined ? 50 : MOST);
      const found = await auditLines(app, { lines, ...given("since", since) }, warn);
      answer(options, found, () => auditTable(found));
    });
}

/** The log entry for a command; `isRun`: once the run has begun, its own process writes the line. */
interface Entry {
  app: string | undefined;
  what: string;
  sha?: string | undefined;
  detail?: string | undefined;
  isRun?: boolean;
}

/**
 * The words after a command -> its log entry; null: none. `step` is missing, because only the run file knows its app:
 * that command writes its own line.
 */
const ENTRIES: Readonly<Record<string, (words: readonly string[]) => Entry | null>> = {
  auth: ([app, action = "list", ...users]) =>
    action === "list" ? null : { app, what: `auth ${action}`, detail: users.join(" ") },
  begin: ([app]) => ({ app, what: "begin" }),
  cancel: ([app]) => ({ app, what: "cancel" }),
  deploy: ([app]) => ({ app, what: "deploy", isRun: true }),
  destroy: ([app]) => ({ app, what: "destroy" }),
  domains: ([app, action = "list", ...names]) =>
    action === "list" || action === "ca" ? null : { app, what: `domains ${action}`, detail: names.join(" ") },
  env: ([app, action = "list", ...words]) =>
    CHANGES.includes(action) ? { app, what: `env ${action}`, detail: namesIn(action, words) } : null,
  execute: ([repo, sha]) => ({ app: appOf(repo), what: "deploy", sha, isRun: true }),
  hook: ([name, repo, _ref, _old, sha]) =>
    name === "update" ? { app: appOf(repo), what: "push", sha, isRun: true } : null,
  lock: ([app, name]) => (name === undefined ? { app, what: "lock" } : null),
  maintenance: ([app, state]) => (state === undefined ? null : { app, what: `maintenance ${state}` }),
  notify: ([action = "", app, time]) =>
    action === "unmute" || (action === "mute" && time !== undefined) ? { app, what: `notify ${action}` } : null,
  handover: ([app, part]) => (part === "begin" ? { app, what: "promote", isRun: true } : null),
  restart: ([app, process]) => ({ app, what: "restart", detail: process, isRun: process === undefined }),
  resume: ([app]) => ({ app, what: "resume", isRun: true }),
  rollback: ([app]) => ({ app, what: "rollback", isRun: true }),
  run: ([app, ...own]) => ({ app, what: "run", detail: programOf(own[0] ?? "") }),
  scale: ([app, ...words]) => (words.length > 0 ? { app, what: "scale", detail: words.join(" ") } : null),
  setup: ([app]) => ({ app, what: "setup" }),
  start: ([app, process]) => ({ app, what: "start", detail: process }),
  stop: ([app, process]) => ({ app, what: "stop", detail: process }),
  swarm: ([action = "", name]) =>
    ["init", "join", "drain", "ready", "remove", "leave"].includes(action)
      ? { app: "-", what: `swarm ${action}`, detail: name }
      : null,
  unlock: ([app]) => ({ app, what: "unlock" }),
};

const CHANGES = ["set", "unset", "import"];

const appOf = (repo = "") => /([^/]+)\.git\/?$/.exec(repo)?.[1];

// A word without "=" may be a value, typed after a space.
function namesIn(action: string, words: readonly string[]): string {
  const names = words.map((word) => (action === "set" ? word.slice(0, Math.max(0, word.indexOf("="))) : word));
  return action === "import" ? "" : names.filter(isName).join(", ");
}

// Only the program's name: arguments and leading assignments may contain a secret.
const programOf = (line: string) => /^\s*([\w./-]+)(?=\s|$)/.exec(line)?.[1] ?? "sh";

/** Runs a command, and logs it if it changes an app; a mistyped command changed nothing. */
export async function audited(
  { command, words }: Pick<Line, "command" | "words">,
  action: () => Promise<Outcome>,
): Promise<number | void> {
  const entry = ENTRIES[command?.name ?? ""]?.(words) ?? null;
  let outcome: Outcome;
  try {
    outcome = await action();
  } catch (error) {
    await write(entry, exitCodeOf(error), null);
    throw error;
  }
  const { code, run } = typeof outcome === "object" ? outcome : { code: outcome, run: null };
  if (entry?.isRun !== true) await write(entry, code ?? EXIT.ok, run);
  return code;
}

async function write(entry: Entry | null, code: number, run: string | null): Promise<void> {
  if (entry?.app === undefined || code === EXIT.usage) return;
  const { audit, resultOf } = await import("../host/audit.ts");
  const { who } = await import("../host/who.ts");
  const { app, what, sha, detail } = entry;
  const more = { ...given("run", run ?? undefined), ...given("sha", sha), ...given("detail", detail || undefined) };
  audit({ app, what, ...more, ...who(), result: resultOf(code), code }, warn);
}
