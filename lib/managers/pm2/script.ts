// pm2's input for an instance: its files, which only dp and the app's user can read.
import { chmod, chown, mkdir } from "node:fs/promises";
import { markerOf } from "../../host/supervisor/supervision.ts";
import { writeFileAtomic } from "../../host/files.ts";
import type { Instance } from "../../contracts/manager.ts";
import { places } from "../../paths.ts";
import { isJob } from "../../text/ids.ts";
import { startScript } from "../../host/process/command-line.ts";
import { bootId } from "../../host/process/process.ts";
import { idsOf } from "../../host/users.ts";
import { render, shellQuote, template } from "../../host/template.ts";
import { clusterOf } from "./cluster.ts";
import { filesOf, processName } from "./home.ts";
import { writeRecord } from "./record.ts";

/** A log of this many bytes is renamed to `FILE.1`, as in the builtin manager. */
const LOG_LIMIT = 10 * 1024 * 1024;

// Five exits, each within twelve seconds of its start: as many within a minute as systemd allows.
const MAX_RESTARTS = 5;
const MIN_UPTIME = 12_000;

// Exits without a restart, as `asked.CODE`: for an app those that pm2 has asked for, for a job code 0.
const CLEAN = { app: "asked.*", job: "*.0" };

/**
 * Writes all the files; `delay`: ms between a crash and the next start. Throws DpError "config" for a command that no
 * cluster can run.
 */
export async function writeFiles(instance: Instance, delay: number): Promise<void> {
  const files = filesOf(instance);
  const text = JSON.stringify({ apps: [ecosystem(instance)] });
  await mkdir(places(instance.app).instances, { recursive: true, mode: 0o711 });
  await writeReadable(files.ecosystem, text, instance.user);
  if ((instance.workers ?? 1) === 1) {
    const exports = Object.entries(instance.env).map(([name, value]) => `export ${name}=${shellQuote(value)}\n`);
    await writeReadable(files.script, `${exports.join("")}${startScript(instance.command)}\n`, instance.user);
    const values = {
      log: shellQuote(files.log),
      script: shellQuote(files.script),
      marker: shellQuote(markerOf(instance)),
      tries: String(Math.ceil(instance.stopTimeout / 100)),
      delay: String(delay / 1000),
      clean: isJob(instance.id) ? CLEAN.job : CLEAN.app,
      limit: String(LOG_LIMIT),
    };
    await writeReadable(files.watcher, render(await template("pm2.sh"), values), instance.user);
  } else {
    const values = { log: JSON.stringify(files.log), limit: String(LOG_LIMIT) };
    await writeReadable(files.preload, render(await template("pm2.cjs"), values), instance.user);
  }
  await writeRecord(instance, { boot: bootId(), stopTimeout: instance.stopTimeout, isStopped: false });
}

async function writeReadable(path: string, text: string, user: string | undefined): Promise<void> {
  await writeFileAtomic(path, text, 0o600);
  if (user === undefined || process.getuid!() !== 0) return;
  const [, gid] = await idsOf(user);
  await chown(path, 0, gid);
  await chmod(path, 0o640);
}

/** The instance as an entry of pm2's ecosystem file: one process, or node workers that share the port. */
function ecosystem(instance: Instance): Record<string, unknown> {
  const { log, watcher, preload } = filesOf(instance);
  const { command, folder, stopTimeout, env, workers = 1 } = instance;
  const common = {
    name: processName(instance),
    cwd: folder,
    kill_timeout: Math.ceil(stopTimeout),
    treekill: true,
    max_restarts: MAX_RESTARTS,
    min_uptime: MIN_UPTIME,
    autorestart: !isJob(instance.id),
    out_file: log,
    error_file: log,
    merge_logs: true,
    pmx: false,
    vizion: false,
    automation: false,
    // Excludes the environment of pm2's own command: every name contains the empty string.
    filter_env: [""],
  };
  if (workers === 1) {
    const how = { script: "/bin/sh", args: [watcher], interpreter: "none", exec_mode: "fork", env: {} };
    return { ...common, ...how, stop_exit_codes: [200] };
  }
  const { script, args, flags } = clusterOf(command, workers, env);
  const environment = { ...env, DP_INSTANCE: markerOf(instance) };
  const node_args = [`--require=${preload}`, ...flags];
  const how = { script, args, node_args, exec_mode: "cluster", instances: workers, env: environment };
  return { ...common, ...how, log_date_format: "YYYY-MM-DDTHH:mm:ss.SSSZ" };
}
