// Certificates that are not renewed in time: what doctor shows, and what is told to the targets of notifications.
import type { App } from "../contracts/app.ts";
import type { Happening } from "../contracts/notifier.ts";
import { callSender, put } from "../notify/post.ts";
import { muteOf, readMutes, readTargets, targetsFor } from "../notify/targets.ts";
import { foreign, serverName } from "../notify/text.ts";
import type { Certificate } from "./pair.ts";
import { domainsOf, type DomainRow } from "./report.ts";

const DAY = 24 * 3_600_000;

/**
 * The time, in ms, from when on a certificate that is still in use was not renewed in time: the one rule for doctor, for
 * notifications and for the fleet.
 */
export function lateFrom({ from, until }: Pick<Certificate, "from" | "until">, source: DomainRow["source"]): number {
  const [end, whole] = [Date.parse(until), Date.parse(until) - Date.parse(from)];
  // dp renews when a third is left; the owner has to fetch a new one, which takes longer.
  return end - (source === "file" ? Math.min(14 * DAY, whole / 3) : Math.min(7 * DAY, whole / 6));
}

/** What is left of a certificate, in ms, and whether somebody has to look after it now. */
export function timeLeft(certificate: Certificate, source: DomainRow["source"]): { left: number; isLate: boolean } {
  const now = Date.now();
  return { left: Date.parse(certificate.until) - now, isLate: now >= lateFrom(certificate, source) };
}

/** How much is left of a certificate, in words. */
export const leftWords = (left: number): string => (left <= 0 ? "has ended" : `ends in ${Math.floor(left / DAY)} days`);

/** Tells the targets of notifications about an app's certificates that end soon, once for each. */
export async function tellLate(app: App): Promise<void> {
  const targets = readTargets();
  if (targets === null || muteOf(readMutes(), app.name, Date.now()) !== null) return;
  const to = targetsFor(targets, "certificate", app.name, app.server.notify);
  if (to.length === 0) return;
  for (const row of await domainsOf(app)) {
    const { from, until, issuer, source } = row;
    if (from === null || until === null || issuer === null) continue;
    const { left, isLate } = timeLeft({ from, until, issuer }, source);
    if (!isLate) continue;
    await put(happeningOf(app.name, row, until, left), to);
    callSender();
  }
}

function happeningOf(app: string, row: DomainRow, until: string, left: number): Happening {
  const { name, source, error, url } = row;
  const hint =
    source === "file" ? `dp domains ${app} cert ${name} --cert FILE --key FILE` : `dp domains ${app} renew ${name}`;
  return {
    event: "certificate",
    app,
    // The same certificate is told once.
    key: `${name} ${until}`,
    server: serverName(),
    time: new Date().toISOString(),
    head: `! ${app}: the certificate of ${name} ${leftWords(left)}${source === "file" ? "" : ", and is not renewed"}`,
    lines: error === null ? [] : [foreign(error)],
    hint,
    url,
    run: null,
    release: null,
    step: null,
    subject: null,
    by: null,
    error: error === null ? null : foreign(error),
    since: null,
  };
}
