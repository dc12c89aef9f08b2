// The vocabulary of facts: what an older dp has written is read as what it means today.
import { expect, test } from "bun:test";
import { containerLimits, settingsOf } from "../../lib/docker/config.ts";
import { siteIn } from "../../lib/apps/static/settings.ts";
import { factOf, type Run } from "../../lib/pipeline/run-file.ts";
import { fact } from "../../lib/pipeline/facts.ts";

const runOf = (facts: Record<string, unknown>): Run => ({ version: 1, facts, journal: {} });
const HEAD = { name: "shop", healthCheck: { path: "/" }, hooks: {} };

test("a config of dp 0.1.0 has its type's settings under the type's name", () => {
  const docker = { file: "web.Dockerfile", args: { A: "1" }, port: 80 };
  const config = factOf(runOf({ config: { ...HEAD, type: "docker", docker } }), "config", fact.config);
  expect(settingsOf(config)).toEqual(docker);
  expect([config.processes, config.cron]).toEqual([{}, []]);
  const site = { root: "dist", spa: false, headers: {}, keepAssets: 1000 };
  const page = factOf(runOf({ config: { ...HEAD, type: "static", static: site } }), "config", fact.config);
  expect(siteIn(page)).toEqual(site);
  const plain = factOf(runOf({ config: { ...HEAD, type: "python" } }), "config", fact.config);
  expect(plain.settings).toBeUndefined();
});

test("a config of today keeps what its type has read", () => {
  const config = { ...HEAD, type: "docker", settings: { file: "Dockerfile", args: {} } };
  expect(settingsOf(factOf(runOf({ config }), "config", fact.config))).toEqual({ file: "Dockerfile", args: {} });
});

test("a config.yml of dp 0.1.0 has the limits of containers beside the other keys", () => {
  const server = { port: 8000, manager: "systemd", front: "relay", docker: { memory: "64m" } };
  const read = factOf(runOf({ server }), "server", fact.server);
  expect(read.settings).toEqual({ docker: { memory: "64m" } });
  expect(containerLimits(read.settings)).toEqual({ memory: "64m" });
  const now = { ...server, settings: { docker: { memory: "32m" } } };
  expect(containerLimits(factOf(runOf({ server: now }), "server", fact.server).settings)).toEqual({ memory: "32m" });
});
