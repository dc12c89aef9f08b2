// What wants somebody in a fleet, in order, and the sentence that sums it up. Terminal and page both show these.
import type { AppReport, Report, ReportedFinding, ServerView } from "./document.ts";
import { ago, many, part } from "./words.ts";

/** What a row is about. */
export type Subject =
  | "unreachable"
  | "down"
  | "stuck"
  | "unknown"
  | "deploying"
  | "failed"
  | "process"
  | "disk"
  | "inodes"
  | "memory"
  | "owed"
  | "certificate"
  | "reboot"
  | "doctor"
  | "locked"
  | "maintenance"
  | "muted";

/** One thing that wants somebody. */
export interface Attention {
  /** "bad": it does not work. "go": it is under way. "warn": it will not work, or did not. "note": somebody wanted it so. */
  rank: "bad" | "go" | "warn" | "note";
  about: Subject;
  server: string;
  app: string | null;
  /** `search is down` */
  what: string;
  /** Why, and since when. */
  why: string;
  /** The command to type. */
  command: string;
}

/** The sum of a fleet in one line: `1 down`, `27 well`, and the rest in small. */
export interface Sentence {
  /** What is not well: `1 down`, `2 unknown`. */
  bad: string[];
  /** `27 well`, `All 30 apps are well`. */
  rest: string;
  /** `3 servers`, `1 deploying`. */
  small: string[];
  /** How many things do not work: the page's title begins with it. */
  count: number;
}

const RANKS = ["bad", "go", "warn", "note"];
/** Shares in use that are a warning. */
export const FULL = { disk: 0.9, inodes: 0.9, memory: 0.95 };
/** What a report tells by itself, and newer. */
const SEEN = ["health", "instances", "disk", "memory"];
/** Exit codes of a run that somebody ended on purpose. */
const CANCELLED = [130, 143];
/** What the exit code of `dp fleet --check` complains about. */
const CHECKED: readonly Subject[] = ["unreachable", "down", "stuck", "unknown", "failed", "process"];

/** Everything that wants somebody, what is worst first; within that, in the order of servers and apps. */
export function attention(servers: readonly ServerView[], now: number): Attention[] {
  const rows = servers.flatMap((server) => ofServer(server, now));
  return rows.toSorted((a, b) => RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank));
}

/** Whether anything is down, unknown or failed. */
export const isAmiss = (rows: readonly Attention[]) => rows.some(({ about }) => CHECKED.includes(about));

function ofServer(server: ServerView, now: number): Attention[] {
  const { name, address, seen, error, report } = server;
  if (error !== null || report === null) {
    const since = seen === null ? "" : `for ${ago(seen, now)}: `;
    const then = report === null ? "" : "; what follows is what was known then";
    const why = `${since}${error ?? "it was not asked yet"}${then}`;
    const row = { rank: "bad", about: "unreachable", server: name, app: null } as const;
    return [{ ...row, what: `${name} cannot be reached`, why, command: sshTo(address) }];
  }
  return [
    ...report.apps.flatMap((app) => ofApp(name, app, now)),
    ...ofMachine(server, report, now),
    ...ofDoctor(name, report),
  ];
}

/** The name of the server that dp itself runs on, in place of one of fleet.yml. */
export const HERE = "";

const nameOf = (server: string) => (server === HERE ? "this server" : server);

const commandFor = (server: string, words: string) => (server === HERE ? `dp ${words}` : `dp -s ${server} ${words}`);

