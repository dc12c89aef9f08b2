// `dp metrics`: read by a strict parser and by promtool, written for node_exporter, drawn by the dashboard.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Report } from "../../lib/fleet/document.ts";
import { endsOf, metricsText, type Ends } from "../../lib/fleet/metrics.ts";
import { dp } from "../support/core-server.ts";
import { demoFleet } from "./support/demo.ts";
import { appWith, down, failure, NOW, reportWith } from "./support/fleets.ts";

const project = resolve(import.meta.dir, "../..");
const promtool = Bun.which("promtool");

interface Family {
  type: string;
  help: string;
  /** `{app="shop"}` -> value. */
  samples: Map<string, number>;
}

/** Reads the text format, and complains about everything that Prometheus would, or that makes it guess. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let current = "";
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.slice(0, -1).split("\n")) {
    const [, help, words] = /^# HELP ([a-z][a-z0-9_]*) (\S.*)$/.exec(line) ?? [];
    const [, typed, type] = /^# TYPE ([a-z][a-z0-9_]*) (gauge|counter)$/.exec(line) ?? [];
    if (help !== undefined) {
      if (families.has(help)) throw new Error(`HELP twice: ${help}`);
      families.set(help, { type: "", help: words!, samples: new Map() });
      current = help;
      continue;
    }
    if (typed !== undefined) {
      if (typed !== current || families.get(typed)!.type !== "") throw new Error(`TYPE out of place: ${typed}`);
      families.get(typed)!.type = type!;
      continue;
    }
    const [, name, labels = "", value] =
      /^([a-z][a-z0-9_]*)(\{[^}]*\})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`no sample: ${line}`);
    const family = families.get(current);
    if (name !== current || !family || family.type === "") throw new Error(`a sample out of place: ${line}`);
    if (labels !== "" && !/^\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\}$/.test(labels))
      throw new Error(`labels: ${line}`);
    if (family.samples.has(labels)) throw new Error(`twice: ${line}`);
    if (family.type === "counter" && !name.endsWith("_total")) throw new Error(`a counter's name: ${name}`);
    if (family.type === "counter" && Number(value) < 0) throw new Error(`a counter below 0: ${line}`);
    family.samples.set(labels, Number(value));
  }
  for (const [name, { samples }] of families) if (samples.size === 0) throw new Error(`no samples: ${name}`);
  return families;
}

const ENDS: Ends = { good: 84, failed: 2, superseded: 1 };
const textOf = (report: Report) => metricsText(report, new Map(report.apps.map(({ app }) => [app, ENDS])));
const valueOf = (text: string, name: string, labels = "") => parse(text).get(name)?.samples.get(labels);

/** What promtool says of a text; empty: nothing. */
function lint(text: string): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync([promtool!, "check", "metrics"], { stdin: Buffer.from(text) });
  return exitCode === 0 ? "" : `${exitCode} ${stdout.toString()}${stderr.toString()}`;
}

