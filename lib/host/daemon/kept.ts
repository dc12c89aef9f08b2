// A program that is kept running where there is no systemd, by the same small supervisor as the apps.
import { chmod, chown } from "node:fs/promises";
import { removeFile, writeFileAtomic } from "../files.ts";
import type { InstanceName } from "../instance.ts";
import { endAll } from "../process/end-all.ts";
import { plainEnv } from "../run.ts";
import { supervisor } from "../self.ts";
import {
  ownUser,
  processesOf,
  readRecord,
  supervisorsOf,
  writeRecord,
  type Spec,
  type State,
} from "../supervisor/supervision.ts";
import { shellQuote } from "../template.ts";
import { idsOf } from "../users.ts";

/** What is kept, and where its records are: STEM.json, STEM.state.json and STEM.sh, all of them dp's. */
export interface Kept {
  stem: string;
  instance: InstanceName;
  /** DP_INSTANCE of its processes, by which they are found again. */
  marker: string;
  /** Milliseconds between SIGTERM and SIGKILL. */
  stopTimeout: number;
}

/** How it is run. */
export interface Program {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Who it runs as; null: whoever dp is. */
  user: string | null;
  /** Milliseconds until the first restart. */
  restartDelay: number;
  log: string;
}

/** The files of its records. */
export const recordsOf = ({ stem }: Pick<Kept, "stem">) => ({
  spec: `${stem}.json`,
  state: `${stem}.state.json`,
  script: `${stem}.sh`,
});

/** Whether a supervisor has it. */
export const isKept = (kept: Pick<Kept, "stem">) => supervisorsOf(recordsOf(kept).spec).length > 0;

/** What its supervisor last knew; null: nothing. */
export const stateOf = (kept: Kept) => readRecord<State>(recordsOf(kept).state);

/** Starts it under a supervisor of its own; there must be none. */
export async function startKept(kept: Kept, { argv, env, user, restartDelay, log }: Program): Promise<void> {
  const { spec, state, script } = recordsOf(kept);
  const [uid, gid] = user === null ? [ownUser(), 0] : await idsOf(user);
  await writeFileAtomic(script, `exec ${argv.map(shellQuote).join(" ")}\n`, 0o600);
  if (user !== null) {
    await chown(script, 0, gid);
    await chmod(script, 0o640);
  }
  await removeFile(state);
  await writeRecord(spec, {
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

/** Ends it and its supervisor. Safe to repeat. */
export async function endKept(kept: Kept): Promise<void> {
  const { spec } = recordsOf(kept);
  // It ends the program first, which may take as long as it is given.
  await endAll(() => supervisorsOf(spec), kept.stopTimeout * 2);
  const uid = (await readRecord<Spec>(spec))?.uid ?? ownUser();
  const main = (await stateOf(kept))?.main ?? null;
  await endAll(() => processesOf(kept.instance, uid, main, kept.marker), kept.stopTimeout);
}
