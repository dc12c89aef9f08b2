// Sizes as people write them: 512k, 100m, 2g.

/** The form of a size: a whole number and its unit, each 1024 times the one before. */
export const SIZE = /^(0|[1-9][0-9]{0,8})([kmg])$/;

const UNIT: Record<string, number> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The bytes of a size such as "100m", or null for another text. */
export function bytesOf(text: string): number | null {
  const [, count, unit] = SIZE.exec(text) ?? [];
  return count === undefined || unit === undefined ? null : Number(count) * UNIT[unit]!;
}

/** Bytes for people, in units of 1024: `41 GB`, `2.1 GB`, `100 MB`, `0 MB`. */
export function sizeText(bytes: number): string {
  const unit = bytes >= 1024 ** 4 ? "TB" : bytes >= 1024 ** 3 ? "GB" : "MB";
  const count = bytes / 1024 ** ({ TB: 4, GB: 3, MB: 2 } as const)[unit];
  return `${count >= 10 || count === 0 ? Math.floor(count) : count.toFixed(1)} ${unit}`;
}
