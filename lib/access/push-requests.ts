// What the hooks of a push ask, as lines on the one descriptor that only this push has. Every word is checked: git's user
// has written it.
import { DpError } from "../errors.ts";
import type { RefChange } from "../deploy/pushed-refs.ts";
import { readLines } from "../host/process/output.ts";

/** What one hook asks. */
export interface Request {
  hook: "pre-receive" | "update" | "post-receive";
  /** The push options as they were given; not checked yet. */
  options: string[];
  /** The refs that move; for update one. */
  refs: RefChange[];
}

/** More refs or options than this are no push. */
const MOST = 20_000;

const HOOK = /^(?:pre-receive|update|post-receive)$/;
const REF = /^ref ([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) (refs\/[^\x00-\x20\x7f~^:?*[\\]{1,500})$/;

/** Reads requests from a pipe and hands each to `take`, with an error in its place for what is none. */
export function readRequests(fd: number, take: (request: Request | DpError) => void) {
  let now: Request | null = null;
  const onLine = (line: string) => {
    if (now === null) {
      if (!HOOK.test(line)) return take(unreadable(line));
      now = { hook: line as Request["hook"], options: [], refs: [] };
    } else if (line === "end") {
      const done = now;
      now = null;
      take(done);
    } else if (!addTo(now, line)) {
      now = null;
      take(unreadable(line));
    }
  };
  return readLines(fd, { keep: 1, onLine });
}

/** Whether the line was a part of the request. */
function addTo({ options, refs }: Request, line: string): boolean {
  if (options.length + refs.length >= MOST) return false;
  if (line.startsWith("option ")) {
    options.push(line.slice("option ".length));
    return true;
  }
  const [, old, sha, ref] = REF.exec(line) ?? [];
  if (old === undefined || sha === undefined || ref === undefined || ref.includes("..")) return false;
  refs.push({ ref, old, sha });
  return true;
}

const unreadable = (line: string) =>
  new DpError("usage", `git says what dp does not understand: ${JSON.stringify(line.slice(0, 200))}`);
