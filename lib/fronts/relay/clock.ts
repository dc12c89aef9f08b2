// The relay's clock, read once a sweep: limits in seconds do not justify a system call for each byte.

export const clock = {
  /** Milliseconds of a monotonic clock, as of the last sweep. */
  now: performance.now(),
  /** While there are no connections, and sweeps are rare: reads the clock, and makes them frequent again. */
  wake: null as (() => void) | null,
};
