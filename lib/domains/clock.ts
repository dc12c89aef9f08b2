// What makes renewals happen by themselves: a timer of systemd, or a process of dp's own without systemd.
import { existsSync } from "node:fs";
import { tlsFolder } from "../config/tls.ts";
import { isKept, recordsOf } from "../host/daemon/kept.ts";
import { isService, words } from "../host/daemon/service.ts";
import { keptOf, stopSupervised, superviseDaemon, type Daemon } from "../host/daemon/supervised.ts";
import { removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { SELF } from "../host/self.ts";
import { show, systemctl } from "../host/systemd/systemd.ts";
import { driftOf, UNITS } from "../host/systemd/unit.ts";
import { render, template } from "../host/template.ts";
import { owners } from "./owners.ts";

const TIMER = "dp-certs.timer";
const SERVICE = "dp-certs.service";

const unitTexts = async (): Promise<Record<string, string>> => ({
  [SERVICE]: render(await template(SERVICE), { command: words(SELF) }),
  [TIMER]: await template(TIMER),
});

const daemon = (): Daemon => ({
  name: "certificates",
  program: "lib/domains/scheduler.ts",
  folder: tlsFolder(),
  user: null,
});

/** One sentence when nothing would renew a certificate; null: it is all in place. */
export async function clockProblem(): Promise<string | null> {
  if (!isService()) return isKept(keptOf(daemon())) ? null : "the process that renews certificates does not run";
  const [wrong] = await driftOf(await unitTexts());
  if (wrong !== undefined) return wrong;
  const { ActiveState } = await show(TIMER, ["ActiveState"]);
  return ActiveState === "active" ? null : `${TIMER} is not active: no certificate is renewed`;
}

/** Makes sure that renewals happen; answers what was changed. */
export async function ensureClock(io: Io): Promise<string[]> {
  if ((await clockProblem()) === null) return [];
  if (!isService()) {
    await superviseDaemon(daemon(), () => Promise.resolve(isKept(keptOf(daemon()))));
    return ["started the process that renews certificates"];
  }
  for (const [name, text] of Object.entries(await unitTexts())) await writeFileAtomic(`${UNITS}/${name}`, text, 0o644);
  await systemctl(["daemon-reload"], io);
  await systemctl(["enable", "--now", "--quiet", TIMER], io);
  return [`${TIMER} renews certificates`];
}

/** Stops renewals when no app but `leaving` has a domain. */
export async function stopUnused(leaving: string | null, io: Io): Promise<void> {
  const apps = new Set((await owners()).values());
  if (leaving !== null) apps.delete(leaving);
  if (apps.size === 0) await stopClock(io);
}

/** Safe to repeat. */
async function stopClock(io: Io): Promise<void> {
  if (!isService()) {
    await stopSupervised(daemon());
    for (const file of Object.values(recordsOf(keptOf(daemon())))) await removeFile(file);
    return;
  }
  if (!existsSync(`${UNITS}/${TIMER}`)) return;
  await systemctl(["disable", "--now", "--quiet", TIMER], io);
  for (const name of [TIMER, SERVICE]) await removeFile(`${UNITS}/${name}`);
  await systemctl(["daemon-reload"], io);
}