describe("the text", () => {
  const shop = appWith("shop", { certs: [{ name: "shop.example.com", until: NOW + 9, late: NOW, error: null }] });
  const report = reportWith([
    ...[
      shop,
      down("search", {
        lock: { by: "ops", since: 1, reason: null },
        maintenance: { by: "ops", since: 1 },
        lastFailure: failure(),
      }),
    ],
    ...[
      appWith("off", { state: "stopped", health: null, ms: null, mem: null }),
      appWith("beta", {
        state: "empty",
        live: null,
        at: null,
        mem: null,
        minutes: null,
        requests: null,
        failed: null,
        connections: null,
        runs: [],
      }),
    ],
    appWith("jobs", {
      health: null,
      ms: null,
      procs: { running: 2, wanted: 2 },
      processes: [{ process: "worker", state: "running", count: 2 }],
    }),
    appWith("odd", { state: "unknown", type: 'a"b\\c\nd' }),
  ]);
  const text = textOf(report);

  test("is read by a strict parser", () => {
    const families = parse(text);
    expect([...families.keys()].every((name) => name.startsWith("dp_"))).toBe(true);
    expect(families.size).toBe(18);
    expect(text).not.toMatch(/ \d{13}$/m);
  });

  test.each<[string, string, number | undefined]>([
    ["dp_info", '{version="0.3.0"}', 1],
    ["dp_collected_timestamp_seconds", "", NOW],
    ["dp_app_up", '{app="shop"}', 1],
    ["dp_app_up", '{app="search"}', 0],
    ["dp_app_up", '{app="jobs"}', 1],
    ["dp_app_maintenance", '{app="search"}', 1],
    ["dp_app_maintenance", '{app="shop"}', 0],
    ["dp_app_up", '{app="odd"}', 0],
    ["dp_app_up", '{app="off"}', undefined],
    ["dp_app_up", '{app="beta"}', undefined],
    ["dp_app_info", '{app="shop",type="python",release="42-3f9c2ab",manager="systemd"}', 1],
    ["dp_app_info", '{app="odd",type="a\\"b\\\\c\\nd",release="42-3f9c2ab",manager="systemd"}', 1],
    ["dp_app_health_seconds", '{app="shop"}', 0.0154],
    ["dp_app_health_seconds", '{app="search"}', undefined],
    ["dp_app_restarts_total", '{app="shop"}', 0],
    ["dp_app_processes", '{app="jobs",process="worker",state="running"}', 2],
    ["dp_app_memory_bytes", '{app="shop"}', 28311552],
    ["dp_app_live_since_timestamp_seconds", '{app="shop"}', NOW - 7_200],
    ["dp_front_requests_total", '{app="shop"}', 389],
    ["dp_front_failed_total", '{app="shop"}', 0],
    ["dp_front_connections", '{app="shop"}', 3],
    ["dp_deploys_total", '{app="shop",result="good"}', 84],
    ["dp_deploys_total", '{app="shop",result="failed"}', 2],
    ["dp_deploy_duration_seconds", '{app="shop",release="42-3f9c2ab"}', 4.3],
    ["dp_app_locked", '{app="search"}', 1],
    ["dp_app_deploying", '{app="shop"}', 0],
    ["dp_certificate_not_after_timestamp_seconds", '{name="shop.example.com"}', NOW + 9],
  ])("has %s%s", (name, labels, value) => {
    expect(valueOf(text, name, labels)).toBe(value);
  });

  test.skipIf(promtool === null)("passes promtool's lint, also without apps and with thirty", () => {
    for (const each of [report, reportWith([]), ...demoFleet().map((server) => server.report!)])
      expect(lint(textOf(each))).toBe("");
  });

  test("has labels of few values alone", () => {
    const names = new Set([...text.matchAll(/[{,]([a-z]+)="/g)].map(([, name]) => name));
    expect([...names].sort()).toEqual([
      "app",
      "manager",
      "name",
      "process",
      "release",
      "result",
      "state",
      "type",
      "version",
    ]);
  });
});

test("the deploys never become fewer when old records go", () => {
  const run = { state: "good" as const, release: null, by: "", endedAt: 0, took: 0 };
  expect(
    endsOf({
      folder: "",
      downSince: null,
      gone: { good: 10, failed: 1, superseded: 0 },
      runs: { a: run, b: Object.assign({}, run, { state: "failed" }) },
    }),
  ).toEqual({ good: 11, failed: 2, superseded: 0 });
});

describe("dp metrics", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "dp-metrics-"));
    mkdirSync(join(folder, "opt/deployments"), { recursive: true });
    mkdirSync(join(folder, "text"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  function run(...words: string[]) {
    const { exitCode, stdout, stderr } = Bun.spawnSync([...dp, "metrics", ...words], {
      env: { PATH: process.env["PATH"]!, HOME: folder, DP_ROOT: folder },
    });
    return { code: exitCode, out: stdout.toString(), err: stderr.toString() };
  }

  test("prints them", () => {
    const { code, out } = run();
    expect(code).toBe(0);
    expect(valueOf(out, "dp_collected_timestamp_seconds")).toBeGreaterThan(1_700_000_000);
  });

  test("--textfile writes them by rename, for everybody to read, and nothing else", () => {
    const file = join(folder, "text/dp.prom");
    expect(run("--textfile", join(folder, "text"))).toEqual({ code: 0, out: "", err: "" });
    expect(statSync(file).mode & 0o777).toBe(0o644);
    const before = statSync(file).ino;
    parse(readFileSync(file, "utf8"));
    expect(run("--textfile", join(folder, "text")).code).toBe(0);
    expect(statSync(file).ino).not.toBe(before);
    expect([...new Bun.Glob("*").scanSync(join(folder, "text"))]).toEqual(["dp.prom"]);
  });

  test("--textfile into nothing or a file is a mistake", () => {
    writeFileSync(join(folder, "file"), "");
    for (const where of ["nowhere", "file"]) {
      const { code, err } = run("--textfile", join(folder, where));
      expect(code).toBe(2);
      expect(err).toContain("is not a folder");
    }
  });

  test("--dashboard prints the dashboard", () => {
    const { code, out } = run("--dashboard");
    expect(code).toBe(0);
    expect(out).toBe(readFileSync(join(project, "templates/grafana.json"), "utf8"));
  });

  test("--install needs systemd and root", () => {
    for (const words of [["--install", join(folder, "text")], ["--uninstall"]]) {
      const { code, err } = run(...words);
      expect(code).toBe(8);
      expect(err).toContain("needs systemd and root");
    }
    expect(existsSync("/etc/systemd/system/dp-metrics.timer")).toBe(false);
  });
});

test("the dashboard has eight panels and the deploys as annotations, made of these metrics alone", () => {
  interface Dashboard {
    panels: { title: string; targets: { expr: string }[]; gridPos: Record<"x" | "y" | "w" | "h", number> }[];
    annotations: { list: { expr: string }[] };
    templating: { list: { query: string }[] };
  }
  const board = JSON.parse(readFileSync(join(project, "templates/grafana.json"), "utf8")) as Dashboard;
  expect(board.panels.length).toBe(8);
  const known = new Set(
    parse(textOf(reportWith([appWith("shop", { certs: [{ name: "a", until: NOW, late: NOW, error: null }] })]))).keys(),
  );
  const queries = [
    ...board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...board.annotations.list.map(({ expr }) => expr),
    ...board.templating.list.map(({ query }) => query),
  ];
  const used = new Set(queries.flatMap((query) => query.match(/dp_[a-z_]+/g) ?? []));
  expect([...used].filter((name) => !known.has(name))).toEqual([]);
  expect(used.size).toBeGreaterThan(8);
  const cells = board.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  if (promtool === null) return;
  const rules = {
    groups: [
      {
        name: "a",
        rules: queries
          .filter((query) => query.includes("dp_") && !query.startsWith("label_values"))
          .map((expr, at) => ({ record: `r${at}`, expr: expr.replaceAll("$server", ".*").replaceAll("$app", ".*") })),
      },
    ],
  };
  const file = join(mkdtempSync(join(tmpdir(), "dp-rules-")), "rules.yml");
  writeFileSync(file, JSON.stringify(rules));
  const { exitCode, stderr } = Bun.spawnSync([promtool, "check", "rules", file]);
  expect(`${exitCode} ${stderr.toString()}`).toBe("0 ");
  rmSync(join(file, ".."), { recursive: true });
});
