// Keeps a program running without systemd, under the same small supervisor as the apps.
import { chmod, chown } from "node:fs/promises";
import { readText, removeFile, writeFileAtomic } from "../files.ts";
import type { InstanceName } from "../instance.ts";
import { endAll } from "../process/end-all.ts";
import { bootId } from "../process/process.ts";
import { plainEnv } from "../run.ts";
import { supervisor } from "../self.ts";
import {
  ownUser,
  processesOf,
  readRecord,
  supervisorsOf,
  keepSpec,
  type Spec,
  type State,
} from "../supervisor/supervision.ts";
import { shellQuote } from "../template.ts";
import { idsOf } from "../users.ts";

/** A program that is kept running. dp owns its records: STEM.json, STEM.state.json and STEM.sh. */
export interface Kept {
  stem: string;
  instance: InstanceName;
  /** The DP_INSTANCE of its processes, which identifies them. */
  marker: string;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
}

/** How the program is run. */
export interface Program {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** The user that it runs as; null: the user that runs dp. */
  user: string | null;
  /** Milliseconds until the first restart. */
  restartDelay: number;
  log: string;
  /** A file of variables, NAME=VALUE, that may be missing; read at each start. */
  variables?: string | null;
}

/** The paths of a program's records. */
export const recordsOf = ({ stem }: Pick<Kept, "stem">) => ({
  spec: `${stem}.json`,
  state: `${stem}.state.json`,
  script: `${stem}.sh`,
});

/** Whether a supervisor is running the program. */
export const isKept = (kept: Pick<Kept, "stem">) => supervisorsOf(recordsOf(kept).spec).length > 0;

/** The last state that its supervisor recorded; null: none. */
export const stateOf = (kept: Kept) => readRecord<State>(recordsOf(kept).state);

function scriptOf({ argv, variables }: Program): string {
  const exec = `exec ${argv.map(shellQuote).join(" ")}\n`;
  if (!variables) return exec;
  const file = shellQuote(variables);
  return `[ ! -f ${file} ] || { set -a; . ${file}; set +a; }\n${exec}`;
}

/** Starts the program under its own supervisor; there must be none yet. */
export async function startKept(kept: Kept, program: Program): Promise<void> {
  const { env, user, restartDelay, log } = program;
  const { spec, state, script } = recordsOf(kept);
  const [uid, gid] = user === null ? [ownUser(), 0] : await idsOf(user);
  const text = scriptOf(program);
  // After a reboot it is there already, and apps wait for the relay.
  if ((await readText(script)) !== text) await writeFileAtomic(script, text, 0o600);
  if (user !== null) {
    await chown(script, 0, gid);
    await chmod(script, 0o640);
  }
  await removeFile(state);
  await keepSpec(spec, {
    ...kept.instance,
    folder: "/",
    script,
    env: { ...env, DP_INSTANCE: kept.marker },
    user,
    uid,
    stopTimeout: kept.stopTimeout,
    restartDelay,
    log,
    state,
  });
  Bun.spawn([...supervisor(), spec], {
    cwd: "/",
    env: plainEnv(),
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  }).unref();
}

/** Ends the program and its supervisor. Safe to repeat. */
export async function endKept(kept: Kept): Promise<void> {
  const { spec } = recordsOf(kept);
  // The supervisor ends the program first, which may take the whole stop timeout.
  await endAll(() => supervisorsOf(spec), kept.stopTimeout * 2);
  const uid = (await readRecord<Spec>(spec))?.uid ?? ownUser();
  const state = await stateOf(kept);
  const main = state?.boot === bootId() ? state.main : null;
  await endAll(() => processesOf(kept.instance, uid, main, kept.marker), kept.stopTimeout);
}
