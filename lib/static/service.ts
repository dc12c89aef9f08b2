// The static server kept running: by systemd, or by dp's small supervisor; always as a user of its own.
import { version } from "../../package.json";
import { isService, setUpUnits, setUpUser, words } from "../daemon/service.ts";
import { logOf, stopSupervised, superviseDaemon, type Daemon } from "../daemon/supervised.ts";
import type { Io } from "../io.ts";
import { repositories, root } from "../paths.ts";
import { program } from "../self.ts";
import { idsOf } from "../setup/users.ts";
import { systemctl } from "../systemd/systemd.ts";
import { unitPath } from "../systemd/unit.ts";
import { render, template } from "../template.ts";
import { status } from "./client.ts";
import { runFolder, staticFolder } from "./site.ts";

const USER = "dp-static";
export const UNIT = "dp-static.service";
const PROCESS = "lib/static/process.ts";

// Under DP_ROOT nothing outside of it is touched, and everything runs as whoever tries it.
const hasUser = () => root() === "" && process.getuid?.() === 0;

const daemon = (): Daemon => ({
  ...{ name: "static", program: PROCESS, folder: staticFolder(), user: hasUser() ? USER : null },
});

/** The group by which the server may read a release, or null when it runs as the app's user does. */
export async function serverGroup(): Promise<number | null> {
  return hasUser() ? (await idsOf(USER))[1] : null;
}

/** Where it says what, without systemd. */
export const staticLog = () => logOf(daemon());

/** Makes the static server run, in this version of dp. */
export async function ensureStatic(io: Io): Promise<void> {
  const now = await status();
  const changes = hasUser() ? await setUpUser(USER, runFolder(staticFolder()), io) : [];
  if (!isService()) {
    if (now !== null && now.version !== version) await stopSupervised(daemon());
    else if (now !== null) return;
    return superviseDaemon(daemon(), async () => (await status()) !== null);
  }
  const text = render(await template("dp-static.service"), {
    ...{ user: USER, command: words(program(PROCESS)), folder: unitPath(staticFolder()) },
    run: unitPath(runFolder(staticFolder())),
    ...{ repositories: unitPath(repositories()), logs: "/var/log/deployments" },
  });
  const done = await setUpUnits({ [UNIT]: text }, now !== null, changes, io);
  if (done.length === 0 && now !== null && now.version !== version) await systemctl(["restart", UNIT], io);
}

/** Ends the static server where there is no systemd. Safe to repeat. */
export const stopStatic = () => stopSupervised(daemon());
