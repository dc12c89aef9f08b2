import { Hono } from "hono";

const app = new Hono();

app.get("/", (context) => context.text(`Hello from ${process.env["DP_RELEASE"] ?? "my laptop"}\n`));
app.get("/health", (context) => context.text("ok\n"));

const server = Bun.serve({
  hostname: process.env["DP_HOST"] ?? "127.0.0.1",
  port: Number(process.env["PORT"] ?? 3000),
  fetch: app.fetch,
});
console.log("listening on", server.url.href);

// What is under way is answered; then the process ends.
process.on("SIGTERM", async () => {
  await server.stop();
  process.exit(0);
});
