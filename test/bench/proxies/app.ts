// The app behind the proxies: as little work as there can be, with a big answer, and an echo over WebSockets.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../support/core-server.ts";
import { until } from "../../support/sandbox.ts";
import type { Host } from "../fronts.ts";
import { get } from "../timing.ts";

/** Bytes of the big answer, and of an upload. */
export const BIG = 1024 * 1024;

const APP = `const big = new Uint8Array(${BIG});
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  idleTimeout: 0,
  async fetch(request, server) {
    const { pathname } = new URL(request.url);
    if (pathname === "/ws" && server.upgrade(request)) return;
    if (request.method === "POST") await request.arrayBuffer();
    // Whoever closes his connection after one answer is told that it ends there, too.
    const headers = request.headers.get("connection") === "close" ? { connection: "close" } : {};
    return new Response(pathname === "/big" ? big : "hello", { headers });
  },
  websocket: { idleTimeout: 0, message: (socket, message) => void socket.send(message) },
});
`;

/** Starts it; answers its port and pid. */
export async function startEcho(of: Host): Promise<{ port: number; pid: number }> {
  const port = await freePort();
  const file = join(of.folder, "echo.ts");
  writeFileSync(file, APP);
  const argv = [process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", file];
  const pid = of.start(argv, { PORT: String(port) });
  await until("the app's start", async () => (await get(port, "/")) === "hello");
  return { port, pid };
}
