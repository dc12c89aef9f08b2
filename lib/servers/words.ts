// What a server's part in a deploy looks like on a line.
import { probesText, type Probes } from "../health/prober.ts";

interface Figures {
  switchTime: number | null;
  probes: Probes | null;
}

/** `live, switched in 2.1 ms; requests 212, failed 0, longest gap 9 ms`. */
export function switchText({ switchTime, probes }: Figures): string {
  const how = switchTime === null ? "live" : `live, switched in ${switchTime} ms`;
  return probes === null || probes.requests === 0 ? how : `${how}; ${probesText(probes)}`;
}

/** The same at the end, with the release. */
export const endText = ({ live, ...figures }: Figures & { live: string | null }): string =>
  `${switchText(figures)}${live === null ? "" : ` (${live})`}`;
