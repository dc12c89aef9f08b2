// A fleet in the terminal: the sentence, what wants somebody, and a row for each app.
import { attention, FULL, sentence, type Attention } from "./attention.ts";
import type { AppReport, Report, ServerView } from "./document.ts";
import { ago, bytes, part, rate } from "./words.ts";

export type Tone = "bad" | "go" | "warn" | "soft" | "strong";

/** A piece of a line; without a tone it is plain. */
export interface Piece {
  text: string;
  tone?: Tone;
}

export type Line = Piece[];

const MARKS = { bad: "●", go: "↑", warn: "▲", note: "◦" } as const;
const TONES = { bad: "bad", go: "go", warn: "warn", note: "soft" } as const;
/** How many rows of attention are shown. */
export const MOST = 12;
/** A line with less room than this has its command on a line of its own. */
const ROOM = 24;

/** A text in a column: cut with "…", or filled up. */
const cell = (text: string, width: number) =>
  text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text.padEnd(width);
const right = (text: string, width: number) => (text.length > width ? cell(text, width) : text.padStart(width));
const widest = (texts: readonly string[], most: number) =>
  Math.min(most, Math.max(0, ...texts.map(({ length }) => length)));

/** The whole fleet; `width` is that of the terminal, `now` in seconds since 1970. */
export function fleetLines(servers: readonly ServerView[], now: number, width: number): Line[] {
  const rows = attention(servers, now);
  return [sentenceLine(servers), ...attentionLines(rows, width), ...serverLines(servers, now, width)];
}

function sentenceLine(servers: readonly ServerView[]): Line {
  const { bad, rest, small } = sentence(servers);
  const told: Line =
    bad.length > 0
      ? [
          { text: bad.join(", "), tone: "bad" },
          { text: `, ${rest}`, tone: "strong" },
        ]
      : [{ text: rest, tone: "strong" }];
  return [...told, { text: ` · ${small.join(" · ")}`, tone: "soft" }];
}

function attentionLines(rows: readonly Attention[], width: number): Line[] {
  const shown = rows.slice(0, MOST);
  const what = widest(
    shown.map((row) => row.what),
    26,
  );
  const command = widest(
    shown.map((row) => row.command),
    60,
  );
  const room = width - what - command - 6;
  const lines = shown.flatMap((row): Line[] => {
    const head: Line = [
      { text: `${MARKS[row.rank]} `, tone: TONES[row.rank] },
      row.rank === "bad" ? { text: cell(row.what, what), tone: "bad" } : { text: cell(row.what, what), tone: "strong" },
    ];
    if (room >= ROOM) return [[...head, { text: `  ${cell(row.why, room)}  ` }, { text: row.command, tone: "soft" }]];
    const indent = " ".repeat(4);
    return [
      [...head, { text: `  ${cell(row.why, Math.max(8, width - what - 4))}`.trimEnd() }],
      [{ text: `${indent}${row.command}`, tone: "soft" }],
    ];
  });
  const left = rows.length - shown.length;
  return left > 0 ? [...lines, [{ text: `  and ${left} more`, tone: "soft" }]] : lines;
}

/** The widths of the columns that all servers share. */
interface Columns {
  app: number;
  live: number;
  subject: number;
  by: number;
  isWide: boolean;
}

/** What stands behind the subject: since, health, memory, rate. */
const BEHIND = 6 + 10 + 9 + 8;

function serverLines(servers: readonly ServerView[], now: number, width: number): Line[] {
  const apps = servers.flatMap(({ report }) => report?.apps ?? []);
  const app = widest(
    apps.map((each) => each.app),
    24,
  );
  const live = widest(
    apps.map((each) => each.live ?? ""),
    14,
  );
  const by = widest(
    apps.map((each) => short(each.by)),
    12,
  );
  const rest = width - 2 - app - 1 - BEHIND;
  const isWide = rest - live - by - 5 >= 16;
  const columns: Columns = { app, live, by, isWide, subject: isWide ? Math.min(48, rest - live - by - 5) : 0 };
  return servers.flatMap((server) => [
    [],
    headLine(server, now),
    ...(server.report?.apps ?? []).map((each) => appLine(each, server, columns, now)),
  ]);
}

