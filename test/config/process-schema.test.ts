// `processes` and `cron` of deploy.yml, `scale` of config.yml: what they mean, and what is wrong with bad ones.
import { describe, expect, test } from "bun:test";
import { deployConfig, serverConfig } from "../support/configs.ts";
import { DpError } from "../../lib/errors.ts";

const HEAD = "name: shop\ntype: python\nhealthCheck: /health\n";
const deploy = (text: string) => deployConfig(text, ["python", "node"]);

function problems(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof DpError) return error.lines;
    throw error;
  }
  throw new Error("accepted");
}

describe("processes", () => {
  test("a line, or a mapping with all that can be said", () => {
    const text = `${HEAD}processes:
  web: serve
  worker: work
  mail: {command: send, healthCheck: {stayUp: 10s}, overlap: true, stopTimeout: 5m}
  clock: {command: tick, healthCheck: {command: ./check, timeout: 1s}}
`;
    expect(deploy(text)).toMatchObject({
      command: "serve",
      processes: {
        worker: { command: "work", healthCheck: { stayUp: 3_000 }, overlap: false },
        mail: { command: "send", healthCheck: { stayUp: 10_000 }, overlap: true, stopTimeout: 300_000 },
        clock: {
          command: "tick",
          healthCheck: { command: "./check", timeout: 1_000, interval: 1_000, startTimeout: 60_000 },
        },
      },
    });
    expect(Object.keys(deploy(text).processes)).toEqual(["worker", "mail", "clock"]);
  });

  test("web may be a mapping, and be left out with the health check", () => {
    expect(deploy(`${HEAD}processes: {web: {command: serve}}\n`)).toMatchObject({ command: "serve", processes: {} });
    const alone = deploy("name: shop\ntype: python\nprocesses: {worker: work}\n");
    expect([alone.healthCheck, alone.command, Object.keys(alone.processes)]).toEqual([
      undefined,
      undefined,
      ["worker"],
    ]);
    expect(deploy("name: shop\ntype: python\ncron: [{schedule: '@daily', command: a}]\n").healthCheck).toBeUndefined();
  });

  test("everything that is wrong, with its place", () => {
    const text = `name: shop
type: python
command: serve
processes:
  web: {command: serve, overlap: true, healthCheck: {stayUp: 1s}}
  worker: {command: work, healthCheck: {stayup: 1s}, overlap: yes}
  cron: tick
  "two words": x
  mail: {command: send, stopTimeout: 5}
  clock: {command: tick, healthCheck: {stayUp: 1s, timeout: 1s}}
  empty:
`;
    expect(problems(() => deploy(text))).toEqual([
      'deploy.yml:1:1 healthCheck: missing, add "healthCheck: /health"',
      "deploy.yml:3:1 command: is also given as processes.web, keep one of them",
      "deploy.yml:5:25 processes.web.overlap: is not for web",
      "deploy.yml:5:40 processes.web.healthCheck: web has the healthCheck at the top of the file, write it there",
      "deploy.yml:6:40 processes.worker.healthCheck: needs stayUp or command",
      'deploy.yml:6:41 processes.worker.healthCheck.stayup: unknown key, did you mean "stayUp"?',
      'deploy.yml:6:63 processes.worker.overlap: must be true or false, not "yes"',
      expect.stringMatching(/^deploy\.yml:7:9 processes\.cron: must be a name such as worker: .*not "cron"$/),
      expect.stringMatching(/^deploy\.yml:8:16 processes\."two words": must be a name such as worker: /),
      'deploy.yml:9:38 processes.mail.stopTimeout: needs a unit, write "5s"',
      "deploy.yml:10:39 processes.clock.healthCheck: keep either stayUp or command",
      "deploy.yml:11:9 processes.empty: empty, give it a value or remove the line",
    ]);
    expect(problems(() => deploy(`${HEAD}processes: [work]\n`))).toEqual([
      "deploy.yml:4:12 processes: must be a mapping of keys to values, not a list",
    ]);
  });
});

