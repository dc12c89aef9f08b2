// What wants somebody in a fleet, and the sentence over it: a table of documents with their rows.
import { describe, expect, test } from "bun:test";
import { attention, HERE, isAmiss, sentence, type Attention } from "../../lib/fleet/attention.ts";
import type { ReportedFinding, ServerView } from "../../lib/fleet/document.ts";
import { ago, bytes, part, rate, withoutPaths } from "../../lib/fleet/words.ts";
import { appWith, deploying, down, failure, lost, NOW, reportWith, serverWith } from "./support/fleets.ts";

const GB = 1024 ** 3;
const well = (count: number) => Array.from({ length: count }, (_, at) => appWith(`app${at}`));
const told = ({ bad, rest, small }: ReturnType<typeof sentence>) =>
  `${[...bad, rest].join(", ")} · ${small.join(" · ")}`;
const line = ({ rank, what, why, command }: Attention) => `${rank} ${what} | ${why} | ${command}`;
const finding = (more: Partial<ReportedFinding> = {}): ReportedFinding =>
  Object.assign({ app: "shop", check: "branch", severity: "warning", what: "main is not live" }, more);
const one = (...apps: Parameters<typeof serverWith>[1]) => [serverWith("ams-1", apps)];
const with_ = (more: Parameters<typeof serverWith>[2], ...apps: Parameters<typeof serverWith>[1]) => [
  serverWith("ams-1", apps, more),
];
const CANNOT = "bad ams-1 cannot be reached |";

