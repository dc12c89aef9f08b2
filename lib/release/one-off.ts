// How a one-off command is known: it belongs to no instance and to no deploy, and outlives both.

/** What is in the environment of a one-off command besides the app's. */
export const ONE_OFF = { DP_PROCESS: "run" };
/** The same as an entry of /proc/PID/environ. */
export const ONE_OFF_MARK = `DP_PROCESS=${ONE_OFF.DP_PROCESS}`;
