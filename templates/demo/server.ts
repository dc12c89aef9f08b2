// The demo's app where there is no python3: what it answers is all that changes from push to push.
const ANSWER = "hello, this is version 1\n";

Bun.serve({
  hostname: Bun.env["DP_HOST"] ?? "127.0.0.1",
  port: Number(Bun.env["PORT"]),
  fetch: () => new Response(ANSWER),
});
