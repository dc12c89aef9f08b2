// How much of what commands say is written down: all of it up to a bound, and then the end of each step's.

/** Characters of a whole run that are written as they come: no disk is filled by a build that says the same for ever. */
const MOST = 16 * 1024 * 1024;
/** Characters at the end of a step that are kept for its end. */
const END = 64 * 1024;

/** Passes lines on to `write` as long as there is room for them. */
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
    /** Writes the end of what was held back, and says how much was left out before it. Called when a step ends. */
    flush(say: (line: string) => void) {
      if (left > 0)
        say(`(${left} lines are left out here: a log holds ${Math.round(most / 1024 / 1024)} MiB of output)`);
      for (const line of held) write(line);
      [held, size, left] = [[], 0, 0];
    },
  };
}
