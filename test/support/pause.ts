// How long a question waits until it is asked again.

/** Asks again after a moment: longer after a question that took long itself, such as one that starts a program. */
export async function pauseAfter(begun: number): Promise<void> {
  const took = performance.now() - begun;
  await Bun.sleep(Math.min(250, Math.max(10, took * 2)));
}
