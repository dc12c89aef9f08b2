// How much output of commands is written to the log: everything up to a limit, after that only the end of each step's
// output.

/**
 * Characters of a whole run that are written as they come, so that an endlessly repeating build cannot fill the disk.
 */
const MOST = 16 * 1024 * 1024;
/** Characters at the end of a step's output that are kept beyond the limit. */
const END = 64 * 1024;

/** Passes lines on to `write` as long as there is room. */
export function flood(write: (line: string) => void, most = MOST, end = END) {
  let room = most;
  let held: string[] = [];
  let size = 0;
  let left = 0;
  const hold = (line: string) => {
    held.push(line);
    size += line.length + 1;
    for (; size > end && held.length > 1; left++) size -= held.shift()!.length + 1;
  };
  return {
    line(line: string) {
      if (room <= 0) return hold(line);
      room -= line.length + 1;
      write(line);
    },
    /** Writes the end of the held-back output, and how much was left out before it. Called when a step ends. */
    flush(say: (line: string) => void) {
      if (left > 0)
        say(`(${left} lines are left out here: a log holds ${Math.round(most / 1024 / 1024)} MiB of output)`);
      for (const line of held) write(line);
      [held, size, left] = [[], 0, 0];
    },
  };
}
