// Certificates that were not renewed in time: one message, and in the last days one a day.
import type { App } from "../contracts/app.ts";
import type { Happening } from "../contracts/notifier.ts";
import { lateFrom, renewWords } from "../domains/late.ts";
import { hostsOf, type DomainRow } from "../domains/report.ts";
import { foreign, serverName } from "../notify/text.ts";
import { happening } from "../notify/happening.ts";

const DAY = 24 * 3_600_000;
/** In its last days it is told daily. */
const LAST = 3 * DAY;

/** A message about a certificate; `key` is the same until it has to be told again. */
export interface Due {
  name: string;
  key: string;
  happening: Happening;
}

type Dated = Pick<DomainRow, "source"> & Record<"from" | "until", string>;

/** What tells this message about a certificate from the next, as a key; null: it is not late. `now` in ms. */
export function lateKey({ from, until, source }: Dated, now: number): string | null {
  if (now < lateFrom({ from, until }, source)) return null;
  return Date.parse(until) - now < LAST ? `${until} ${new Date(now).toISOString().slice(0, 10)}` : until;
}

/** What is to be told of an app's certificates. */
export async function certificatesDue(app: App, now: number): Promise<Due[]> {
  const due: Due[] = [];
  for (const row of await hostsOf(app)) {
    const { name, source, from, until } = row;
    if (from === null || until === null) continue;
    const key = lateKey({ from, until, source }, now);
    if (key === null) continue;
    due.push({
      name,
      key,
      happening: happening("certificate", now, messageOf(app.name, row, until, key, now)),
    });
  }
  return due;
}

function messageOf(app: string, row: DomainRow, until: string, key: string, now: number) {
  const { name, source, url, error } = row;
  const days = Math.floor((Date.parse(until) - now) / DAY);
  const ends = days < 0 ? "has ended" : days === 0 ? "ends today" : `ends in ${days} day${days === 1 ? "" : "s"}`;
  const hint = foreign(renewWords(app, row));
  const whose = source === "file" ? "; it is your own" : " and was not renewed";
  const head = `▲ ${foreign(name)}'s certificate on ${serverName()} ${ends}${whose}: ${hint}`;
  const why = error === null ? null : foreign(error);
  return { app, key: `${name} ${key}`, head, hint, url, since: until, error: why, lines: why === null ? [] : [why] };
}
