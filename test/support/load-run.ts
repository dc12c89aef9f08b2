// A sandbox with an app of the load tests, and a load on its public port while something is done to it.
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { load, type Load, type LoadOptions, type LoadResult } from "../fronts/relay/support/load.ts";
import { watch, type Watched } from "./load-watch.ts";
import { sandbox, type Outcome, type Sandbox } from "./sandbox.ts";

const fixtures = join(import.meta.dir, "../fixtures/load");

/** A file of the load tests' apps. */
export const fixture = (name: string) => readFileSync(join(fixtures, name), "utf8");

/** deploy.yml of a load tests' app. Short times: on this machine nothing is far away. */
export const deployYml = (app: string, command: string, more = "") =>
  `name: ${app}
type: python
healthCheck: {path: /health, timeout: 2s, startTimeout: 20s, interval: 50ms}
command: ${command}
${more}`;

/** The small app, as it behaves in a mode. */
export const smallApp = (app: string, mode = "", more = "") => ({
  "deploy.yml": deployYml(app, "exec python3 server.py", more),
  "server.py": fixture("server.py"),
  mode: mode || null,
});

/** A sandbox for load: programs that are named are put on its PATH, and config.yml says what `config` says. */
export async function loadSandbox(config: Record<string, string | number> = {}, programs: string[] = []) {
  const box = await sandbox();
  for (const name of programs) {
    const found = Bun.which(name);
    if (found && !["/usr/bin", "/bin"].includes(dirname(found)))
      symlinkSync(found, join(dirname(box.root), "tools", name));
  }
  configure(box, { stopTimeout: "2s", drainTimeout: "10s", ...config });
  await box.git("rm", "--quiet", "say", "server.py");
  return box;
}

/** Writes keys of config.yml, for the next deploy; null removes one. */
export function configure(box: Sandbox, values: Record<string, string | number | null>): void {
  const path = join(box.base, "config.yml");
  const kept = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => !Object.keys(values).some((key) => line.startsWith(`${key}:`)));
  const lines = Object.entries(values).flatMap(([key, value]) => (value === null ? [] : [`${key}: ${value}`]));
  writeFileSync(path, `${kept.join("\n").trimEnd()}\n${lines.join("\n")}\n`);
}

/** What a load is made of when nothing else is said: all that the small app can. */
export const ALL: Omit<LoadOptions, "port"> = {
  ...{ rate: 120, keepAlive: 6, fresh: 3, slow: 2, downloads: 1, websockets: 1 },
  paths: { quick: "/", echo: "/echo", slow: "/slow", download: "/download", websocket: "/ws" },
};

/** Short requests only. */
export const QUICK: Omit<LoadOptions, "port"> = {
  ...{ rate: 120, keepAlive: 6, fresh: 3 },
  paths: { quick: "/", echo: "/echo" },
};

/** What a load came to, and what the watching clients saw of it. */
export interface Proof<T> extends LoadResult {
  result: T;
  watched: Watched;
}

/** Does something under load; the load is stopped, whatever becomes of it. */
export async function under<T>(
  box: Sandbox,
  options: Omit<LoadOptions, "port">,
  action: (running: Load) => Promise<T>,
): Promise<Proof<T>> {
  const watching = watch(box.port);
  const running = load({ port: box.port, ...options });
  try {
    const result = await action(running);
    return { result, ...(await running.stop()), watched: await watching.stop() };
  } finally {
    await Promise.all([running.stop(), watching.stop()]);
  }
}

/** One line of figures, for whoever reads the test run. */
export function figures(what: string, { requests, failed, longestGap, p99, watched }: Proof<unknown>): string {
  const total = requests + watched.requests;
  const lost = failed + watched.failures.length;
  return `${what}: ${lost} of ${total} requests failed, longest gap ${Math.round(longestGap)} ms, p99 ${Math.round(p99)} ms`;
}

/** Everything that a proof holds against the deploy, to be compared with what is expected: nothing. */
export const complaints = ({ failures, watched }: Proof<unknown>): string[] => [
  ...failures.map(({ at, kind, why }) => `${at} ms: ${kind}: ${why}`),
  ...watched.failures,
  ...watched.late,
];

/** The exit code, with all that was said when it is another. */
export const ended = ({ code, text }: Outcome, expected = 0) => (code === expected ? String(code) : `${code}\n${text}`);

/** The commit that the deploy branch is at. */
export const branchOf = async (box: Sandbox) =>
  (await box.git("--git-dir", box.repo, "rev-parse", "main")).stdout.trim();
