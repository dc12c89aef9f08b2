import express from "express";

const app = express();
app.disable("x-powered-by");
app.set("trust proxy", "loopback");

app.get("/", (request, response) => {
  response.send(`Hello from ${process.env.DP_RELEASE ?? "my laptop"}\n`);
});

app.get("/health", (request, response) => {
  response.send("ok\n");
});

const server = app.listen(Number(process.env.PORT ?? 3000), process.env.DP_HOST ?? "127.0.0.1", (error) => {
  if (error) throw error;
  console.log("listening on", server.address());
});

// What is under way is answered; then the process ends by itself.
process.on("SIGTERM", () => server.close());
