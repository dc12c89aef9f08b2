// The heartbeat: something elsewhere that complains when it stays away, because a dead server tells nothing.

/** How long it may take, in ms. */
const LIMIT = 5_000;

/** Asks the address once. Whether it answers is not this server's trouble. */
export async function beat(url: string): Promise<void> {
  try {
    const response = await fetch(url, { redirect: "manual", keepalive: false, signal: AbortSignal.timeout(LIMIT) });
    await response.body?.cancel();
  } catch {
    // who watches the heartbeat notices that it is missing
  }
}
