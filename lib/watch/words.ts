// News of a look in words: one line each, and one for many apps at once.
import type { EventName, Happening } from "../contracts/notifier.ts";
import { happening } from "../notify/happening.ts";
import { clockText, foreign, serverName, spanWords } from "../notify/text.ts";
import type { Tell } from "./judge.ts";
import type { News } from "./round.ts";
import type { Watched } from "./state.ts";

/** The names of so many apps are written out. */
const NAMED = 3;

/** The event of what is told of an app. */
export function eventOf({ what }: Tell): EventName {
  if (what === "up") return "up";
  if (what === "failed" || what === "runs") return "process";
  return what === "unasked" ? "watch" : "down";
}

/** What is wrong with an app: `GET /health 502; exited with code 1, 5 restarts`. */
export function troubleOf({ health, detail, restarts }: Pick<Watched, "health" | "detail" | "restarts">): string {
  const count = restarts > 0 ? `${restarts} restart${restarts === 1 ? "" : "s"}` : "";
  const process = [detail, count].filter(Boolean).join(", ");
  return foreign([health ?? "", process].filter(Boolean).join("; ")) || "it does not run";
}

/** The message about one app. */
export function ofApp(
  { app, tell, after }: Extract<News, { about: "app" }>,
  now: number,
  url: string | null,
): Happening {
  const trouble = tell.what === "failed" ? foreign(tell.detail) : tell.what === "up" ? null : troubleOf(after);
  return happening(eventOf(tell), now, {
    app,
    key: keyOf(tell, after, now),
    head: headOf(app, tell, after, now),
    hint: "process" in tell ? `dp logs ${app} ${tell.process}` : `dp logs ${app} --since 10m`,
    url,
    release: after.live,
    error: trouble,
    since: tell.since,
  });
}

function keyOf(tell: Tell, after: Watched, now: number): string {
  if ("process" in tell) return `${tell.what} ${tell.process} ${tell.since}`;
  if (tell.what === "reminder") return `reminder ${new Date(now).toISOString()}`;
  return tell.what === "unasked" ? tell.since : `${tell.what} ${after.verdictSince}`;
}

function headOf(app: string, tell: Tell, after: Watched, now: number): string {
  const on = `on ${serverName()}`;
  const since = `since ${clockText(tell.since, now)}`;
  const span = spanWords(Date.parse(tell.what === "up" ? after.verdictSince : after.since) - Date.parse(tell.since));
  switch (tell.what) {
    case "down":
      return `● ${app} is down ${on} ${since}: ${troubleOf(after)}`;
    case "reminder":
      return `● ${app} is still down ${on} ${since}: ${troubleOf(after)}`;
    case "up":
      return `○ ${app} is up again ${on} after ${span}`;
    case "flaps":
      return `~ ${app} flaps ${on}: ${tell.changes} changes in 10 min, told again when it was quiet for 10 min`;
    case "failed":
      return `● ${tell.process} of ${app} has failed for good ${on}: ${foreign(tell.detail) || "it ended"}`;
    case "runs":
      return `○ ${tell.process} of ${app} runs again ${on} after ${spanWords(now - Date.parse(tell.since))}`;
    case "unasked":
      return `▲ ${app} cannot be looked at ${on} ${since}: ${troubleOf(after)}`;
  }
}

/** `billing, ledger, invoices and 6 more`. */
function named(apps: readonly string[]): string {
  if (apps.length <= NAMED + 1) return [apps.slice(0, -1).join(", "), apps.at(-1)].filter(Boolean).join(" and ");
  return `${apps.slice(0, NAMED).join(", ")} and ${apps.length - NAMED} more`;
}

/** One message about many apps that went down, or came up, at one look. */
export function ofMany(what: "down" | "up", news: readonly Extract<News, { about: "app" }>[], now: number): Happening {
  const apps = news.map(({ app }) => app);
  const since = news.map(({ tell }) => tell.since).sort()[0]!;
  const [first] = news;
  const span = spanWords(Date.parse(first!.after.verdictSince) - Date.parse(since));
  const how = what === "down" ? `are down on ${serverName()} since ${clockText(since, now)}` : "";
  const head =
    what === "down"
      ? `● ${apps.length} apps ${how}: ${named(apps)}`
      : `○ ${apps.length} apps are up again on ${serverName()} after ${span}: ${named(apps)}`;
  return happening(what, now, { head, key: `${apps.join()} ${first!.after.verdictSince}`, hint: "dp apps", since });
}

/** The message about a boot. */
export function ofBoot({ down, apps }: Extract<News, { about: "boot" }>, boot: string, now: number): Happening {
  const all = apps === 1 ? "its app" : `all ${apps} apps`;
  const head =
    down.length > 0
      ? `▲ ${serverName()} came up again, and ${named(down)} did not come up with it: dp doctor`
      : `○ ${serverName()} came up again${apps > 0 ? `, and ${all} with it` : ""}`;
  return happening("boot", now, { head, key: boot, hint: "dp doctor" });
}

/** The message about the disk; `left` is "900 MB of 80 GB". */
export function ofDisk({ isLow, since }: Extract<News, { about: "disk" }>, left: string, now: number): Happening {
  const head = isLow ? `▲ ${serverName()} has ${left} left: dp doctor` : `○ ${serverName()} has ${left} free again`;
  return happening("disk", now, { head, key: `${isLow ? "low" : "over"} ${since}`, hint: "dp doctor", since });
}
