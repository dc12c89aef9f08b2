// A section of the bench: the rows that it fills, and how they are measured.

/** What a row holds. */
export interface RowSpec {
  /** "ms", "req/s", "MB", "" for a plain number. */
  unit: string;
  /** The value has to stay below this. */
  below?: number;
  /** The value has to be at least this. */
  least?: number;
}

/** How much is measured. */
export interface Options {
  /** The path of the dp that is measured. */
  dp: string;
  /** Few repetitions; without --peers nothing that installs from the network. */
  isQuick: boolean;
  /** Deploys under load. */
  deploys: number;
  /** Relays that are measured beside each other, each on a processor of its own. */
  cores: number;
  /** The program of kamal-proxy, when there is one. */
  kamalProxy?: string | undefined;
  /** The repository of piku, for `git clone`. */
  piku: string;
  /** Progress, for people. */
  say(line: string): void;
}

/** What was measured; a row without a value is explained in a note. */
export interface Measured<Name extends string = string> {
  values: Partial<Record<Name, number>>;
  notes: string[];
}

/** One part of the bench. */
export interface Section<Name extends string = string> {
  name: string;
  rows: Record<Name, RowSpec>;
  measure(options: Options): Promise<Measured<Name>>;
}

/** Ties the rows of a section to what it measures: a name that is no row is a type error. */
export function section<Name extends string>(made: Section<Name>): Section {
  return made as unknown as Section;
}

/** The middle of some values; the mean of the two middle ones. NaN without any. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** The value below which that part (0 to 1) of the values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
