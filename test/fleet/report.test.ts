// `dp report` of a server under DP_ROOT, with apps in every state that an app can be in.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { MINUTES, readReport, type AppReport, type Report } from "../../lib/fleet/document.ts";
import { places } from "../../lib/paths.ts";
import { commit, deployYml, dp, makeApp, runDp, useServer, type App } from "../support/core-server.ts";
import { plainEnv } from "../../lib/host/run.ts";

const server = useServer();
const flag = (name: string) => server.path(`flag-${name}`);
/** Answers 503 while its flag is there. */
const serverOf = (name: string) => `import { existsSync } from "node:fs";
Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT),
  fetch: () => new Response("", { status: existsSync(${JSON.stringify(flag(name))}) ? 503 : 200 }) });`;

async function deployed(name: string, more = "", subject = "Change", front = ""): Promise<App> {
  const app = await makeApp(front);
  const files = { "deploy.yml": deployYml(app.app, more), "server.ts": serverOf(name) };
  await commit(app.repo, files, subject);
  const { code, out, err } = await runDp(["deploy", app.app]);
  expect(`${code} ${code === 0 ? "" : out + err}`).toBe("0 ");
  return app;
}

async function reported(...words: string[]): Promise<Report> {
  const { code, out, err } = await runDp(["report", "--json", ...words]);
  expect(`${code} ${err}`).toBe("0 ");
  const read = readReport(out);
  if (typeof read === "string") throw new Error(`${read}: ${out.slice(0, 2000)}`);
  return read;
}
const of = (report: Report, app: App): AppReport => report.apps.find((each) => each.app === app.app)!;

