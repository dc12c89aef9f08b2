// The names of runs, releases and instances.
import { expect, test } from "bun:test";
import {
  compareInstances,
  instanceId,
  isInstanceId,
  isJob,
  isReleaseId,
  isWeb,
  jobId,
  processOf,
  releaseOf,
  sequenceOf,
} from "../../lib/text/ids.ts";

test.each([
  ["42-3f9c2ab", true],
  ["1-0000000", true],
  ["999999999-fffffff", true],
  ...["0-3f9c2ab", "042-3f9c2ab", "42-3F9C2AB", "42-3f9c2a", "42-3f9c2abc", "42", "-3f9c2ab", "1e3-3f9c2ab"].map(
    (id) => [id, false] as const,
  ),
  ...["42-3f9c2ab\n", " 42-3f9c2ab", "../42-3f9c2ab", "42-3f9c2ab/..", "1000000000-3f9c2ab", ""].map(
    (id) => [id, false] as const,
  ),
])("%j is a release: %p", (id, expected) => expect(isReleaseId(id)).toBe(expected));

test.each([
  ["42-3f9c2ab", true],
  ["42-3f9c2ab.worker.1", true],
  ["42-3f9c2ab.Worker_2-x.100", true],
  ["42-3f9c2ab.cron.cleanup", true],
  ["42-3f9c2ab.cron.1", false],
  ["42-3f9c2ab.web.1", false],
  ["42-3f9c2ab.release.1", false],
  ["42-3f9c2ab.worker", false],
  ["42-3f9c2ab.worker.0", false],
  ["42-3f9c2ab.worker.1000", false],
  ["42-3f9c2ab.worker.1.sh", false],
  ["42-3f9c2ab.1worker.1", false],
  ["42-3f9c2ab.wor ker.1", false],
  ["42-3f9c2ab.wor/ker.1", false],
  ["42-3f9c2ab.worker.1\n", false],
  ["42-3f9c2ab.state", false],
  [`42-3f9c2ab.${"w".repeat(29)}.1`, false],
])("%j is an instance: %p", (id, expected) => expect(isInstanceId(id)).toBe(expected));

test.each([
  ["42-3f9c2ab", "42-3f9c2ab", "web.1", true, false],
  ["42-3f9c2ab.worker.2", "42-3f9c2ab", "worker.2", false, false],
  ["42-3f9c2ab.cron.cleanup", "42-3f9c2ab", "cron.cleanup", false, true],
])("%s is of %s, %s", (id, release, process, web, job) =>
  expect([releaseOf(id), processOf(id), isWeb(id), isJob(id)]).toEqual([release, process, web, job]),
);

test("instances are named by release, process and number, and stand in that order", () => {
  const ids = [
    instanceId("12-aaaaaaa", "worker", 10),
    instanceId("12-aaaaaaa", "worker", 2),
    instanceId("12-aaaaaaa", "web", 1),
  ];
  const all = [...ids, jobId("12-aaaaaaa", "cleanup"), "2-bbbbbbb"].sort(compareInstances);
  expect(all).toEqual([
    "2-bbbbbbb",
    "12-aaaaaaa",
    "12-aaaaaaa.cron.cleanup",
    "12-aaaaaaa.worker.2",
    "12-aaaaaaa.worker.10",
  ]);
});

test("the number of a release", () => expect(sequenceOf("42-3f9c2ab")).toBe(42));
