// The first and last lines of a deploy: what it is, and how it ended, on one screen.
import { hostname } from "node:os";
import type { App } from "../../contracts/app.ts";
import { factOf, type Run } from "../../pipeline/run-file.ts";
import { DpError, EXIT, messageOf } from "../../errors.ts";
import { fact } from "../../pipeline/facts.ts";
import { promotedFrom } from "../../pipeline/promoted.ts";
import { tipOf } from "../../git/ref.ts";
import { damageOf } from "../../release/current.ts";
import { logOf } from "../../release/history.ts";
import { servingWords } from "../serving.ts";
import { settingsFile } from "../../release/settings.ts";
import { idOf } from "../../text/ids.ts";
import { probesText, sumOf, type Probes } from "../../health/prober.ts";
import { quoted } from "../../text/text.ts";
import { cut } from "./receipt.ts";
import { fullName } from "../../config/domain-name.ts";
import { mainDomain } from "../../config/main-domain.ts";
import type { ServerConfig } from "../../config/types.ts";

const releaseOf = (run: Run) => idOf(typeof run.facts["release"] === "string" ? run.facts["release"] : null);

/** `dp: shop 42-3f9c2ab "Fix the login" by root@203.0.113.5 → production`. */
export function headLine(run: Run): string {
  const app = factOf(run, "app", fact.app);
  const kind = factOf(run, "kind", fact.kind);
  const what = kind === "rollback" ? `back to ${releaseOf(run)}` : factOf(run, "id", fact.id);
  const { env } = factOf(run, "server", fact.server);
  const by = `by ${factOf(run, "by", fact.by)} → ${env}`;
  if (kind === "restart") {
    const from = factOf(run, "restarts", fact.restarts);
    return `dp: ${app} ${what} restarts ${from}, ${factOf(run, "reason", fact.reason)}, ${by}`;
  }
  const from = promotedFrom(factOf(run, "promotes", fact.promotes));
  const origin = from === null ? "" : `from ${from} `;
  return `dp: ${app} ${what} ${quoted(factOf(run, "subject", fact.subject))} ${origin}${by}`;
}

/** The app's URL, as far as dp knows it. */
export function urlOf({ host, port, domains }: Pick<ServerConfig, "host" | "port" | "domains">): string {
  const main = mainDomain(domains);
  if (main !== undefined) return `https://${fullName(main)}`;
  return `http://${host === "0.0.0.0" ? hostname() : host}:${port}`;
}

/** The results of dp's own probe requests during a run, over all steps; null when there were none. */
export function probesOf(run: Run): Probes | null {
  const parts = (["swapProbes", "verifyProbes", "drainProbes"] as const).filter((name) => name in run.facts);
  return parts.length > 0 ? sumOf(parts.map((name) => factOf(run, name, fact[name]))) : null;
}

/** `live: 42-3f9c2ab at http://127.0.0.1:8000, 3.2 s in all; requests 212, failed 0, longest gap 9 ms`. */
export function closingLine(app: string, run: Run, ms: number): string {
  const hasWeb = factOf(run, "config", fact.config).healthCheck !== undefined;
  const url = hasWeb ? ` at ${urlOf(factOf(run, "server", fact.server))}` : "";
  const probes = hasWeb ? probesOf(run) : null;
  const proof = probes ? `; ${probesText(probes)}` : "";
  return `live: ${app} ${releaseOf(run)}${url}, ${(ms / 1000).toFixed(1)} s in all${proof}`;
}

/** After a rollback: how to go forward again, when the deploy branch is not at the live release; otherwise nothing. */
export async function forwardLines({ name, places, server }: App, run: Run): Promise<string[]> {
  if (factOf(run, "kind", fact.kind) !== "rollback") return [];
  const { branch } = server;
  const tip = await tipOf(places.repo, `refs/heads/${branch}`);
  if (tip === "" || tip === factOf(run, "sha", fact.sha)) return [];
  return [
    `  ${branch} is still at ${tip.slice(0, 7)}, which is not live: so git push prints "Everything up-to-date"`,
    `  → dp deploy ${name} deploys it again, or push a commit that mends it`,
  ];
}

