// How a process ended, in words, and whether it ended as it was asked to.

// What systemd calls a clean signal: somebody asked for the end.
const CLEAN = new Set(["SIGHUP", "SIGINT", "SIGTERM", "SIGPIPE"]);

/** "exited with 3", "killed by SIGKILL". */
export function howEnded(code: number | null, signal: string | null): string {
  return signal === null ? `exited with ${code ?? "an unknown code"}` : `killed by ${signal}`;
}

/** Whether an end calls for no restart: code 0, or a signal that asks a process to end. */
export function isClean(code: number | null, signal: string | null): boolean {
  return signal === null ? code === 0 : CLEAN.has(signal);
}
