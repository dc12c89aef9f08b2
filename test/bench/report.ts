// The bench's answer: a table for people, JSON for programs.
import { cpus, loadavg, release, totalmem } from "node:os";
import { version } from "../../package.json";
import { table } from "../../lib/text/table.ts";
import type { Measured, RowSpec, Section } from "./section.ts";

/** One measured row. */
export interface Row {
  section: string;
  name: string;
  /** Null when it was not measured; a note of the section says why. */
  value: number | null;
  unit: string;
  /** In words, or null. */
  target: string | null;
  /** Whether the target holds; null without a target or a value. */
  isMet: boolean | null;
}

/** The rows of a section, in its order. Throws when a value belongs to no row. */
export function rowsOf(section: Section, { values }: Measured): Row[] {
  const foreign = Object.keys(values).filter((name) => !Object.hasOwn(section.rows, name));
  if (foreign.length > 0) throw new Error(`${section.name} has no row ${foreign.join(", ")}`);
  return Object.entries(section.rows).map(([name, spec]) => {
    const measured = values[name];
    const value = measured === undefined || Number.isNaN(measured) ? null : measured;
    const row = { section: section.name, name, value, unit: spec.unit };
    return { ...row, target: targetOf(spec), isMet: value === null ? null : isMet(spec, value) };
  });
}

function targetOf({ below, least, unit }: RowSpec): string | null {
  if (below !== undefined) return below === 1 && unit === "" ? "0" : `< ${below} ${unit}`.trim();
  return least === undefined ? null : `≥ ${least} ${unit}`.trim();
}

function isMet({ below, least }: RowSpec, value: number): boolean | null {
  if (below === undefined && least === undefined) return null;
  return value < (below ?? Number.POSITIVE_INFINITY) && value >= (least ?? Number.NEGATIVE_INFINITY);
}

/** The value as people read it: three digits that count. */
export function valueText({ value, unit }: Pick<Row, "value" | "unit">): string {
  if (value === null) return "not measured";
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`.trim();
}

/** The rows as a table. */
export function tableLines(rows: readonly Row[]): string[] {
  const verdict = ({ isMet: met }: Row) => (met === null ? "" : met ? "holds" : "MISSED");
  const cells = rows.map((row, index) => [
    row.section === rows[index - 1]?.section ? "" : row.section,
    row.name,
    valueText(row),
    row.target ?? "",
    verdict(row),
  ]);
  return table(["SECTION", "WHAT", "MEASURED", "TARGET", ""], cells);
}

/** The rows as tables of Markdown, one for each section: "who: what" is measured in the line of who, in the column of what. */
export function markdownLines(rows: readonly Row[]): string[] {
  const sections = Map.groupBy(rows, ({ section }) => section);
  return [...sections.values()].flatMap((all) => {
    const cells = all.map((row) => ({ ...splitName(row.name), text: valueText(row) }));
    const columns = [...new Set(cells.map(({ what }) => what))];
    const lines = [...Map.groupBy(cells, ({ who }) => who)].map(([who, of]) =>
      [who, ...columns.map((what) => of.find((cell) => cell.what === what)?.text ?? "")].join(" | "),
    );
    return ["", `| ${["", ...columns].join(" | ")} |`, `|${"---|".repeat(columns.length + 1)}`].concat(
      lines.map((line) => `| ${line} |`),
    );
  });
}

function splitName(name: string): { who: string; what: string } {
  const at = name.lastIndexOf(": ");
  return at === -1 ? { who: name, what: "" } : { who: name.slice(0, at), what: name.slice(at + 2) };
}

/** The machine and the programs that the figures are of. */
export function machine(): Record<string, string> {
  const tool = (argv: string[]) => {
    if (Bun.which(argv[0]!) === null) return "not installed";
    const { stdout, stderr } = Bun.spawnSync(argv, { stdin: "ignore" });
    return /\d+\.\d+[\w.-]*/.exec(stdout.toString() + stderr.toString())?.[0] ?? "unknown";
  };
  return {
    dp: version,
    bun: Bun.version,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    // Of the last minute: more than there are processors, and every time below is longer than it had to be.
    load: loadavg()[0]!.toFixed(1),
    kernel: release(),
    git: tool(["git", "--version"]),
    wrk: tool(["wrk", "-v"]),
    haproxy: tool(["haproxy", "-v"]),
    nginx: tool(["nginx", "-v"]),
    caddy: tool(["caddy", "version"]),
  };
}