/** A document, its sentence, its rows, and whether `--check` complains. */
const TABLE: [string, ServerView[], string, string[], boolean][] = [
  ["nothing at all", [], "No apps yet · 0 servers", [], false],
  ["a server without apps", one(), "No apps yet · 1 server", [], false],
  ["one app", one(appWith("shop")), "The one app is well · 1 server", [], false],
  ["two", one(...well(2)), "All 2 apps are well · 1 server", [], false],
  ["two servers", [serverWith("a", well(2)), serverWith("b", well(3))], "All 5 apps are well · 2 servers", [], false],
  [
    "down",
    one(down("search"), ...well(3)),
    "1 down, 3 well · 1 server",
    ["bad search is down | for 4 m: 502 | dp -s ams-1 logs search --since 10m"],
    true,
  ],
  [
    "down, with a reason",
    one(down("search", { health: "connection refused", detail: "exited with 1, 5 restarts" })),
    "1 down, 0 well · 1 server",
    [
      "bad search is down | for 4 m: connection refused; exited with 1, 5 restarts | dp -s ams-1 logs search --since 10m",
    ],
    true,
  ],
  [
    "down without a web process, since an unknown time",
    one(down("jobs", { health: null, since: null, procs: { running: 0, wanted: 2 } })),
    "1 down, 0 well · 1 server",
    ["bad jobs is down | no process of it runs | dp -s ams-1 logs jobs --since 10m"],
    true,
  ],
  [
    "down: what its processes say is not told twice",
    one(
      down("jobs", {
        health: null,
        failing: [{ process: "worker.1", detail: "exited with 1" }],
        detail: "exited with 1",
      }),
    ),
    "1 down, 0 well · 1 server",
    ["bad jobs is down | for 4 m: exited with 1 | dp -s ams-1 logs jobs --since 10m"],
    true,
  ],
  [
    "here, without a name",
    [serverWith(HERE, [down("search")])],
    "1 down, 0 well · 1 server",
    ["bad search is down | for 4 m: 502 | dp logs search --since 10m"],
    true,
  ],
  [
    "unknown",
    one(appWith("shop", { state: "unknown", detail: "current is not a link", live: null })),
    "1 unknown, 0 well · 1 server",
    ["bad shop is in an unknown state | current is not a link | dp -s ams-1 doctor shop"],
    true,
  ],
  [
    "stopped",
    one(appWith("shop", { state: "stopped" }), ...well(2)),
    "All 2 apps are well · 1 server · 1 stopped",
    [],
    false,
  ],
  [
    "empty",
    one(appWith("beta", { state: "empty", live: null }), ...well(1)),
    "The one app is well · 1 server · 1 empty",
    [],
    false,
  ],
  ["only stopped ones", one(appWith("shop", { state: "stopped" })), "No app runs · 1 server · 1 stopped", [], false],
  [
    "deploying",
    one(deploying("invoices"), ...well(1)),
    "All 2 apps are well · 1 server · 1 deploying",
    ["go invoices deploys | 88-1c2d3e4 “Fix rounding” by ci, at check for 9 s | dp -s ams-1 logs invoices --deploy -f"],
    false,
  ],
  [
    "deploying, before its first step",
    one(deploying("invoices", { step: "", index: 0 })),
    "The one app is well · 1 server · 1 deploying",
    ["go invoices deploys | 88-1c2d3e4 “Fix rounding” by ci, for 9 s | dp -s ams-1 logs invoices --deploy -f"],
    false,
  ],
  [
    "deploying after a failure: the failure is being mended",
    one(Object.assign(deploying("invoices"), { lastFailure: failure() })),
    "The one app is well · 1 server · 1 deploying",
    ["go invoices deploys | 88-1c2d3e4 “Fix rounding” by ci, at check for 9 s | dp -s ams-1 logs invoices --deploy -f"],
    false,
  ],
  [
    "the last deploy failed",
    one(appWith("export", { lastFailure: failure() })),
    "The one app is well · 1 server",
    [
      "warn export failed to deploy | 41-77aa01b at build, 2 h ago by ci: npm ci exited with code 1 | dp -s ams-1 logs export --deploy --failed",
    ],
    true,
  ],
  [
    "the first deploy failed",
    one(appWith("export", { state: "empty", live: null, lastFailure: failure({ step: "" }) })),
    "No app runs · 1 server · 1 empty",
    [
      "warn export failed to deploy | 41-77aa01b, 2 h ago by ci: npm ci exited with code 1 | dp -s ams-1 logs export --deploy --failed",
    ],
    true,
  ],
  [
    "cancelled by somebody",
    one(appWith("export", { lastFailure: failure({ code: 130 }) })),
    "The one app is well · 1 server",
    [],
    false,
  ],
  [
    "ended by a shutdown",
    one(appWith("export", { lastFailure: failure({ code: 143 }) })),
    "The one app is well · 1 server",
    [],
    false,
  ],
  [
    "stuck",
    one(appWith("export", { lastFailure: failure({ code: 9, step: "swap" }) }), ...well(2)),
    "1 stuck, 2 well · 1 server",
    [
      "bad export is stuck | the way back failed, too: 41-77aa01b at swap, 2 h ago by ci: npm ci exited with code 1 | dp -s ams-1 logs export --deploy --failed",
    ],
    true,
  ],
  [
    "stuck and down: two rows, and counted once",
    one(down("export", { lastFailure: failure({ code: 9, step: "swap" }) })),
    "1 down, 0 well · 1 server",
    [
      "bad export is down | for 4 m: 502 | dp -s ams-1 logs export --since 10m",
      "bad export is stuck | the way back failed, too: 41-77aa01b at swap, 2 h ago by ci: npm ci exited with code 1 | dp -s ams-1 logs export --deploy --failed",
    ],
    true,
  ],
  [
    "a worker and a job failed",
    one(
      appWith("shop", {
        failing: [
          { process: "worker.2", detail: "exited with 1" },
          { process: "cron.cleanup", detail: "killed by SIGKILL" },
        ],
      }),
    ),
    "The one app is well · 1 server",
    [
      "warn shop worker.2 | exited with 1 | dp -s ams-1 logs shop worker.2",
      "warn shop cron.cleanup | killed by SIGKILL | dp -s ams-1 logs shop cron.cleanup",
    ],
    true,
  ],
  [
    "an owed push",
    one(appWith("shop", { owed: "3f9c2ab" })),
    "The one app is well · 1 server",
    ["warn shop has a push to deploy | 3f9c2ab was pushed and not deployed | dp -s ams-1 reconcile shop"],
    false,
  ],
  [
    "locked",
    one(appWith("shop", { lock: { by: "ops", since: NOW - 1_500, reason: "moving the database" } })),
    "The one app is well · 1 server",
    ["note shop is locked | by ops for 25 m: moving the database | dp -s ams-1 unlock shop"],
    false,
  ],
  [
    "closed for maintenance, by somebody and by a damaged file",
    one(
      appWith("shop", { maintenance: { by: "ops", since: NOW - 1_500 } }),
      appWith("blog", { maintenance: { by: "somebody", since: null } }),
    ),
    "All 2 apps are well · 1 server",
    [
      "note shop is closed to its clients | by ops for 25 m | dp -s ams-1 maintenance shop off",
      "note blog is closed to its clients | by somebody | dp -s ams-1 maintenance blog off",
    ],
    false,
  ],
  [
    "locked without a reason, by a damaged lock",
    one(appWith("shop", { lock: { by: "somebody", since: null, reason: null } })),
    "The one app is well · 1 server",
    ["note shop is locked | by somebody | dp -s ams-1 unlock shop"],
    false,
  ],
  [
    "certificates: one that ends, one that never came, one that is tried again, one that is well",
    one(
      appWith("shop", {
        certs: [
          { name: "a.example.com", until: NOW + 6 * 86_400, late: NOW - 86_400, error: null },
          { name: "b.example.com", until: null, late: null, error: "the name leads elsewhere" },
          { name: "c.example.com", until: NOW + 20 * 86_400, late: NOW + 13 * 86_400, error: "no answer" },
          { name: "d.example.com", until: NOW + 60 * 86_400, late: NOW + 53 * 86_400, error: null },
          { name: "e.example.com", until: NOW - 60, late: NOW - 7_000, error: "no answer" },
          { name: "f.example.com", until: null, late: null, error: null },
          { name: "g.example.com", until: NOW + 86_400, late: NOW + 60, error: null },
          { name: "h.example.com", until: NOW + 13 * 86_400, late: NOW - 60, error: null },
        ],
      }),
    ),
    "The one app is well · 1 server",
    [
      "warn shop (a.example.com) | its certificate ends in 6 d, and was not renewed | dp -s ams-1 domains shop",
      "warn shop (b.example.com) | it has no certificate: the name leads elsewhere | dp -s ams-1 domains shop",
      "warn shop (e.example.com) | its certificate has ended, and was not renewed: no answer | dp -s ams-1 domains shop",
      "warn shop (h.example.com) | its certificate ends in 13 d, and was not renewed | dp -s ams-1 domains shop",
    ],
    false,
  ],
  [
    "muted, and one whose mute is over",
    one(appWith("shop", { muted: NOW + 7_200 }), appWith("blog", { muted: NOW - 1 })),
    "All 2 apps are well · 1 server",
    ["note shop is muted | nothing is told of it for 2 h more | dp -s ams-1 notify unmute shop"],
    false,
  ],
  [
    "the whole server muted: one row, whatever it has of apps",
    with_({ muted: NOW + 7_200 }, ...well(3)),
    "All 3 apps are well · 1 server",
    ["note ams-1 is muted | nothing is told of it for 2 h more | dp -s ams-1 notify unmute"],
    false,
  ],
  [
    "this server muted, and before that another",
    [serverWith(HERE, well(2), { muted: NOW + 60 }), serverWith("b", well(1), { muted: NOW })],
    "All 3 apps are well · 2 servers",
    ["note this server is muted | nothing is told of it for 1 m more | dp notify unmute"],
    false,
  ],
  [
    "a disk at 90 %",
    with_({ disk: { used: 72 * GB, total: 80 * GB, inodes: 0.9 } }),
    "No apps yet · 1 server",
    [],
    false,
  ],
  [
    "a disk above",
    with_({ disk: { used: 74 * GB, total: 80 * GB, inodes: null } }),
    "No apps yet · 1 server",
    ["warn ams-1: disk | 6 of 80 GB free | dp -s ams-1 doctor"],
    false,
  ],
  [
    "inodes",
    with_({ disk: { used: 7 * GB, total: 80 * GB, inodes: 0.96 } }),
    "No apps yet · 1 server",
    ["warn ams-1: inodes | 96 % of the files that fit are there | dp -s ams-1 doctor"],
    false,
  ],
  [
    "memory",
    with_({ mem: { used: 3.9 * GB, total: 4 * GB } }),
    "No apps yet · 1 server",
    ["warn ams-1: memory | 0.1 of 4 GB free | dp -s ams-1 doctor"],
    false,
  ],
  [
    "a restart is needed",
    with_({ reboot: true }),
    "No apps yet · 1 server",
    ["warn ams-1: reboot | an update wants the system restarted | ssh root@203.0.113.5"],
    false,
  ],
  [
    "the server itself, on the server",
    [
      serverWith(HERE, [], {
        disk: { used: 74 * GB, total: 80 * GB, inodes: null },
        reboot: true,
        findings: [finding({ app: null, check: "clock", what: "the clock is wrong" })],
      }),
    ],
    "No apps yet · 1 server",
    [
      "warn this server: disk | 6 of 80 GB free | dp doctor",
      "warn this server: reboot | an update wants the system restarted | reboot",
      "warn this server: doctor | the clock is wrong | dp doctor",
    ],
    false,
  ],
  [
    "doctor, of an app and of the server",
    with_(
      {
        findings: [
          finding(),
          finding({ what: "another" }),
          finding({ app: null, check: "clock", severity: "error", what: "the clock is wrong" }),
        ],
      },
      appWith("shop"),
    ),
    "The one app is well · 1 server",
    [
      "warn shop: doctor | main is not live, and 1 more | dp -s ams-1 doctor shop",
      "warn ams-1: doctor | the clock is wrong | dp -s ams-1 doctor",
    ],
    false,
  ],
  [
    "doctor: notes, and what the report itself tells newer, are left out",
    with_(
      {
        findings: [
          finding({ severity: "note" }),
          finding({ check: "health", severity: "error" }),
          finding({ check: "disk" }),
        ],
      },
      appWith("shop"),
    ),
    "The one app is well · 1 server",
    [],
    false,
  ],
  [
    "doctor: an app in an unknown state says it already",
    with_(
      { findings: [finding({ check: "current", severity: "error" })] },
      appWith("shop", { state: "unknown", detail: "current is not a link" }),
    ),
    "1 unknown, 0 well · 1 server",
    ["bad shop is in an unknown state | current is not a link | dp -s ams-1 doctor shop"],
    true,
  ],
  [
    "a server that never answered",
    [lost("ams-1", null), serverWith("b", well(2))],
    "1 server silent, 2 well · 2 servers",
    [`${CANNOT} no answer within 10 s | ssh root@203.0.113.5`],
    true,
  ],
  [
    "a server that was not asked yet",
    [Object.assign(lost("ams-1", null), { error: null })],
    "1 server silent, 0 well · 1 server",
    [`${CANNOT} it was not asked yet | ssh root@203.0.113.5`],
    true,
  ],
  [
    "a server that answers no more: its apps are unknown, whatever they were",
    [
      lost("ams-1", reportWith([down("search"), appWith("shop", { lastFailure: failure() })])),
      serverWith("b", well(2)),
    ],
    "2 unknown, 2 well · 2 servers",
    [`${CANNOT} for 5 m: no answer within 10 s; what follows is what was known then | ssh root@203.0.113.5`],
    true,
  ],
  [
    "with a port",
    [lost("ams-1", null, "ops@[2001:db8::5]:2222")],
    "1 server silent, 0 well · 1 server",
    [`${CANNOT} no answer within 10 s | ssh -p 2222 ops@2001:db8::5`],
    true,
  ],
  [
    "IPv6 without a port",
    [lost("ams-1", null, "[2001:db8::5]")],
    "1 server silent, 0 well · 1 server",
    [`${CANNOT} no answer within 10 s | ssh 2001:db8::5`],
    true,
  ],
  [
    "everything at once: what is worst first, else by server and app",
    [
      serverWith("a", [
        appWith("a1", { lock: { by: "x", since: NOW, reason: null } }),
        appWith("a2", { lastFailure: failure() }),
        deploying("a3"),
      ]),
      serverWith("b", [down("b1"), appWith("b2", { lastFailure: failure() })]),
      lost("c", null),
    ],
    "1 down, 1 server silent, 4 well · 3 servers · 1 deploying",
    [
      "bad b1 is down",
      "bad c cannot be reached",
      "go a3 deploys",
      "warn a2 failed to deploy",
      "warn b2 failed to deploy",
      "note a1 is locked",
    ],
    true,
  ],
];

