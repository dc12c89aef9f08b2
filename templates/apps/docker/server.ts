// Answers on the port that its image exposes; dp chooses where that is reached from outside.
Bun.serve({
  hostname: "0.0.0.0",
  port: Number(process.env.PORT ?? 8080),
  routes: {
    "/": () => Response.json({ app: process.env.DP_APP ?? "local", release: process.env.DP_RELEASE ?? "none" }),
    "/health": () => Response.json({ status: "ok" }),
  },
});
