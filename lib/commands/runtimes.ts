// `dp runtimes`: the versions of node and python for all apps, which apps use them, and how to install another.
import { readdir, realpath } from "node:fs/promises";
import { appNames } from "../config/server.ts";
import type { FoundRuntime, Runtimes } from "../contracts/app-type.ts";
import { codeOf, DpError } from "../errors.ts";
import { makeIo, silentLog, type Io } from "../host/io.ts";
import { nobody } from "../host/runtime-folder.ts";
import { SYSTEM_PATH } from "../paths.ts";
import { isReleaseId } from "../text/ids.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { appTypes } from "../registry.ts";
import { namedApp } from "../release/named-app.ts";
import { runFile } from "../release/history.ts";
import { didYouMean } from "../text/suggestion.ts";
import { table } from "../text/table.ts";

/** A runtime, and the apps with releases that run on it. */
export interface RuntimeRow extends FoundRuntime {
  apps: string[];
}

const kinds = async (): Promise<Runtimes[]> =>
  (await appTypes()).map((type) => type.runtimes).filter((kind) => kind !== undefined);

/** The runtimes on the server's PATH, those installed for all apps, and any others that kept releases run on. */
export async function runtimes(): Promise<RuntimeRow[]> {
  const seeker = { user: nobody(), env: { PATH: SYSTEM_PATH, HOME: "/" }, base: "/", folder: "/" };
  const io = makeIo(silentLog);
  const there = (await Promise.all((await kinds()).map((kind) => kind.find(seeker, io)))).flat();
  const rows = new Map<string, RuntimeRow>();
  for (const found of there) rows.set(await real(found.program), { ...found, apps: [] });
  for (const app of await appNames())
    for (const used of await usedBy(app)) {
      const path = await real(used.program);
      const row = rows.get(path) ?? { ...used, apps: [] };
      rows.set(path, row);
      if (!row.apps.includes(app)) row.apps.push(app);
    }
  return [...rows.values()].sort(byName);
}

const byName = (a: RuntimeRow, b: RuntimeRow) =>
  a.name.localeCompare(b.name) || b.version.localeCompare(a.version, "en", { numeric: true });

// The program may be gone: an app that runs on it is shown all the same.
const real = (program: string): Promise<string> => realpath(program).catch(() => program);

/** The runtimes of an app's kept releases. */
async function usedBy(name: string): Promise<FoundRuntime[]> {
  const app = namedApp(name);
  const names = await readdir(app.places.releases).catch((error) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  const used = names.filter(isReleaseId).map(async (id) => {
    try {
      const run = await load(runFile(app, id));
      return "runtime" in run.facts ? factOf(run, "runtime", fact.runtime).interpreter : undefined;
    } catch (error) {
      if (error instanceof DpError) return undefined; // A damaged record counts for nothing
      throw error;
    }
  });
  return (await Promise.all(used)).filter((found) => found !== undefined);
}

/** Installs a version. Throws DpError "usage" for an unknown runtime or version, otherwise whatever its kind throws. */
export async function installRuntime(name: string | undefined, version: string | undefined, io: Io) {
  const all = await kinds();
  const kind = all.find((one) => one.name === name);
  const example = all.map((one) => `dp runtimes install ${one.name} ${one.example}`).join(", ");
  if (name === undefined || version === undefined)
    throw new DpError("usage", "dp runtimes install needs NAME and VERSION", {
      hint: kind ? `dp runtimes install ${kind.name} ${kind.example}` : example,
    });
  if (kind) return kind.install(version, io);
  const names = all.map((one) => one.name);
  throw new DpError("usage", `dp installs ${names.join(" and ")}, not ${JSON.stringify(name)}`, {
    hint: example,
    ...didYouMean(name, names),
  });
}

/** The rows as a table for people. */
export function runtimeLines(rows: readonly RuntimeRow[]): string[] {
  if (rows.length === 0) return ["no node and no python yet: dp runtimes install NAME VERSION"];
  const cells = rows.map(({ name, version, program, apps }) => [name, version, program, apps.join(", ") || "-"]);
  return table(["RUNTIME", "VERSION", "PROGRAM", "APPS"], cells);
}
