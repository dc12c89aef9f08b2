// One process: it works jobs, one after the other, and says on $PORT whether it still does.
import { createServer } from "node:http";
import { jobs } from "./jobs.js";
import { add, openQueue, putBack, workOne } from "./queue.js";

const PAUSE = 500;
let isStopping = false;
let lastRound = Date.now();
let done = 0;

async function work({ name, data }) {
  if (!Object.hasOwn(jobs, name)) throw new Error(`there is no job ${JSON.stringify(name)}`);
  await jobs[name](data ?? {});
  done++;
}

async function workAll() {
  while (!isStopping) {
    lastRound = Date.now();
    await putBack();
    if (!(await workOne(work))) await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function bodyOf(request) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return JSON.parse(text);
}

const server = createServer(async (request, response) => {
  const answer = (status, body) =>
    response.writeHead(status, { "Content-Type": "application/json" }).end(`${JSON.stringify(body)}\n`);
  if (request.url === "/health") {
    // A job may take its time; a worker that hangs for minutes is of no use.
    const isAlive = Date.now() - lastRound < 10 * 60_000;
    return answer(isAlive ? 200 : 503, { release: process.env.DP_RELEASE ?? "none", done });
  }
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
const working = workAll();

// No new job; the one at hand is worked to its end, and then the process ends by itself.
process.on("SIGTERM", async () => {
  isStopping = true;
  server.close();
  await working;
});
