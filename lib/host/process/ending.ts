// How a process ended, in words.

/** "exited with 3", "killed by SIGKILL". */
export function howEnded(code: number | null, signal: string | null): string {
  return signal === null ? `exited with ${code ?? "an unknown code"}` : `killed by ${signal}`;
}
