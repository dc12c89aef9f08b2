// Ports for tests that run side by side: below the range that dp gives to instances, and each taken once.
import { createServer } from "node:net";

/** A TCP port that nobody listens on, kept for its taker by a UDP socket of the same number until `release`. */
export async function claimPort(): Promise<{ port: number; release(): void }> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    let claim;
    try {
      claim = await Bun.udpSocket({ hostname: "127.0.0.1", port });
      claim.unref();
    } catch {
      continue; // another test's
    }
    if (await isFree(port)) return { port, release: () => claim.close() };
    claim.close();
  }
}

/** Such a port, claimed for as long as this process runs. */
export async function freePort(): Promise<number> {
  return (await claimPort()).port;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer().on("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