/** `root@203.0.113.5:2222` as a command. */
function sshTo(address: string): string {
  const [, user = "", bracketed, plain, port] = /^([^@]*@)?(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(address) ?? [];
  const host = `${user}${bracketed ?? plain ?? address}`;
  return port === undefined ? `ssh ${host}` : `ssh -p ${port} ${host}`;
}

/** The rows of one app. */
function ofApp(server: string, app: AppReport, now: number): Attention[] {
  const rows: Attention[] = [];
  const add = (rank: Attention["rank"], about: Subject, what: string, why: string, words: string) => {
    const command = commandFor(server, words);
    rows.push({ rank, about, server, app: app.app, what: `${app.app} ${what}`, why, command });
  };
  const { state, detail, owed, lock, maintenance } = app;
  if (state === "down") add("bad", "down", "is down", downText(app, now), `logs ${app.app} --since 10m`);
  if (state === "unknown") add("bad", "unknown", "is in an unknown state", detail, `doctor ${app.app}`);
  lastRun(app, now, add);
  if (state !== "down" && state !== "deploying")
    for (const { process, detail: how } of app.failing)
      add("warn", "process", process, how, `logs ${app.app} ${process}`);
  if (owed !== null)
    add("warn", "owed", "has a push to deploy", `${owed} was pushed and not deployed`, `reconcile ${app.app}`);
  for (const cert of app.certs) {
    const why = certText(cert, now);
    if (why !== null) add("warn", "certificate", `(${cert.name})`, why, `domains ${app.app}`);
  }
  if (lock !== null) add("note", "locked", "is locked", lockText(lock, now), `unlock ${app.app}`);
  if (maintenance !== null)
    add("note", "maintenance", "is closed to its clients", byText(maintenance, now), `maintenance ${app.app} off`);
  if (app.muted !== null && app.muted > now)
    add("note", "muted", "is muted", mutedText(app.muted, now), `notify unmute ${app.app}`);
  return rows;
}

const mutedText = (until: number, now: number) => `nothing is told of it for ${ago(now, until)} more`;

/** What is wrong with a certificate, or null. A renewal that failed once, long before the end, is tried again. */
function certText({ until, late, error }: AppReport["certs"][number], now: number): string | null {
  if (until === null) return error === null ? null : `it has no certificate: ${error}`;
  if (late === null || now < late) return null;
  const left = until > now ? `its certificate ends in ${ago(now, until)}` : `its certificate has ended`;
  return `${left}, and was not renewed${error === null ? "" : `: ${error}`}`;
}

type Add = (rank: Attention["rank"], about: Subject, what: string, why: string, words: string) => void;

/** The row of a deploy that runs, or of the last one when it failed. */
function lastRun(app: AppReport, now: number, add: Add): void {
  const { deploying, lastFailure } = app;
  if (deploying !== null)
    return add("go", "deploying", "deploys", deployText(deploying, now), `logs ${app.app} --deploy -f`);
  if (lastFailure === null || CANCELLED.includes(lastFailure.code)) return;
  const log = `logs ${app.app} --deploy --failed`;
  const why = failureText(lastFailure, now);
  if (isStuck(app)) add("bad", "stuck", "is stuck", `the way back failed, too: ${why}`, log);
  else add("warn", "failed", "failed to deploy", why, log);
}

function downText({ health, detail, since }: AppReport, now: number): string {
  const why = [health, detail].filter(Boolean).join("; ") || "no process of it runs";
  return since === null ? why : `for ${ago(since, now)}: ${why}`;
}

const isStuck = ({ lastFailure, state }: AppReport) => lastFailure?.code === 9 && state !== "deploying";

function failureText({ id, step, error, by, at }: NonNullable<AppReport["lastFailure"]>, now: number): string {
  return `${id}${step === "" ? "" : ` at ${step}`}, ${ago(at, now)} ago by ${by}: ${error}`;
}

function deployText({ id, subject, by, step, began }: NonNullable<AppReport["deploying"]>, now: number): string {
  return `${id} “${subject}” by ${by}, ${step === "" ? "" : `at ${step} `}for ${ago(began, now)}`;
}

const byText = ({ by, since }: NonNullable<AppReport["maintenance"]>, now: number): string =>
  `by ${by}${since === null ? "" : ` for ${ago(since, now)}`}`;

const lockText = (lock: NonNullable<AppReport["lock"]>, now: number): string =>
  `${byText(lock, now)}${lock.reason === null ? "" : `: ${lock.reason}`}`;

function ofMachine({ name, address }: ServerView, report: Report, now: number): Attention[] {
  const { disk, mem, reboot, muted } = report;
  const rows: Attention[] = [];
  const row = { server: name, app: null };
  const add = (about: Subject, why: string, command = commandFor(name, "doctor")) => {
    rows.push({ ...row, rank: "warn", about, what: `${nameOf(name)}: ${about}`, why, command });
  };
  if (disk.used > FULL.disk * disk.total) add("disk", freeText(disk));
  if ((disk.inodes ?? 0) > FULL.inodes)
    add("inodes", `${Math.round(disk.inodes! * 100)} % of the files that fit are there`);
  if (mem.used > FULL.memory * mem.total) add("memory", freeText(mem));
  if (reboot) add("reboot", "an update wants the system restarted", name === HERE ? "reboot" : sshTo(address));
  if (muted !== null && muted > now) {
    const what = `${nameOf(name)} is muted`;
    const command = commandFor(name, "notify unmute");
    rows.push({ ...row, rank: "note", about: "muted", what, why: mutedText(muted, now), command });
  }
  return rows;
}

/** `6 of 80 GB free` */
const freeText = ({ used, total }: { used: number; total: number }) =>
  `${part({ used: Math.max(0, total - used), total }, " of ")} free`;

/** One row for each app, and for the server itself, that `dp doctor` found something about. */
function ofDoctor(server: string, { findings, apps }: Report): Attention[] {
  const isNews = ({ check, severity, app }: ReportedFinding) =>
    severity !== "note" &&
    !SEEN.includes(check) &&
    apps.every((known) => known.app !== app || known.state !== "unknown");
  const byApp = Map.groupBy(findings.filter(isNews), ({ app }) => app);
  return [...byApp].map(([app, found]) => {
    const why = `${found[0]!.what}${found.length > 1 ? `, and ${found.length - 1} more` : ""}`;
    const command = commandFor(server, `doctor${app === null ? "" : ` ${app}`}`);
    return { rank: "warn", about: "doctor", server, app, what: `${app ?? nameOf(server)}: doctor`, why, command };
  });
}

/** The sentence over a fleet. */
export function sentence(servers: readonly ServerView[]): Sentence {
  const sum = { all: 0, down: 0, stuck: 0, unknown: 0, deploying: 0, stopped: 0, empty: 0 };
  const silent = servers.filter(({ report }) => report === null).length;
  for (const { report, error } of servers)
    for (const app of report?.apps ?? []) {
      sum.all++;
      if (error !== null) sum.unknown++;
      else if (app.state !== "ok") sum[app.state]++;
      if (error === null && isStuck(app) && app.state === "ok") sum.stuck++;
    }
  const { all, down, stuck, unknown, deploying, stopped, empty } = sum;
  const well = all - down - stuck - unknown - stopped - empty;
  const bad = [
    ...(down > 0 ? [`${down} down`] : []),
    ...(stuck > 0 ? [`${stuck} stuck`] : []),
    ...(unknown > 0 ? [`${unknown} unknown`] : []),
    ...(silent > 0 ? [`${many(silent, "server")} silent`] : []),
  ];
  const small = [
    many(servers.length, "server"),
    ...(
      [
        ["deploying", deploying],
        ["stopped", stopped],
        ["empty", empty],
      ] as const
    ).flatMap(([word, count]) => (count > 0 ? [`${count} ${word}`] : [])),
  ];
  return { bad, rest: restOf(well, all, bad.length > 0), small, count: down + stuck + unknown + silent };
}

function restOf(well: number, all: number, isBad: boolean): string {
  if (isBad) return `${well} well`;
  if (all === 0) return "No apps yet";
  if (well === 0) return "No app runs";
  return well === 1 ? "The one app is well" : `All ${well} apps are well`;
}
