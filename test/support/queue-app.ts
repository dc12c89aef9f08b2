// An app with a queue: web takes jobs in, workers do them, and all of them note what they do.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

// Files in shared/: todo/N is a job, doing/N one in hand, done/N one that is done; notes says who did what.
const COMMON = `import os, signal, sys, time
shared = os.path.realpath("../../shared")
who = os.environ["DP_PROCESS"]
release = os.environ["DP_RELEASE"]
for name in ("todo", "doing", "done"):
    os.makedirs(os.path.join(shared, name), exist_ok=True)

def note(*words):
    # One write of one line: appends of several processes do not mix.
    fd = os.open(os.path.join(shared, "notes"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, (" ".join(map(str, words)) + "\\n").encode())
    os.close(fd)
`;

const WEB = `${COMMON}
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.startswith("/add/"):
            open(os.path.join(shared, "todo", self.path[5:]), "w").close()
        body = release.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

ThreadingHTTPServer((os.environ["DP_HOST"], int(os.environ["PORT"])), Handler).serve_forever()
`;

const WORKER = `${COMMON}
stopping = False
def stop(*_):
    global stopping
    stopping = True
signal.signal(signal.SIGTERM, stop)
if "PORT" in os.environ:
    sys.exit("a worker has no port")
note("up", who, release)
print("ready", who, release, flush=True)
while not stopping:
    for job in sorted(os.listdir(os.path.join(shared, "todo")), key=int):
        doing = os.path.join(shared, "doing", job)
        try:
            os.rename(os.path.join(shared, "todo", job), doing)
        except FileNotFoundError:
            continue
        note("begin", job, who, release)
        time.sleep(0.2)
        os.rename(doing, os.path.join(shared, "done", job))
        note("end", job, who, release)
        if stopping:
            break
    time.sleep(0.02)
note("down", who, release)
`;

/** Lines of deploy.yml: the worker. */
export const PROCESSES = `processes:
  worker: {command: exec python3 worker.py, healthCheck: {stayUp: 1s}}
`;

/** The app's files; `more` are further lines of its deploy.yml. */
export const queueApp = (name: string, more = ""): Record<string, string> => ({
  "deploy.yml": `name: ${name}
type: python
healthCheck: /health
command: exec python3 web.py
${PROCESSES}${more}`,
  "web.py": WEB,
  "worker.py": WORKER,
});

/** What the processes noted, line by line. */
export type Note = [what: "up" | "down" | "begin" | "end", ...words: string[]];

/** The notes out of their text. */
export const notesOf = (text: string): Note[] =>
  text
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split(" ") as Note);

/** What is wrong with the notes of an app whose workers were never killed; the jobs were these. */
export function faultsOf(notes: readonly Note[], jobs: readonly number[]): string[] {
  const faults: string[] = [];
  const up = new Map<string, string>();
  const inHand = new Map<string, string>();
  const done = new Map<string, number>();
  for (const [what, ...words] of notes) {
    const [job = "", who = "", release = ""] = what === "up" || what === "down" ? ["", ...words] : words;
    const other = up.get(who);
    if (what === "up") {
      if (other !== undefined) faults.push(`${who} of ${release} came up while that of ${other} ran`);
      up.set(who, release);
    } else if (other !== release) faults.push(`${who} of ${release} did something, and ${other ?? "none"} was up`);
    if (what === "down") {
      up.delete(who);
      for (const [left, by] of inHand) if (by === who) faults.push(`${who} of ${release} left job ${left} undone`);
    }
    if (what === "begin") inHand.set(job, who);
    if (what === "end") {
      inHand.delete(job);
      done.set(job, (done.get(job) ?? 0) + 1);
    }
  }
  for (const job of jobs)
    if (done.get(String(job)) !== 1) faults.push(`job ${job} was done ${done.get(String(job)) ?? 0} times`);
  return faults;
}

/** The processes that are up by the notes: `worker.1` -> release. */
export function upBy(notes: readonly Note[]): Record<string, string> {
  const up: Record<string, string> = {};
  for (const [what, who = "", release = ""] of notes) {
    if (what === "up") up[who] = release;
    if (what === "down") delete up[who];
  }
  return up;
}

/** The notes in an app's folder, and how many jobs are not done yet; `shared` is the part of it where they are. */
export function readNotes(base: string, folder = "shared"): { notes: Note[]; left: number } {
  const shared = join(base, folder);
  const count = (name: string) => readdirSync(join(shared, name)).length;
  return { notes: notesOf(readFileSync(join(shared, "notes"), "utf8")), left: count("todo") + count("doing") };
}

/** Adds jobs through the web process, one after the other, until it is told to stop. */
export function addJobs(port: number, pause: number) {
  const jobs: number[] = [];
  const failures: string[] = [];
  let isOver = false;
  const adding = (async () => {
    for (let job = 1; !isOver; job++) {
      try {
        const options = { ...({ proxy: "" } as RequestInit), signal: AbortSignal.timeout(60_000) };
        const response = await fetch(`http://127.0.0.1:${port}/add/${job}`, options);
        if (!response.ok) throw new Error(`status ${response.status}`);
        await response.text();
        jobs.push(job);
      } catch (error) {
        failures.push(String(error));
      }
      await Bun.sleep(pause);
    }
  })();
  return {
    jobs,
    failures,
    async stop() {
      isOver = true;
      await adding;
    },
  };
}
