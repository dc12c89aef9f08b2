// `dp scale`: how many of each process run; the number is written to config.yml and takes effect at once.
import { parseServerConfig, setServerMapping } from "../config/config.ts";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { processOf } from "../text/ids.ts";
import { factsOfRelease, type InstanceFacts } from "../release/instance.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { lockNow } from "../deploy/queue.ts";
import { processNames, scaleOf, stoppedIds, wantedIds } from "../release/processes.ts";
import { proveInstances, startInstances, stopInstances } from "../release/workers.ts";
import { openApp, withServer } from "../release/app.ts";
import type { App } from "../contracts/app.ts";
import { serverKinds } from "../config/kinds.ts";
import { didYouMean } from "../text/suggestion.ts";
import { instancesAt, liveOf } from "./processes.ts";
import type { ServerConfig } from "../config/types.ts";

/** Parses words such as `worker=2` into a mapping. Throws DpError "usage". */
export function parseScale(words: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    words.map((word) => {
      const [, process, count] = /^([A-Za-z][A-Za-z0-9_-]*)=([0-9]{1,3})$/.exec(word) ?? [];
      if (process === undefined || Number(count) > 100)
        throw new DpError("usage", `${JSON.stringify(word)} is not PROCESS=NUMBER`, {
          hint: "worker=2, for example; without a word dp scale shows how many run",
        });
      if (process === "web" && Number(count) !== 1)
        throw new DpError(
          "usage",
          `web is always one process, web=1, which serves many requests at once; not ${word}`,
          {
            hint: "more workers in it: command in deploy.yml (gunicorn -w N); more of another process: worker=2",
          },
        );
      return [process, Number(count)];
    }),
  );
}

/** How many of each process of the live release should run. */
export async function scales(name: string): Promise<Record<string, number>> {
  const app = await openApp(name);
  const { server } = app;
  const facts = await factsOf(app);
  const names = facts ? processNames(facts.config) : Object.keys(server.scale);
  return Object.fromEntries(names.map((name) => [name, scaleOf(name, server)]));
}

const factsOf = async (app: App): Promise<InstanceFacts | null> => {
  const live = await app.live();
  return live === null ? null : factsOfRelease(app, live);
};

/**
 * Writes the scale and starts or stops the difference. When a new process does not start, everything is restored.
 * Throws DpError "usage" for a process that the live release lacks, "unhealthy".
 */
export async function scale(
  name: string,
  wanted: Record<string, number>,
  say: (line: string) => void,
): Promise<Record<string, number>> {
  const app = await openApp(name);
  requireUnlocked(app);
  const lock = await lockNow(app, `dp scale ${name}`);
  try {
    const { config } = app.places;
    // The previous holder of the lock may have changed config.yml.
    const before = await openApp(name);
    const facts = await factsOf(before);
    if (facts) requireKnown(facts, wanted);
    const text = (await readText(config)) ?? "";
    const changed = setServerMapping(text, "scale", wanted, config);
    const after = await withServer(app, parseServerConfig(changed, config, await serverKinds()));
    await writeFileAtomic(config, changed, 0o600);
    try {
      if (facts) await apply({ ...facts, app: after }, before.server, Object.keys(wanted), say);
      else say("nothing is live yet: it takes effect with the first deploy");
    } catch (error) {
      await writeFileAtomic(config, text, 0o600);
      throw error;
    }
  } finally {
    lock.release();
  }
  return scales(name);
}

function requireKnown({ app, config }: InstanceFacts, wanted: Record<string, number>): void {
  const names = processNames(config);
  for (const name of Object.keys(wanted)) {
    if (names.includes(name)) continue;
    const message = `${app.name} has no process ${JSON.stringify(name)}; it has ${names.join(", ")}`;
    throw new DpError("usage", message, didYouMean(name, names));
  }
}

async function apply(
  facts: InstanceFacts,
  before: ServerConfig,
  names: readonly string[],
  say: (line: string) => void,
): Promise<void> {
  const { app, config } = facts;
  const { name: own, server, manager } = app;
  const io = makeIo(silentLog);
  const stopped = await stoppedIds(app);
  const now = names.flatMap((name) => instancesAt(facts, name, scaleOf(name, server)));
  const was = names.flatMap((name) => instancesAt(facts, name, scaleOf(name, before)));
  const fresh = now.filter((id) => !was.includes(id) && !stopped.has(id));
  const extra = was.filter((id) => !now.includes(id));
  try {
    await startInstances(facts, fresh, io);
    await proveInstances(facts, fresh, io);
  } catch (error) {
    await stopInstances(app, fresh, io);
    throw error;
  }
  await stopInstances(app, extra, io);
  await manager.enable(own, await wantedIds(app, liveOf(facts), config), io);
  for (const id of fresh) say(`started ${own} ${processOf(id)}`);
  for (const id of extra) say(`stopped ${own} ${processOf(id)}`);
}