/** Waits for something of another process. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`never came: ${what}`);
    await Bun.sleep(20);
  }
}

const WORKER = "processes:\n  worker: {command: exec sleep 1000, healthCheck: {stayUp: 1s}}\n";
let well: App;
let stopped: App;
let failed: App;
let down: App;
let empty: App;
let damaged: App;
let worker: App;

beforeAll(async () => {
  well = await deployed("well", WORKER, 'Say "hello" <b>', "front: relay");
  [stopped, failed] = await Promise.all([deployed("stopped"), deployed("failed")]);
  [down, damaged] = await Promise.all([deployed("down"), deployed("damaged")]);
  [empty, worker] = await Promise.all([makeApp(), makeApp()]);
  // Not what is first on PATH: that may be a script that needs more programs.
  symlinkSync("/usr/bin/python3", server.path("bin/python3"));
  await commit(worker.repo, { "deploy.yml": `name: ${worker.app}\ntype: python\n${WORKER}` });
  await Promise.all([
    runDp(["deploy", worker.app]).finally(() => rmSync(server.path("bin/python3"))),
    runDp(["stop", stopped.app]),
    runDp(["lock", stopped.app, "-m", "moving the database"]),
    (async () => {
      const yml = deployYml(failed.app, "build: echo secret-$((6 * 7)); exit 3\n");
      await commit(failed.repo, { "deploy.yml": yml, "server.ts": serverOf("failed") }, "Break it");
      expect((await runDp(["deploy", failed.app])).code).toBe(6);
    })(),
  ]);
  writeFileSync(flag("down"), "");
  rmSync(damaged.current);
  mkdirSync(damaged.current);
}, 120_000);

describe("the report has", () => {
  let report: Report;
  beforeAll(async () => {
    await (await fetch(`http://127.0.0.1:${well.port}/`)).text();
    report = await reported();
  });

  test("the figures of the machine", () => {
    expect(report).toMatchObject({ v: 1, reboot: false });
    expect(report.cpus).toBeGreaterThan(0);
    expect(report.host).not.toBe("");
    expect(Math.abs(report.now - Date.now() / 1000)).toBeLessThan(120);
    for (const { used, total } of [report.mem, report.disk]) {
      expect(used).toBeGreaterThan(0);
      expect(used).toBeLessThanOrEqual(total);
    }
    expect(report.apps.map(({ app }) => app)).toEqual([...report.apps.map(({ app }) => app)].sort());
  });

  test("an app that is well: release, who, when, health, memory, processes, the last hour and the last run", () => {
    const app = of(report, well);
    expect(app).toMatchObject({
      ...{ state: "ok", type: "python", manager: "builtin", subject: 'Say "hello" <b>', health: "200", detail: "" },
      ...{
        procs: { running: 2, wanted: 2 },
        restarts: 0,
        failing: [],
        lock: null,
        maintenance: null,
        owed: null,
        deploying: null,
      },
      ...{ lastFailure: null, url: `http://127.0.0.1:${well.port}` },
    });
    expect(app.live).toMatch(/^1-[0-9a-f]{7}$/);
    expect(app.by).not.toBe("");
    expect(report.now - app.at!).toBeLessThan(600);
    expect(report.now - app.since!).toBeLessThan(600);
    expect(app.ms!).toBeGreaterThan(0);
    expect(app.mem!).toBeGreaterThan(1024 * 1024);
    expect(app.minutes!.length).toBe(MINUTES);
    expect(app.minutes!.reduce((sum, [all]) => sum + all, 0)).toBe(app.requests!);
    expect(app.requests!).toBeGreaterThan(0);
    expect(app.processes).toEqual([
      { process: "web", state: "running", count: 1 },
      { process: "worker", state: "running", count: 1 },
    ]);
    expect(app.runs).toEqual([[expect.any(Number), "good", app.live!]]);
    expect(app.runs[0]![0]).toBeGreaterThan(0);
  });

  test("maintenance: who has closed the app, and since when", async () => {
    const file = join(well.base, "maintenance.json");
    writeFileSync(file, JSON.stringify({ by: "ops", since: "2026-03-01T12:04:00.000Z", page: null }));
    const closed = await reported();
    writeFileSync(file, "{");
    const damaged = await reported();
    rmSync(file);
    expect(of(closed, well).maintenance).toEqual({ by: "ops", since: Date.parse("2026-03-01T12:04:00Z") / 1000 });
    expect(of(damaged, well).maintenance).toEqual({ by: "somebody", since: null });
    expect(of(closed, stopped).maintenance).toBeNull();
  });

  test("a mute of an app and one of the whole server, each in its place", async () => {
    const file = server.path("var/lib/dp/notify/mutes.json");
    mkdirSync(dirname(file), { recursive: true });
    const mute = { until: new Date(Date.now() + 3_600_000).toISOString(), by: "ops", reason: null };
    writeFileSync(file, JSON.stringify({ all: mute, apps: { [well.app]: mute } }));
    const muted = await reported();
    rmSync(file);
    const until = Math.floor(Date.parse(mute.until) / 1000);
    expect([muted.muted, of(muted, well).muted, of(muted, stopped).muted]).toEqual([until, until, null]);
    expect([report.muted, of(report, well).muted]).toEqual([null, null]);
  });

  test("a stopped one, that somebody has locked", () => {
    const app = of(report, stopped);
    expect(app).toMatchObject({ state: "stopped", health: null, procs: { running: 0, wanted: 0 }, mem: null });
    expect(app.lock).toMatchObject({ reason: "moving the database" });
    expect(report.now - app.since!).toBeLessThan(600);
  });

  test("one whose last deploy failed, without its output", () => {
    const app = of(report, failed);
    expect(app.state).toBe("ok");
    expect(app.runs.map(([, state]) => state)).toEqual(["good", "failed"]);
    expect(app.lastFailure).toMatchObject({ step: "build", code: 6 });
    expect(app.lastFailure!.error).toContain("exited with code 3");
    expect(JSON.stringify(report)).not.toContain("secret-42");
  });

  test("one that is down, and since when, also at the next look", async () => {
    expect(of(report, down)).toMatchObject({ state: "down", health: "503", ms: null, since: report.now });
    const later = await reported();
    expect(of(later, down)).toMatchObject({ state: "down", since: report.now });
  });

  test("one without any release, and one whose link is no link", () => {
    expect(of(report, empty)).toMatchObject({ state: "empty", live: null, runs: [], minutes: null });
    expect(of(report, damaged)).toMatchObject({ state: "unknown", live: null });
    expect(of(report, damaged).detail).toContain("is not a link");
  });

  test("one without a web process, which is as well as its processes", () => {
    expect(of(report, worker)).toMatchObject({ state: "ok", health: null, procs: { running: 1, wanted: 1 } });
  });

  test("no path and no setting", () => {
    const text = JSON.stringify(report);
    expect(text).not.toContain(server.path());
    expect(text).not.toContain("sleep 1000");
  });
});

test("an app that is being deployed: which commit, by whom, at which of how many steps", async () => {
  const door = server.path("door");
  const inside = server.path("inside");
  const build = `touch '${inside}'; while [ ! -e '${door}' ]; do sleep 0.02; done`;
  const yml = deployYml(down.app, `build: ${JSON.stringify(build)}\n`);
  await commit(down.repo, { "deploy.yml": yml, "server.ts": serverOf("well") }, "Mend it");
  const deploy = Bun.spawn([...dp, "deploy", down.app], {
    env: { ...plainEnv(), DP_ROOT: process.env["DP_ROOT"]! },
    ...{ stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  });
  try {
    await until("the build", () => existsSync(inside));
    const app = of(await reported(), down);
    expect(app).toMatchObject({ state: "deploying", health: "503", live: expect.stringMatching(/^1-/) });
    expect(app.deploying).toMatchObject({
      id: expect.stringMatching(/^2-/),
      subject: "Mend it",
      step: "build",
      of: 15,
    });
    expect(app.deploying!.index).toBe(6);
  } finally {
    writeFileSync(door, "");
    await deploy.exited;
  }
  rmSync(flag("down"), { force: true });
  expect(of(await reported(), down)).toMatchObject({
    state: "ok",
    lastFailure: null,
    live: expect.stringMatching(/^2-/),
  });
});

test("config.yml with a mistake: the app is shown as it is, and the mistake beside it", async () => {
  const before = readFileSync(well.config, "utf8");
  writeFileSync(well.config, `${before}prot: 1\n`);
  try {
    expect(of(await reported(), well)).toMatchObject({ state: "ok", detail: expect.stringContaining("unknown key") });
  } finally {
    writeFileSync(well.config, before);
  }
});

test("a kept file that is damaged, or cannot be read, is made anew", async () => {
  const file = server.path("var/lib/dp/report.json");
  for (const text of ["{", "null", '{"v":1,"apps":null}', '{"v":7}', "[]"]) {
    writeFileSync(file, text);
    expect(of(await reported(), failed).runs.map(([, state]) => state)).toEqual(["good", "failed"]);
    expect(JSON.parse(readFileSync(file, "utf8")).apps[failed.app].runs).toBeTruthy();
  }
  rmSync(file);
  symlinkSync(server.path("nowhere"), file);
  expect((await reported()).apps.length).toBeGreaterThan(5);
  expect(existsSync(server.path("nowhere"))).toBe(false);
});

test("what dp doctor finds is in the next report, is kept, and names no folder", async () => {
  await until("the look that a report started", () => existsSync(server.path("var/lib/dp/findings.json")));
  rmSync(server.path("var/lib/dp/findings.json"));
  expect((await runDp(["report", "--look"])).code).toBe(0);
  const { findings, findingsAt, now } = await reported();
  expect(now - findingsAt!).toBeLessThan(600);
  const own = findings.filter(({ app }) => app === damaged.app);
  expect(own.map(({ check }) => check)).toContain("current");
  expect(findings.map(({ what }) => what).join("\n")).not.toContain(server.path());
  expect(Object.keys(own[0]!).sort()).toEqual(["app", "check", "severity", "what"]);
});

test("a dp doctor that is typed renews what is kept, and what a former release was found to be is left out", async () => {
  const kept = async (app: App) =>
    (await reported()).findings.filter((each) => each.app === app.app && each.check === "rights");
  chmodSync(well.runs, 0o755);
  await runDp(["doctor", well.app]);
  expect(await kept(well)).toMatchObject([{ what: "runs has mode 755, not 700" }]);
  chmodSync(well.runs, 0o700);
  await runDp(["doctor"]);
  expect(await kept(well)).toEqual([]);

  const file = server.path("var/lib/dp/findings.json");
  const { live, findings, at } = JSON.parse(readFileSync(file, "utf8"));
  expect(live[well.app]).toBe(basename(readlinkSync(well.current)));
  const about = (app: string, id: string) => ({
    app,
    check: "rights",
    severity: "warning",
    what: `${app}@${id}: a.db`,
  });
  const [now, then] = [live[well.app], "1-aaaaaaa"];
  const write = (known: string) =>
    writeFileSync(
      file,
      JSON.stringify({
        at,
        findings: [...findings, about(well.app, then), about(well.app, now)],
        live: { ...live, [well.app]: known },
      }),
    );
  write(then);
  expect((await kept(well)).map(({ what }) => what)).toEqual([`${well.app}@${now}: a.db`]);
  // A release that was not live then either: a process of it that should not run, say.
  write(now);
  expect((await kept(well)).length).toBe(2);
});

test("what dp watch saw last takes the place of a health check with --no-probe, and says since when", async () => {
  expect((await runDp(["watch"])).code).toBe(0);
  const file = server.path("var/lib/dp/watch.json");
  const seen = JSON.parse(readFileSync(file, "utf8"));
  Object.assign(seen.apps[well.app], {
    verdict: "down",
    state: "down",
    health: "500",
    since: "2026-03-01T12:00:00.000Z",
  });
  writeFileSync(file, JSON.stringify(seen));
  expect(of(await reported("--no-probe"), well)).toMatchObject({ state: "down", health: "500", since: 1_772_366_400 });
  expect(of(await reported(), well)).toMatchObject({ state: "ok", health: "200" });
});

test("for people it is one screen", async () => {
  const { code, out } = await runDp(["report"]);
  expect(code).toBe(0);
  expect(out.split("\n")[0]).toMatch(/^1 unknown, 4 well · 1 server · 1 stopped · 1 empty$/);
  expect(out).toContain(`dp logs ${failed.app} --deploy --failed`);
  expect(out).toMatch(new RegExp(`^  ${well.app} .* ms .* /s$`, "m"));
});

describe("a hundred apps", () => {
  const names = Array.from({ length: 100 }, (_, at) => `many-${at}`);
  let web: ReturnType<typeof Bun.serve>;
  beforeAll(() => {
    web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("") });
    const model = JSON.parse(readFileSync(join(well.runs, `${basename(readlinkSync(well.current))}.json`), "utf8"));
    for (const name of names) {
      const own = places(name);
      for (const folder of [own.runs, own.releases, own.instances]) mkdirSync(folder, { recursive: true });
      writeFileSync(own.config, `port: ${web.port}\nmanager: builtin\nfront: none\n`);
      for (let number = 1; number <= 24; number++) {
        const id = `${number}-aaaaaaa`;
        const release = join(own.releases, id);
        const facts = { ...model.facts, app: name, id, release, config: { ...model.facts.config, processes: {} } };
        writeFileSync(join(own.runs, `${id}.json`), JSON.stringify({ ...model, facts }), { mode: 0o600 });
      }
      mkdirSync(join(own.releases, "24-aaaaaaa"));
      symlinkSync("releases/24-aaaaaaa", own.current);
    }
  });
  afterAll(async () => {
    await web?.stop(true);
    for (const name of names) rmSync(places(name).base, { recursive: true });
  });

  test("are asked at once: each is there, whole", async () => {
    await reported();
    const began = performance.now();
    const report = await reported();
    console.log(`100 apps, 24 runs each: ${Math.round(performance.now() - began)} ms`);
    const many = report.apps.filter(({ app }) => app.startsWith("many-"));
    expect(many.length).toBe(100);
    for (const app of many) expect(app).toMatchObject({ state: "ok", health: "200", live: "24-aaaaaaa" });
    expect(many.every(({ runs }) => runs.length === 24)).toBe(true);
  });
});