test.each([
  [
    "static",
    "static: {root: public}\nprocesses: {worker: work}\ncron: []\n",
    [
      "deploy.yml:5:1 processes: type static starts nothing, remove it",
      "deploy.yml:6:1 cron: type static starts nothing, remove it",
    ],
  ],
  [
    "docker",
    "processes: {worker: {command: work, healthCheck: {command: ./check}}}\n",
    ["deploy.yml:4:51 processes.worker.healthCheck.command: would run beside the container, not in it; use stayUp"],
  ],
])("what type %s cannot do", (type, more, lines) => {
  const text = `name: shop\ntype: ${type}\nhealthCheck: /\n${more}`;
  expect(problems(() => deployConfig(text))).toEqual(lines);
});

describe("cron", () => {
  test("an entry without a name gets one from its command", () => {
    const text = `${HEAD}cron:
  - {schedule: "*/5 * * * *", command: python manage.py cleanup --all}
  - {schedule: "@daily", command: ./2/report.sh, timeZone: Europe/Berlin}
  - {schedule: "0 3 * * mon", command: "!", name: odd_One}
`;
    expect(deploy(text).cron).toEqual([
      { schedule: "*/5 * * * *", command: "python manage.py cleanup --all", name: "python-manage-py-cleanup-all" },
      { schedule: "@daily", command: "./2/report.sh", timeZone: "Europe/Berlin", name: "report-sh" },
      { schedule: "0 3 * * mon", command: "!", name: "odd_One" },
    ]);
  });

  test("everything that is wrong, with its place", () => {
    const text = `${HEAD}cron:
  - {schedule: "*/5 * * *", command: a}
  - {schedule: "0 25 * * *", command: b}
  - {command: c}
  - {schedule: "@daily", command: a}
  - {schedule: "@daily", command: d, name: b}
  - {schedule: "@daily", command: e, timezone: UTC}
  - {schedule: "@daily", command: f, timeZone: Europe/Nowhere}
  - {schedule: "@daily", command: g, name: "../g"}
  - often
`;
    expect(problems(() => deploy(text))).toEqual([
      "deploy.yml:5:16 cron.0.schedule: needs five fields, minute hour day month weekday, and has 4",
      'deploy.yml:6:16 cron.1.schedule: hour "25": must be from 0 to 23, not "25"',
      'deploy.yml:7:5 cron.2.schedule: missing, add "schedule: */5 * * * *"',
      "deploy.yml:8:5 cron.3: is named a like an entry before it, give it a name",
      "deploy.yml:9:5 cron.4: b is the name of an entry before it",
      'deploy.yml:10:38 cron.5.timezone: unknown key, did you mean "timeZone"?',
      'deploy.yml:11:48 cron.6.timeZone: must be a time zone such as Europe/Berlin, not "Europe/Nowhere"',
      expect.stringMatching(/^deploy\.yml:12:44 cron\.7\.name: must be a name such as worker: /),
      'deploy.yml:13:5 cron.8: must be a mapping of keys to values, not "often"',
    ]);
  });
});

describe("scale", () => {
  const server = (line: string) => serverConfig(`port: 8000\nmanager: builtin\n${line}\n`);

  test("counts of processes", () => {
    expect(server("scale: {worker: 2, clock: 0, web: 1}").scale).toEqual({ worker: 2, clock: 0, web: 1 });
    expect(server("scale:\n  worker: 100").scale).toEqual({ worker: 100 });
  });

  test.each([
    ["scale: {worker: two}", 'config.yml:3:17 scale.worker: must be a whole number from 0 to 100, not "two"'],
    ["scale: {worker: 101}", "config.yml:3:17 scale.worker: must be a whole number from 0 to 100, not the number 101"],
    ["scale: {worker: -1}", "config.yml:3:17 scale.worker: must be a whole number from 0 to 100, not the number -1"],
    ["scale: {a b: 1}", 'config.yml:3:14 scale."a b": must be the name of a process, not "a b"'],
    ["scale: 2", "config.yml:3:8 scale: must be"],
    ["scale: [2]", "config.yml:3:8 scale: must be a mapping of keys to values, not a list"],
    ["scale: {web: 2}", "config.yml:3:8 scale: web is one process"],
    ["scale: {web: 0}", "config.yml:3:8 scale: web is one process"],
  ])("%s is refused", (line, what) => expect(problems(() => server(line))[0]).toStartWith(what));
});
