// Keeps the static server running: under systemd, or dp's small supervisor; always as its own user.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { version } from "../../../package.json";
import { isService, setUpUnits, setUpUser, words } from "../../host/daemon/service.ts";
import { logOf, stopSupervised, superviseDaemon, type Daemon } from "../../host/daemon/supervised.ts";
import type { Io } from "../../host/io.ts";
import { waitForLock } from "../../host/lock.ts";
import { repositories, root } from "../../paths.ts";
import { program } from "../../host/self.ts";
import { idsOf } from "../../host/users.ts";
import { show, systemctl } from "../../host/systemd/systemd.ts";
import { unitPath } from "../../host/systemd/unit.ts";
import { render, template } from "../../host/template.ts";
import { status } from "./client.ts";
import { runFolder, siteNames, staticFolder } from "./site.ts";

const USER = "dp-static";
export const UNIT = "dp-static.service";
const PROCESS = "lib/apps/static/process.ts";

// Under DP_ROOT nothing outside is touched, and everything runs as the current user.
const hasUser = () => root() === "" && process.getuid?.() === 0;

const daemon = (): Daemon => ({
  name: "static",
  program: PROCESS,
  folder: staticFolder(),
  user: hasUser() ? USER : null,
});

/** The group that lets the server read a release, or null when it runs as the app's user does. */
export async function serverGroup(): Promise<number | null> {
  return hasUser() ? (await idsOf(USER))[1] : null;
}

/** The uid of the serving process; null: the user who runs dp. */
export async function serverUid(): Promise<number | null> {
  return hasUser() ? (await idsOf(USER))[0] : null;
}

/** The server's log, without systemd. */
export const staticLog = () => logOf(daemon());

/** Makes the static server run, with this version of dp. */
export async function ensureStatic(io: Io): Promise<void> {
  const now = await status();
  const changes = hasUser() ? await setUpUser(USER, runFolder(staticFolder()), io) : [];
  if (!isService()) {
    if (now !== null && now.version !== version) await stopSupervised(daemon());
    else if (now !== null) return;
    await superviseDaemon(daemon(), async () => (await status()) !== null);
    return;
  }
  const text = render(await template("dp-static.service"), {
    user: USER,
    command: words(program(PROCESS)),
    folder: unitPath(staticFolder()),
    run: unitPath(runFolder(staticFolder())),
    repositories: unitPath(repositories()),
    logs: "/var/log/deployments",
  });
  const done = await setUpUnits({ [UNIT]: text }, now !== null, changes, io);
  if (done.length === 0 && now !== null && now.version !== version) await systemctl(["restart", UNIT], io);
}

/** Does something while no other process starts a site, or stops the server because it has none. */
export async function inItsTurn<T>(work: () => Promise<T>): Promise<T> {
  await mkdir(staticFolder(), { recursive: true, mode: hasUser() ? 0o755 : 0o700 });
  const nothing = () => undefined;
  const lock = await waitForLock(join(staticFolder(), "turn.lock"), nothing, nothing);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

const hasNoSite = async () => (await siteNames(staticFolder())).length === 0;

/** Stops the static server when no app has a site any more; answers whether it did. Safe to repeat. */
export async function endIdleStatic(io: Io): Promise<boolean> {
  if (!existsSync(staticFolder()) || !(await hasNoSite())) return false;
  return inItsTurn(async () => {
    if (!(await hasNoSite()) || !(await isThere())) return false;
    if (isService()) await systemctl(["disable", "--now", UNIT], io);
    else await stopSupervised(daemon());
    return true;
  });
}

/** Whether it runs, or would start at boot. */
async function isThere(): Promise<boolean> {
  if (!isService()) return (await status()) !== null;
  const { ActiveState, UnitFileState } = await show(UNIT, ["ActiveState", "UnitFileState"]);
  return ActiveState !== "inactive" || UnitFileState === "enabled";
}
