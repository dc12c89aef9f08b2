// The Procfile: what its lines mean and which are refused.
import { expect, test } from "bun:test";
import { deployConfig } from "../support/configs.ts";
import { parseProcfile, webProcess, withProcfile } from "../../lib/config/procfile.ts";
import type { Tree } from "../../lib/git/tree.ts";

const tree = (text: string | null): Tree => ({
  read: async (path) => (path === "Procfile" ? text : null),
  link: async () => null,
  list: async () => [],
});

test.each([
  ["web: gunicorn app:app", { web: "gunicorn app:app" }],
  ["web:gunicorn app:app", { web: "gunicorn app:app" }],
  ["\uFEFFweb: a\r\nworker: b\r\n", { web: "a", worker: "b" }],
  ["# a comment\n\n  web:  python3 main.py --bind :$PORT  \n", { web: "python3 main.py --bind :$PORT" }],
  ["web-2: x\nmy_worker: y", { "web-2": "x", my_worker: "y" }],
  ["", {}],
])("%j is %j", (text, processes) => {
  expect(Object.fromEntries(parseProcfile(text))).toEqual(processes as Record<string, string>);
});

test.each([
  ["web gunicorn", "Procfile:1: expected"],
  ["web: a\nworker:", 'Procfile:2: expected "type: command", found "worker:"'],
  ["web: a\n\nweb: b", "Procfile:3: web is defined twice"],
  ["web: a\n2nd: b", "Procfile:2: 2nd cannot be the name of a process: a letter, then"],
  ["cron: a", "Procfile:1: cron cannot be the name of a process"],
])("%j is refused", (text, message) => {
  expect(() => parseProcfile(text)).toThrow(message);
});

test("the web process is the line of web, and null without a file or without web", async () => {
  expect(await webProcess(tree("release: x\nweb: run me"))).toBe("run me");
  expect(await webProcess(tree("worker: x"))).toBeNull();
  expect(await webProcess(tree(null))).toBeNull();
});

const HEAD = "name: shop\ntype: python\nhealthCheck: /\n";
const PROCFILE = "web: serve\nrelease: ./migrate\nworker: work\nclock: tick\n";

test.each([
  [
    "nothing of its own",
    HEAD,
    { command: "serve", preDeploy: "./migrate", processes: { worker: "work", clock: "tick" }, ignored: [] },
  ],
  [
    "a command",
    `${HEAD}command: own\n`,
    { command: "own", preDeploy: "./migrate", processes: { worker: "work", clock: "tick" }, ignored: ["web"] },
  ],
  [
    "processes",
    `${HEAD}processes: {web: own, mail: send}\n`,
    { command: "own", preDeploy: "./migrate", processes: { mail: "send" }, ignored: ["web", "worker", "clock"] },
  ],
  [
    "a hook",
    `${HEAD}hooks: {preDeploy: ./own}\n`,
    { command: "serve", preDeploy: "./own", processes: { worker: "work", clock: "tick" }, ignored: ["release"] },
  ],
  [
    "no web process",
    "name: shop\ntype: python\nprocesses: {mail: send}\n",
    { command: undefined, preDeploy: "./migrate", processes: { mail: "send" }, ignored: ["web", "worker", "clock"] },
  ],
])("what a Procfile adds to a deploy.yml with %s", async (_what, yml, expected) => {
  const { config, ignored } = await withProcfile(deployConfig(yml), tree(PROCFILE));
  const processes = Object.fromEntries(Object.entries(config.processes).map(([name, { command }]) => [name, command]));
  expect({ command: config.command, preDeploy: config.hooks.preDeploy, processes, ignored }).toEqual(expected as never);
  for (const name of ["worker", "clock"])
    if (name in processes)
      expect(config.processes[name]).toMatchObject({ healthCheck: { stayUp: 3000 }, overlap: false });
});

test("without a Procfile a deploy.yml is what it was", async () => {
  const config = deployConfig(HEAD);
  expect(await withProcfile(config, tree(null))).toEqual({ config, ignored: [] });
});
