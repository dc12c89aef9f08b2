// What makes dp look every 20 seconds: a timer of systemd where it runs, otherwise a small clock of dp's own.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { endKept, isKept, recordsOf, startKept, type Kept } from "../host/daemon/kept.ts";
import { isService, words } from "../host/daemon/service.ts";
import { removeTimer, setUpTimer, timerDrift } from "../host/daemon/timer.ts";
import { removeFile } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { program, SELF, selfEnv } from "../host/self.ts";
import { render, template } from "../host/template.ts";
import { root } from "../paths.ts";
import { watchFile } from "./state.ts";

const TIMER = "dp-watch.timer";
const SERVICE = "dp-watch.service";

async function unitTexts(): Promise<Record<string, string>> {
  return {
    [SERVICE]: render(await template(SERVICE), {
      command: words(SELF),
      // podman has no daemon: what is asked through it would run in the sandbox of this unit.
      hardening: existsSync("/usr/bin/podman") ? "" : await template("dp-reconcile.conf"),
    }),
    [TIMER]: await template(TIMER),
  };
}

const stem = () => join(dirname(watchFile()), "watch-clock");

// The folder is part of the marker: stopping one server's clock must not stop another's.
const kept = (): Kept => ({
  stem: stem(),
  instance: { app: "watch", id: "0" },
  marker: `watch@0:${root()}`,
  stopTimeout: 5_000,
});

/** Makes dp look every 20 seconds, also after a reboot. Answers one sentence for each change. */
export async function setUpLook(io: Io): Promise<string[]> {
  if (!isService()) return startClock();
  const changes = await setUpTimer({ timer: TIMER, units: await unitTexts() }, io);
  return changes.length === 0 ? [] : [...changes, `${TIMER} looks every 20 s`];
}

async function startClock(): Promise<string[]> {
  if (isKept(kept())) return [];
  await mkdir(dirname(watchFile()), { recursive: true, mode: 0o755 });
  const argv = [...program("lib/watch/clock.ts")];
  await startKept(kept(), { argv, env: selfEnv(), user: null, restartDelay: 1_000, log: `${stem()}.log` });
  return ["started the clock of dp watch"];
}

/** Looks no more. Safe to repeat. */
export async function removeLook(io: Io): Promise<void> {
  if (isService()) {
    await removeTimer(TIMER, [TIMER, SERVICE], io);
    return;
  }
  await endKept(kept());
  for (const file of Object.values(recordsOf(kept()))) await removeFile(file);
}

/** One sentence for each part of it that is not as this dp makes it. */
export async function lookDrift(): Promise<string[]> {
  if (!isService()) return isKept(kept()) ? [] : ["the clock of dp watch does not run"];
  return timerDrift({ timer: TIMER, units: await unitTexts() });
}
