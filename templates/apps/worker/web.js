// The web process: it takes jobs in, for the workers to do.
import { createServer } from "node:http";
import { add, openQueue } from "./queue.js";

async function bodyOf(request) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return JSON.parse(text);
}

const server = createServer(async (request, response) => {
  const answer = (status, body) =>
    response.writeHead(status, { "Content-Type": "application/json" }).end(`${JSON.stringify(body)}\n`);
  if (request.url === "/health") return answer(200, { release: process.env.DP_RELEASE ?? "none" });
  if (request.url !== "/jobs" || request.method !== "POST") return answer(404, { error: "POST /jobs, GET /health" });
  try {
    answer(202, { id: await add(await bodyOf(request)) });
  } catch (error) {
    answer(400, { error: String(error) });
  }
});

await openQueue();
server.listen(Number(process.env.PORT ?? 3000), process.env.DP_HOST ?? "127.0.0.1", () => {
  console.log("listening on", server.address());
});
process.on("SIGTERM", () => server.close());
