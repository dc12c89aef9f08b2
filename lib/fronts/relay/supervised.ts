// The relay without systemd: run by the same small supervisor as the apps.
import { stopSupervised, superviseDaemon, type Daemon } from "../../host/daemon/supervised.ts";

const daemonIn = (folder: string): Daemon => ({
  name: "relay",
  program: "lib/fronts/relay/process.ts",
  folder,
  user: null,
});

/**
 * Starts the relay under a supervisor unless it has one; returns once `answers` is true. True: this call has started
 * it. Throws DpError "host".
 */
export const superviseRelay = (folder: string, answers: () => Promise<boolean>) =>
  superviseDaemon(daemonIn(folder), answers);

/** Stops the relay and its supervisor. Safe to repeat. */
export const stopSupervisedRelay = (folder: string) => stopSupervised(daemonIn(folder));
