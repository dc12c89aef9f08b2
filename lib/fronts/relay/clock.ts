// The relay's clock, read once a sweep: limits in seconds do not justify a system call for each byte.

/** Milliseconds of a monotonic clock, as of the last sweep. */
export const clock = { now: performance.now() };
