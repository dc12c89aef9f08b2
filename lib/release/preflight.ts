// What stops a deploy before it touches anything: programs, rights, manager, front, port.
import { constants, lstatSync } from "node:fs";
import { access } from "node:fs/promises";
import { sizeText } from "../config/size.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { codeOf, DpError } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import type { App, NamedApp } from "../contracts/app.ts";
import { availableMemory } from "../host/memory.ts";
import { root } from "../paths.ts";
import { family, isAlive, residentMemory } from "../host/process/process.ts";
import { appType, front as frontNamed } from "../registry.ts";
import { idsOf } from "../host/users.ts";
import { runFile } from "./history.ts";
import { requireFreePort } from "./instances.ts";
import { managerFor } from "./manager.ts";
import { hasWeb } from "./processes.ts";
import type { DeployConfig } from "../config/types.ts";
import { frontNames } from "../config/kinds.ts";

/** System programs that every deploy uses -> their Debian packages; setpriv only where the app has a user. */
const PROGRAMS = { git: "git", tar: "tar", sync: "coreutils", setpriv: "util-linux" };

/**
 * The programs that this server lacks, as a message, or null. `user`: the user for builds and the app, if that is not
 * dp's.
 */
export function missingPrograms(user: string | undefined): { what: string; command: string } | null {
  const wanted = Object.entries(PROGRAMS).filter(([name]) => user !== undefined || name !== "setpriv");
  const missing = wanted.filter(([name]) => Bun.which(name) === null);
  if (missing.length === 0) return null;
  const [names, packages] = [missing.map(([name]) => name), missing.map(([, from]) => from)];
  return { what: `this server lacks ${names.join(", ")}`, command: `apt-get install ${packages.join(" ")}` };
}

/** The app's folders that this process cannot write to. */
export async function unwritable({ places: { base, releases, runs, instances, logs } }: NamedApp): Promise<string[]> {
  const closed: string[] = [];
  for (const folder of [base, releases, runs, instances, logs]) {
    try {
      await access(folder, constants.W_OK);
    } catch (error) {
      closed.push(`${folder} (${codeOf(error)})`);
    }
  }
  return closed;
}

/** Throws DpError "host" when a program or a right is missing, or the app's user does not own the app's folder. */
export async function requireHost(app: App): Promise<void> {
  const { name, places, server } = app;
  const { user } = server;
  const missing = missingPrograms(user);
  if (missing) throw new DpError("host", missing.what, { hint: missing.command });
  const closed = await unwritable(app);
  if (closed.length > 0)
    throw new DpError("host", `cannot write into ${closed.join(", ")}`, { hint: `dp setup ${name} puts it right` });
  if (user === undefined || process.getuid?.() !== 0 || root() !== "") return;
  const [uid] = await idsOf(user);
  const { home } = places;
  const owner = lstatSync(home).uid;
  if (owner !== uid)
    throw new DpError("host", `${home} belongs to uid ${owner}, but config.yml names ${user}, who is ${uid}`, {
      hint: `dp setup ${name} puts it right`,
    });
}

/** Throws DpError "host" when the manager or the front of the app is not available, or somebody else has its port. */
export async function requireServices(app: App, config: DeployConfig): Promise<void> {
  const { name, server, front } = app;
  const type = await appType(config.type);
  await type.requireHost?.();
  const chosen = await managerFor(config.type, server);
  if (chosen.types?.includes(config.type) === false)
    throw new DpError(
      "config",
      `manager ${chosen.name} runs apps of type ${chosen.types.join(", ")}, and the commit is of type ${config.type}`,
      {
        hint: `dp setup ${name} --manager NAME`,
      },
    );
  const why = chosen === type.manager ? null : await chosen.unavailable(server.path);
  if (why)
    throw new DpError("host", `manager ${chosen.name}: ${why}`, {
      hint: `mend that, or: dp setup ${name} --manager NAME`,
    });
  if (!hasWeb(config) || (await isHeld(app))) return;
  const cause = await front.unavailable();
  if (cause)
    throw new DpError("host", `front ${front.name}: ${cause}`, {
      hint: `mend that, or: dp setup ${name} --front NAME`,
    });
  await requireFreePort(app, server.port);
}

// Held by a front: the one of config.yml, or the one that it named at the last deploy.
async function isHeld({ name, server }: App): Promise<boolean> {
  for (const each of [server.front, ...frontNames().filter((other) => other !== server.front)]) {
    const route = await (await frontNamed(each)).status(name);
    if (route?.isListening && route.listen.port === server.port) return true;
  }
  return false;
}

/** Memory of the machine and of the live web process, in bytes; null: unknown, or no second release runs beside it. */
export async function memoryOf(app: NamedApp): Promise<{ available: number | null; live: number | null }> {
  const available = availableMemory();
  const live = await app.live();
  if (live === null) return { available, live: null };
  try {
    const run = await load(runFile(app, live));
    const pid = "pid" in run.facts ? factOf(run, "pid", fact.pid) : null;
    return { available, live: pid === null || !isAlive(pid) ? null : residentMemory(family(pid)) };
  } catch (error) {
    if (error instanceof DpError) return { available, live: null };
    throw error;
  }
}

/** The message when the free memory may not suffice for a second release beside the live one, or null. */
export function memoryProblem({ available, live }: { available: number | null; live: number | null }): string | null {
  if (available === null || live === null || live <= available) return null;
  return `the live release uses ${sizeText(live)} of memory and ${sizeText(available)} is free: the new one starts beside it, and one of them may be killed; strategy: restart runs only one at a time`;
}