/**
 * One screen: the step, the error, its last lines, what serves now, where the log is, what to type. Lines in `shown`
 * are right above already and are not repeated.
 */
export async function failureScreen(
  app: App,
  run: Run,
  error: unknown,
  clean: (line: string) => string,
  shown: readonly string[] = [],
): Promise<string[]> {
  const lines = ["", `FAILED${failedStep(run)}: ${clean(messageOf(error))}`];
  if (error instanceof DpError) {
    if (!isShown(error.lines, shown)) lines.push(...error.lines.map((line) => `  | ${cut(clean(line))}`));
    if (error.hint) lines.push(`  → ${clean(error.hint)}`);
  } else if (error instanceof Error) {
    lines.push(`  this is a bug in dp`, ...(error.stack ?? "").split("\n").slice(1, 6));
  }
  const id = factOf(run, "id", fact.id);
  lines.push(await serving(app, run, error));
  if (typeof run.facts["envBefore"] === "string")
    lines.push(`settings: as before; the ones that were tried are in ${settingsFile(app, id)}`);
  lines.push(`log: ${logOf(app, id)}`);
  // A failed undo names its own cure in the hint above.
  if (!(error instanceof DpError && error.exit === "stuck")) lines.push(`next: ${nextCommand(app.name, run, error)}`);
  return lines;
}

function failedStep(run: Run): string {
  const failed = Object.entries(run.journal).find(([, entry]) => entry.error !== undefined);
  return failed ? ` at ${failed[0]}` : "";
}

/** Lines of other output between the error and this screen that push the error out of sight. */
const SCREEN = 20;

// With a screen of other output after them, they are worth repeating.
const isShown = (lines: readonly string[], shown: readonly string[]) =>
  lines.every((line) => shown.includes(line)) && shown.length - shown.lastIndexOf(lines.at(-1) ?? "") <= SCREEN;

async function serving(app: App, run: Run, error: unknown): Promise<string> {
  const live = await app.live();
  if (error instanceof DpError && error.exit === "stuck") return `serving: unknown; see dp status ${app.name}`;
  if (live === null && (await damageOf(app)))
    return `serving: the same as before, nothing was changed; see dp status ${app.name}`;
  if (live === null) return "serving: nothing, as before; this app has no live release yet";
  const wasStopped = run.journal["start"] !== undefined && app.server.strategy === "restart";
  return `serving: ${await servingWords(app, live, wasStopped ? "started again, and healthy" : undefined)}`;
}

function nextCommand(app: string, run: Run, error: unknown): string {
  const exit = error instanceof DpError ? EXIT[error.exit] : EXIT.bug;
  const kind = run.facts["kind"];
  const isEnded = exit === EXIT.terminated || exit === EXIT.interrupted;
  // Not the log of the deploy: that is what the reader may be reading.
  const mend = exit === EXIT.unhealthy ? `dp logs ${app} --failed, mend it` : "mend it";
  const isTrial = typeof run.facts["envBefore"] === "string";
  if (kind === "restart" && isTrial && !isEnded) return `${mend}, and change the settings again: dp env ${app}`;
  if (kind === "restart") return isEnded ? `dp restart ${app}, to start it again` : `${mend}, and dp restart ${app}`;
  if (exit === EXIT.locked) return `dp releases ${app}`;
  if (kind === "rollback") {
    const again = `dp rollback ${app} ${releaseOf(run)}`;
    return isEnded ? `${again}, to start it again` : `${mend}, and ${again}; or: dp releases ${app}`;
  }
  if (isEnded) return `push again, or continue it: dp resume ${app}`;
  if (error instanceof DpError && error.reason === "setting") return "set it, and push again";
  if (exit === EXIT.config || exit === EXIT.command) return "mend it, commit, and push again";
  if (exit === EXIT.host) return `mend it on the server, then push again`;
  return `${mend}, and push again`;
}
