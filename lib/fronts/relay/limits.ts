// Every limit of the relay. Times are in ms, sizes in bytes.

/** The head of a request or an answer. */
export const HEAD_SIZE = 32 * 1024;
export const HEAD_FIELDS = 100;
/** From a connection's first byte (or its start) to the end of the head. */
export const HEAD_TIME = 30_000;
/** A client connection without a request. */
export const IDLE_TIME = 75_000;
/** A body of which no byte moves while one is due. */
export const STALL_TIME = 60_000;
/** Until the app answers, a request's body has to bring so many bytes in each such time, as long as they are wanted. */
export const BODY_TIME = 30_000;
export const BODY_BYTES = 8 * 1024;
/** From the end of a request to the head of its answer. */
export const ANSWER_TIME = 5 * 60_000;
/** From the refused connect to the app until 503, and between two tries. */
export const CONNECT_TIME = 5_000;
export const CONNECT_PAUSE = 25;
/** A connection that has had the same thing under way for this long is probed (TCP keep-alive). */
export const PROBE_TIME = 30_000;
/** A request waits this long in a hold, unless the hold says otherwise. */
export const HOLD_TIME = 30_000;
/** A connection to an app is used again within this time only: shorter than any server's keep-alive. */
export const REUSE_TIME = 1_000;
/** After the relay's own FIN, for the client's bytes that are still on their way. */
export const LINGER_TIME = 15_000;
/** Between SIGTERM and the end of idle client connections, and until everything is cut. */
export const IDLE_GRACE = 250;
export const STOP_TIME = 30_000;
/** How long a closed tunnel may take to end by itself. */
export const TUNNEL_GRACE = 1_000;
/** How often the limits above are looked at. */
export const SWEEP_TIME = 100;

/** Client connections. */
export const CONNECTIONS = 4096;
export const CONNECTIONS_PER_APP = 2048;
/** From one client to all apps; of a trusted proxy, the requests that it passes on for one client. */
export const CONNECTIONS_PER_CLIENT = 256;
/** Connections over the cap that are told so; beyond that they are reset. */
export const CONNECTIONS_REFUSED = 256;
/** Requests sent ahead of their turn on one connection. */
export const PIPELINED = 64 * 1024;
/** A request body that is kept, so that it can be sent again on a fresh connection. */
export const REPLAY = 64 * 1024;
export const BACKLOG = 4096;
/** How often a port that was taken is tried again. */
export const RELISTEN_TIME = 2_000;

/** Hex digits of a chunk\'s size. */
export const CHUNK_DIGITS = 12;
/** What may stand behind the size of a chunk in an app's answer. */
export const EXTENSION_SIZE = 1024;
export const TRAILER_SIZE = 8 * 1024;
/** Digits of a Content-Length: all of them are exact numbers. */
export const LENGTH_DIGITS = 15;
/** One message on the control socket. */
export const CONTROL_SIZE = 1024 * 1024;