test("the table has forty documents or more", () => expect(TABLE.length).toBeGreaterThanOrEqual(40));

describe.each(TABLE)("%s", (_, servers, words, rows, isBad) => {
  const found = attention(servers, NOW);

  test("its sentence", () => expect(told(sentence(servers))).toBe(words));

  test("its rows", () => {
    expect(found.map((row, at) => (rows[at]?.includes("|") ? line(row) : `${row.rank} ${row.what}`))).toEqual(rows);
  });

  test("its exit code", () => expect(isAmiss(found)).toBe(isBad));
});

test("times and amounts are short", () => {
  expect([0, 59, 60, 3_599, 3_600, 86_399, 86_400, 41 * 86_400].map((seconds) => ago(NOW - seconds, NOW))).toEqual([
    "0 s",
    "59 s",
    "1 m",
    "59 m",
    "1 h",
    "23 h",
    "1 d",
    "41 d",
  ]);
  expect(ago(NOW + 5, NOW)).toBe("0 s");
  expect([null, 0, 27 * 1024 ** 2, 1.4 * GB].map(bytes)).toEqual(["", "0 MB", "27 MB", "1.4 GB"]);
  expect(part({ used: 2.4 * GB, total: 4 * GB })).toBe("2.4/4 GB");
  expect(part({ used: 29 * GB, total: 80 * GB }, " of ")).toBe("29 of 80 GB");
  const minutes = (count: number): [number, number][] => [
    ...Array.from({ length: 58 }, (): [number, number] => [9, 0]),
    [count, 0],
    [1, 0],
  ];
  expect([0, 2, 18, 2_820].map((count) => rate(minutes(count)))).toEqual(["–", "–", "0.3", "47"]);
  expect(rate(null)).toBe("");
});

test("of a path its last name is left, of an address all", () => {
  expect(withoutPaths("/opt/deployments/shop/current is not a link; GET http://127.0.0.1:8000/health: 502")).toBe(
    "current is not a link; GET http://127.0.0.1:8000/health: 502",
  );
});
