// Several pieces of work at a time, of which none may go on behind the caller's back.

/** Waits until all have ended, also when one fails; then throws the first error. */
export async function allDone(work: readonly Promise<unknown>[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === "rejected") throw end.reason;
}
