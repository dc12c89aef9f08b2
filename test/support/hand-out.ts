// The order in which test files are begun, and which of them may run beside which.
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";

const tests = resolve(import.meta.dir, "..");

/** Seconds of the files that take longest, side by side on two busy cores: they are begun first, in this order. */
export const LONGEST: Readonly<Record<string, number>> = {
  "apps/python.test.ts": 360,
  "e2e/swarm-nodes.test.ts": 330,
  "e2e/server.test.ts": 320,
  "managers/pm2.test.ts": 210,
  "e2e/server-pm2.test.ts": 200,
  "e2e/server-cuts.test.ts": 190,
  "e2e/node-examples.test.ts": 190,
  "managers/swarm.test.ts": 190,
  "managers/docker.test.ts": 190,
  "e2e/builtin-processes.test.ts": 180,
  "apps/node.test.ts": 170,
  "servers/servers.test.ts": 170,
  "e2e/docker-processes.test.ts": 150,
  "e2e/swarm.test.ts": 140,
  "e2e/server-faults.test.ts": 140,
  "e2e/server-notify.test.ts": 140,
  "e2e/notify.test.ts": 140,
  "commands/runtimes.test.ts": 130,
  "e2e/docker.test.ts": 150,
  "servers/booted.test.ts": 140,
  "e2e/pm2.test.ts": 120,
  "faults/kill.test.ts": 110,
  "e2e/server-node.test.ts": 110,
  "e2e/pm2-processes.test.ts": 110,
  "e2e/node-failures.test.ts": 110,
  "e2e/builtin.test.ts": 110,
  "e2e/server-docker.test.ts": 100,
  "faults/points-stop.test.ts": 100,
  "e2e/server-load.test.ts": 100,
  "e2e/server-rights.test.ts": 100,
  "faults/points-error.test.ts": 100,
  "managers/systemd.test.ts": 100,
  "e2e/server-keys.test.ts": 100,
  "faults/points-kill.test.ts": 100,
  "e2e/builtin-settings.test.ts": 90,
  "e2e/domains.test.ts": 100,
  "e2e/podman.test.ts": 90,
  "e2e/domains-faults.test.ts": 80,
  "e2e/builtin-commands.test.ts": 70,
  "managers/podman.test.ts": 60,
  "fronts/haproxy.test.ts": 60,
  "fronts/haproxy/domains.test.ts": 60,
  "e2e/server-security.test.ts": 60,
  "e2e/server-domains.test.ts": 60,
  "e2e/builtin-static.test.ts": 60,
  "e2e/builtin-hostile.test.ts": 50,
  "e2e/server-limits.test.ts": 50,
  "e2e/doctor.test.ts": 50,
  "e2e/demo.test.ts": 50,
  "e2e/docker-settings.test.ts": 50,
  "e2e/lock.test.ts": 40,
  "remote/client.test.ts": 40,
  "faults/hang.test.ts": 40,
  "faults/syscalls.test.ts": 40,
  "faults/renewal.test.ts": 40,
  "fronts/relay/scanner.test.ts": 40,
};

/** Files sorted by how long they are known to take, the longest first; the others as they are, after those. */
export const longestFirst = (files: readonly string[]): string[] =>
  files.toSorted((a, b) => (LONGEST[relative(tests, b)] ?? 0) - (LONGEST[relative(tests, a)] ?? 0));

/** A test that boots a server, by itself or through what it imports for that. */
export function usesBox(file: string): boolean {
  return /from "[^"]*support\/(box|server-box)\.ts"/.test(readFileSync(file, "utf8"));
}

/** A test that boots a server with Docker Engine in it. */
export function usesEngineBox(file: string): boolean {
  return /\bstart(Server|Box)\("[^"]*", "docker"\)/.test(readFileSync(file, "utf8"));
}

/** A test that measures under load: it must not compete for the processors. */
export function isAlone(file: string): boolean {
  return /\/(load|proxy|bench|switch)[^/]*\.test\.ts$/.test(file);
}

/**
 * Begins items in their order, `many` at a time; one that `mayBegin` refuses beside those under way lets the next ones
 * pass. `opening` is waited for, too: what ends it is a reason to ask again. Rejects with the first failure of `use`.
 */
export async function handOut<T>(
  items: readonly T[],
  many: number,
  mayBegin: (item: T, underWay: readonly T[]) => boolean,
  use: (item: T) => Promise<void>,
  opening: Promise<void> = Promise.resolve(),
): Promise<void> {
  const waiting = [...items];
  const underWay: T[] = [];
  const running = new Set<Promise<void>>();
  const wait = (promise: Promise<void>) => {
    const ends = promise.finally(() => running.delete(ends));
    running.add(ends);
  };
  const work = async (item: T) => {
    underWay.push(item);
    await use(item);
    underWay.splice(underWay.indexOf(item), 1);
  };
  wait(opening);
  for (;;) {
    while (underWay.length < many) {
      const at = waiting.findIndex((item) => mayBegin(item, underWay));
      if (at < 0) break;
      wait(work(waiting.splice(at, 1)[0]!));
    }
    if (running.size === 0) return;
    await Promise.race(running);
  }
}
