// A queue of files: waiting jobs in queue/waiting, those being worked in queue/working, those that failed in queue/failed.
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, stat, unlink, utimes, writeFile } from "node:fs/promises";

const at = (state, id = "") => `queue/${state}/${id}`;
/** Whoever works a job touches it this often (ms); a job that nobody has touched for much longer was left behind. */
const HEARTBEAT = 5_000;
const LEFT_BEHIND = 6 * HEARTBEAT;

export async function openQueue() {
  for (const state of ["waiting", "working", "failed"]) await mkdir(at(state), { recursive: true });
}

/** Adds a job; it is there as a whole, by the rename, or not at all. */
export async function add(job) {
  const id = `${Date.now()}-${randomUUID()}.json`;
  await writeFile(at("waiting", `.${id}`), JSON.stringify(job));
  await rename(at("waiting", `.${id}`), at("waiting", id));
  return id;
}

/** Works the oldest job; false when there is none. Of two workers, of two releases too, one gets it: by the rename. */
export async function workOne(work) {
  const [id] = (await readdir(at("waiting"))).filter((name) => !name.startsWith(".")).sort();
  if (id === undefined) return false;
  try {
    await rename(at("waiting", id), at("working", id));
  } catch (error) {
    if (error.code === "ENOENT") return true;
    throw error;
  }
  const touch = () => utimes(at("working", id), new Date(), new Date()).catch((error) => console.error(error));
  await touch();
  const heart = setInterval(touch, HEARTBEAT);
  try {
    await work(JSON.parse(await readFile(at("working", id), "utf8")));
    await unlink(at("working", id));
  } catch (error) {
    console.error(`job ${id} failed:`, error);
    await rename(at("working", id), at("failed", id));
  } finally {
    clearInterval(heart);
  }
  return true;
}

/** Puts jobs back whose worker has gone without a word. */
export async function putBack() {
  for (const id of await readdir(at("working"))) {
    const { mtimeMs } = await stat(at("working", id)).catch(() => ({ mtimeMs: Infinity }));
    if (Date.now() - mtimeMs < LEFT_BEHIND) continue;
    await rename(at("working", id), at("waiting", id)).catch((error) => console.error(error));
  }
}
