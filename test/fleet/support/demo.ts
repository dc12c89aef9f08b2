// A fleet as an owner has it: servers with apps that are well, and some of everything that is not.
import type { AppReport, ServerView } from "../../../lib/fleet/document.ts";
import { appWith, failure, NOW, reportWith } from "./fleets.ts";

const GB = 1024 ** 3;
const NAMES = [
  ["shop", "api", "auth", "search", "mailer", "media", "admin", "docs", "landing", "webhooks"],
  ["billing", "ledger", "invoices", "reports", "export", "audit", "tax", "fx", "statements", "notify"],
  ["blog", "forum", "wiki", "status", "cdn-edge", "metrics", "sandbox", "preview", "beta", "playground"],
];
const SUBJECTS = [
  ...["Show the cart total in the header", "Retry the payment once", "Bump dependencies", "Let editors undo"],
  ...["Cache product pages for a minute", "Fix timezone of invoices", "Speed up search by trigram"],
];
const WHO = ["ci", "colleague@203.0.113.9", "ops", "night"];

/** The same numbers each time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

function someApp(name: string, roll: () => number): AppReport {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(roll() * list.length)]!;
  const id = `${3 + Math.floor(roll() * 230)}-${Math.floor(roll() * 0xfffffff)
    .toString(16)
    .padStart(7, "0")}`;
  const base = pick([0, 12, 90, 240, 1_080, 3_600]);
  const wave = (at: number) =>
    Math.max(0, Math.round(base * (1 + 0.4 * Math.sin(at / 6 + id.length) + 0.4 * (roll() - 0.5))));
  const count = pick([6, 14, 24, 24]);
  return appWith(name, {
    live: id,
    subject: pick(SUBJECTS),
    by: pick(WHO),
    at: NOW - Math.floor(pick([600, 7_200, 86_400, 260_000, 2_600_000]) * (0.6 + roll())),
    ms: Math.round(15 + roll() * 300) / 10 + roll(),
    mem: Math.round((20 + roll() * 300) * 1024 ** 2),
    minutes: Array.from({ length: 60 }, (_, at): [number, number] => [wave(at), 0]),
    runs: Array.from({ length: count }, (_, at) => [
      Math.round(4_000 * (1 + roll() * 6)),
      roll() < 0.06 && at < count - 1 ? "failed" : "good",
      `${at + 1}-abcdef0`,
    ]),
  });
}

/** Three servers with ten apps each, as the sketch has them. */
export function demoFleet(): ServerView[] {
  const roll = dice(7);
  const servers = NAMES.map((names) => names.map((name) => someApp(name, roll)));
  const [ams, fra, staging] = servers as [AppReport[], AppReport[], AppReport[]];
  const search = ams[3]!;
  const dying = search.minutes!.map(([all], at): [number, number] =>
    at < 54 ? [all || 60, 0] : [80, [10, 30, 40, 36, 40, 33][at - 54]!],
  );
  Object.assign(search, {
    state: "down",
    health: "502",
    ms: null,
    since: NOW - 252,
    detail: "exited with code 1, 5 restarts",
    minutes: dying,
  });
  Object.assign(ams[0]!, { lock: { by: "ops", since: NOW - 1_500, reason: "moving the database" } });
  const deploying = {
    id: "88-1c2d3e4",
    subject: "Fix rounding of tax lines",
    by: "colleague",
    step: "check",
    index: 9,
    of: 15,
    began: NOW - 12,
  };
  Object.assign(fra[2]!, { state: "deploying", deploying });
  Object.assign(fra[4]!, { lastFailure: failure(), runs: [...fra[4]!.runs.slice(1), [9_000, "failed", "41-77aa01b"]] });
  Object.assign(staging[6]!, {
    state: "stopped",
    health: null,
    ms: null,
    mem: null,
    since: NOW - 172_800,
    procs: { running: 0, wanted: 0 },
  });
  const none = {
    live: null,
    subject: null,
    by: null,
    at: null,
    health: null,
    ms: null,
    mem: null,
    minutes: null,
    runs: [],
  };
  Object.assign(staging[8]!, { state: "empty", ...none });
  const view = (name: string, address: string, report: ServerView["report"]): ServerView => ({
    name,
    address,
    seen: NOW,
    error: null,
    report,
  });
  const finding = {
    app: "shop",
    check: "branch",
    severity: "warning" as const,
    what: "main is one commit ahead of the live release",
  };
  return [
    view("ams-1", "root@203.0.113.5", reportWith(ams, { findings: [finding] })),
    view(
      "fra-2",
      "dp@198.51.100.7",
      reportWith(fra, { load: 0.88, mem: { used: 2.9 * GB, total: 4 * GB }, up: 31 * 86_400 }),
    ),
    view(
      "staging",
      "root@192.0.2.44",
      reportWith(staging, { disk: { used: 74 * GB, total: 80 * GB, inodes: 0.2 }, up: 138 * 86_400 }),
    ),
  ];
}

/** Twelve servers with thirty apps each. */
export function largeFleet(): ServerView[] {
  const roll = dice(11);
  return Array.from({ length: 12 }, (_, server) => {
    const apps = Array.from({ length: 30 }, (_, at) =>
      someApp(`app-${server + 1}-${String(at + 1).padStart(2, "0")}`, roll),
    );
    return {
      name: `node-${String(server + 1).padStart(2, "0")}`,
      address: `root@192.0.2.${server + 1}`,
      seen: NOW,
      error: null,
      report: reportWith(apps),
    };
  });
}
