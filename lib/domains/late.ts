// When a certificate was not renewed in time, in words and with what to do.
import type { Certificate } from "./pair.ts";
import type { DomainRow } from "./report.ts";

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

/** What to type for a new certificate. */
export function renewWords(
  app: string,
  { name, source, folder }: Pick<DomainRow, "name" | "source" | "folder">,
): string {
  if (folder !== null) return `renew the files in ${folder}, then: dp domains ${app} renew ${name}`;
  return source === "file"
    ? `dp domains ${app} cert ${name} --cert FILE --key FILE`
    : `dp domains ${app} renew ${name}`;
}
