// A worker: it does jobs, one after the other. dp scale APP worker=3 makes it three.
import { jobs } from "./jobs.js";
import { openQueue, putBack, workOne } from "./queue.js";

const PAUSE = 500;

async function work({ name, data }) {
  if (!Object.hasOwn(jobs, name)) throw new Error(`there is no job ${JSON.stringify(name)}`);
  await jobs[name](data ?? {});
}

// No new job; the one at hand is worked to its end, and only then does the next release's worker start.
let isStopping = false;
process.on("SIGTERM", () => {
  isStopping = true;
});

await openQueue();
console.log("waiting for jobs");
while (!isStopping) {
  await putBack();
  if (!(await workOne(work))) await new Promise((resolve) => setTimeout(resolve, PAUSE));
}
