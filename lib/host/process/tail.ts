// The last lines of a log file, and the lines that follow.
import type { Io } from "../io.ts";
import type { LogOptions } from "../instance.ts";

// When the file has fewer lines than requested, the rest comes from FILE.1, the previous file of the rotation.
const OLDER = `[ ! -f "$2.1" ] || {
  now=$(cat -- "$2" 2>/dev/null | wc -l)
  [ "$now" -ge "$1" ] || tail -n $(($1 - now)) -- "$2.1"
}`;

/** Passes on the last lines of a file and, with `follow`, each new line until `io.signal` is aborted. */
export async function tailFile(file: string, options: LogOptions, io: Io, user?: string): Promise<void> {
  const { lines, follow, onLine } = options;
  // tail reports a rotation on stderr, which is not the app's output.
  const script = follow ? 'exec tail -n "$1" -F -- "$2" 2>/dev/null' : '[ ! -f "$2" ] || exec tail -n "$1" -- "$2"';
  const timeout = follow ? 2 ** 31 - 1 : 60_000;
  try {
    await io.run(["/bin/sh", "-c", `${OLDER}\n${script}`, "sh", String(lines), file], { onLine, timeout, user });
  } catch (error) {
    if (!(follow && io.signal.aborted)) throw error;
  }
}