/** `root` of `root@203.0.113.5`. */
export const short = (by: string | null) => (by ?? "").split("@")[0]!;

function headLine({ name, error, seen, report }: ServerView, now: number): Line {
  const title: Piece = { text: name || (report?.host ?? ""), tone: "strong" };
  if (report === null) return [title, { text: "  cannot be reached", tone: "bad" }];
  const was: Line = error === null ? [] : [{ text: `  as it was ${ago(seen ?? report.now, now)} ago`, tone: "bad" }];
  return [title, ...figures(report), ...was];
}

function figures({ load, cpus, mem, disk, up }: Report): Line {
  const mark = (isFull: boolean): Tone => (isFull ? "warn" : "soft");
  return [
    { text: `  load ${load.toFixed(1)}/${cpus}`, tone: mark(load > cpus * 2) },
    { text: `  memory ${part(mem)}`, tone: mark(mem.used > FULL.memory * mem.total) },
    {
      text: `  disk ${part(disk)}`,
      tone: mark(disk.used > FULL.disk * disk.total || (disk.inodes ?? 0) > FULL.inodes),
    },
    { text: `  up ${ago(0, up)}`, tone: "soft" },
  ];
}

function appLine(app: AppReport, { error }: ServerView, columns: Columns, now: number): Line {
  const { state } = error === null ? app : { state: "unknown" };
  const isFaint = error !== null || state === "stopped" || state === "empty";
  const tone: Tone | undefined =
    state === "down" || (state === "unknown" && error === null) ? "bad" : isFaint ? "soft" : undefined;
  const piece = (text: string, own: Tone | undefined = tone): Piece =>
    own === undefined ? { text } : { text, tone: own };
  const quiet = (text: string) => piece(text, tone ?? "soft");
  const isFresh = app.at !== null && now - app.at < 1_800 && tone === undefined;
  const middle = columns.isWide
    ? [
        quiet(cell(app.live ?? "", columns.live)),
        piece(`  ${cell(subjectOf(app), columns.subject)}`),
        quiet(`  ${cell(short(app.by), columns.by)}`),
      ]
    : [];
  return [
    piece(`${markOf(app, error)} `, state === "deploying" ? "go" : tone === undefined && isFailed(app) ? "warn" : tone),
    piece(`${cell(app.app, columns.app)} `),
    ...middle,
    piece(right(app.at === null ? "" : ago(app.at, now), 6), isFresh ? "strong" : (tone ?? "soft")),
    quiet(right(healthOf(app), 10)),
    quiet(right(bytes(app.mem), 9)),
    quiet(right(rateOf(app), 8)),
    ...standingOf(app).map((word) => piece(`  ${word}`, "warn")),
  ];
}

/** What somebody has decided of an app, as words. */
const standingOf = ({ lock, maintenance }: AppReport): string[] => [
  ...(lock === null ? [] : ["locked"]),
  ...(maintenance === null ? [] : ["maintenance"]),
];

const isFailed = ({ lastFailure, failing }: AppReport) => lastFailure !== null || failing.length > 0;

function markOf(app: AppReport, error: string | null): string {
  if (error !== null) return " ";
  if (app.state === "down" || app.state === "unknown") return MARKS.bad;
  if (app.state === "deploying") return MARKS.go;
  return isFailed(app) ? MARKS.warn : " ";
}

/** What an app's place for the subject shows. */
function subjectOf({ state, subject, deploying }: AppReport): string {
  if (deploying !== null)
    return `${deploying.step || "waits"} ${deploying.index}/${deploying.of} · ${deploying.subject}`;
  return state === "empty" ? "nothing deployed yet" : (subject ?? "");
}

/** `15.4 ms`, `502`, `stopped`, `2 of 2`: how an app is, in one word. */
export function healthOf({ state, health, ms, procs, live }: AppReport): string {
  if (state === "stopped" || state === "unknown") return state;
  if (ms !== null) return `${ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (health !== null) return /^\d{3}/.exec(health)?.[0] ?? (health === "connection refused" ? "refused" : "no answer");
  return live === null ? "" : `${procs.running} of ${procs.wanted}`;
}

const rateOf = ({ minutes, state }: AppReport) => (state === "empty" || minutes === null ? "" : `${rate(minutes)} /s`);
