// A time of cron that does not come while tests run.

const month = ((new Date().getMonth() + 6) % 12) + 1;

/** A cron line, half a year away: what is run by hand does not meet the clock's own run of it. */
export const FAR = `0 0 1 ${month} *`;
/** How `dp cron` shows its next time, as a regular expression. */
export const FAR_TIME = `\\d{4}-${String(month).padStart(2, "0")}-01 00:00`;
