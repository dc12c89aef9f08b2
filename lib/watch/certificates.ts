// Certificates that were not renewed in time: one message, and in the last days one a day.
import type { App } from "../contracts/app.ts";
import type { Happening } from "../contracts/notifier.ts";
import { certificateOf } from "../domains/pair.ts";
import { foreign, serverName } from "../notify/text.ts";
import { happening } from "../notify/happening.ts";

const DAY = 24 * 3_600_000;
/** Renewals begin when a third of the life is left; with less than this they are late, in ms. */
const LATE = 7 * DAY;
const LAST = 3 * DAY;

/** A message about a certificate; `key` is the same until it has to be told again. */
export interface Due {
  name: string;
  key: string;
  happening: Happening;
}

/** The time from which on a certificate is late, as a key; null: it is not. Times are ISO 8601, `now` in ms. */
export function lateKey({ from, until }: { from: string; until: string }, now: number): string | null {
  const [life, left] = [Date.parse(until) - Date.parse(from), Date.parse(until) - now];
  if (left >= Math.min(life / 3, LATE)) return null;
  return left < LAST ? `${until} ${new Date(now).toISOString().slice(0, 10)}` : until;
}

/** What is to be told of an app's certificates. */
export async function certificatesDue({ name: app, server }: App, now: number): Promise<Due[]> {
  const due: Due[] = [];
  for (const { name } of server.domains) {
    const certificate = await certificateOf(name);
    const key = certificate && lateKey(certificate, now);
    if (certificate === null || key === null) continue;
    due.push({
      name,
      key,
      happening: happening("certificate", now, messageOf(app, name, certificate.until, key, now)),
    });
  }
  return due;
}

function messageOf(app: string, name: string, until: string, key: string, now: number) {
  const days = Math.floor((Date.parse(until) - now) / DAY);
  const ends = days < 0 ? "has ended" : days === 0 ? "ends today" : `ends in ${days} day${days === 1 ? "" : "s"}`;
  const hint = `dp domains ${app}`;
  const head = `▲ ${foreign(name)}'s certificate on ${serverName()} ${ends} and was not renewed: ${hint}`;
  return { app, key: `${name} ${key}`, head, hint, since: until };
}
