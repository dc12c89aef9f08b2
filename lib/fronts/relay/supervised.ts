// The relay where there is no systemd.
import { stopSupervised, superviseDaemon, type Daemon } from "../../host/daemon/supervised.ts";

const daemonIn = (folder: string): Daemon => ({
  name: "relay",
  program: "lib/fronts/relay/process.ts",
  folder,
  user: null,
});

/** Starts the relay under a supervisor unless one has it; returns when `answers` says so. Throws DpError "host". */
export const superviseRelay = (folder: string, answers: () => Promise<boolean>) =>
  superviseDaemon(daemonIn(folder), answers);

/** Ends the relay and its supervisor. Safe to repeat. */
export const stopSupervisedRelay = (folder: string) => stopSupervised(daemonIn(folder));
