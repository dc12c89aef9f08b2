// The Procfile: what its lines mean and which are refused.
import { expect, test } from "bun:test";
import { parseProcfile, webProcess } from "../lib/procfile.ts";
import type { Tree } from "../lib/tree.ts";

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
  ["web: a\n\nweb: b", "Procfile:3: web is there twice"],
])("%j is refused", (text, message) => {
  expect(() => parseProcfile(text)).toThrow(message);
});

test("the web process is the line of web, and null without a file or without web", async () => {
  expect(await webProcess(tree("release: x\nweb: run me"))).toBe("run me");
  expect(await webProcess(tree("worker: x"))).toBeNull();
  expect(await webProcess(tree(null))).toBeNull();
});
