// What marks a one-off command: it belongs to no instance and to no deploy, and outlives both.

/** The variables that a one-off command has in addition to the app's. */
export const ONE_OFF = { DP_PROCESS: "run" };
/** The same as an entry of /proc/PID/environ. */
export const ONE_OFF_MARK = `DP_PROCESS=${ONE_OFF.DP_PROCESS}`;
