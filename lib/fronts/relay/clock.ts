// The relay's time, read once a sweep: what is measured in seconds needs no system call a byte.

/** Milliseconds of a clock that only goes forward, as of the last sweep. */
export const clock = { now: performance.now() };
