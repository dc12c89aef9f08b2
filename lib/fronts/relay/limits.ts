// Every limit of the relay. Times are in ms, sizes in bytes.

/** The size of the head of a request or an answer. */
export const HEAD_SIZE = 32 * 1024;
export const HEAD_FIELDS = 100;
/** From the start of a connection over https to the end of its handshake. */
export const HANDSHAKE_TIME = 10_000;
/** From a connection's first byte (or its start) to the end of the head. */
export const HEAD_TIME = 30_000;
/** How long a client connection may stay open without a request. */
export const IDLE_TIME = 75_000;
/** How long no byte of a body may arrive while one is due. */
export const STALL_TIME = 60_000;
/** Until the app answers, a request's body must bring at least BODY_BYTES in every BODY_TIME, as long as the app reads it. */
export const BODY_TIME = 30_000;
export const BODY_BYTES = 8 * 1024;
/** From the end of a request to the head of its answer. */
export const ANSWER_TIME = 5 * 60_000;
/** From the app's first refused connection to the 503 answer, and the pause between two tries. */
export const CONNECT_TIME = 5_000;
export const CONNECT_PAUSE = 25;
/** The same while the kernel says that nobody listens, and how often it is asked. */
export const CONNECT_UNHEARD = 250;
export const CONNECT_LOOK = 10;
/** Where nobody listened, it is asked again for so many targets at each look, in turn. */
export const CONNECT_LOOKS = 8;
/** So many of those who wait for an app connect at first, and twice as many at each look after it. */
export const CONNECT_FIRST = 4;
/** A connection whose request or tunnel has lasted this long is probed (TCP keep-alive). */
export const PROBE_TIME = 30_000;
/** How long a request is held by default. */
export const HOLD_TIME = 30_000;
/** How long an idle connection to an app is reused: shorter than any server's keep-alive. */
export const REUSE_TIME = 1_000;
/** How long the check of who is at its other end counts when a connection to an app is given to another client. */
export const OWNER_TIME = 60_000;
/** How long to read the client's remaining bytes after the relay's own FIN. */
export const LINGER_TIME = 15_000;
/** From SIGTERM to the end of idle client connections, and to the moment when everything is cut off. */
export const IDLE_GRACE = 250;
export const STOP_TIME = 30_000;
/** How long a closed tunnel may take to end by itself. */
export const TUNNEL_GRACE = 1_000;
/** How often the limits above are checked. */
export const SWEEP_TIME = 100;
/** The same while there are no connections. */
export const REST_TIME = 1_000;

/** The most client connections; with few open files there are fewer: capacity.ts. */
export const CONNECTIONS = 16 * 1024;
/** One app's share of them, as long as there are others. */
export const SHARE_OF_APP = 3 / 4;
/** Open files beside those of connections, pools and listening sockets. */
export const OWN_FILES = 64;
/** What all connections may hold together, and by how much that may grow between two counts when there is nothing left of it. */
export const MEMORY = 256 * 1024 * 1024;
export const MEMORY_STEP = 8 * 1024 * 1024;
/** What the kernel may keep for all of them, and how much it may take between two counts when there is nothing left of it. */
export const KERNEL_MEMORY = 256 * 1024 * 1024;
export const KERNEL_STEP = 64 * 1024 * 1024;
/** What the kernel may still keep of a connection when it counts no more: it sends that on by itself. */
export const ORPHANED = 64 * 1024;
/** When a quarter of it waits, the kernel's buffers for clients with more than their share: it takes about twice this. */
export const SCARCE_BUFFER = 96 * 1024;
/** What an app may send ahead of the relay, and the relay ahead of a client: the kernel would take megabytes of each. */
export const UNREAD = 64 * 1024;
export const UNSENT = 256 * 1024;
/** What it may send ahead on so many connections, on which that much of a longer answer came at once. */
export const AHEAD = 768 * 1024;
export const AHEAD_CONNECTIONS = 48;
export const AHEAD_LEAST = 32 * 1024;
/** What the relay itself holds for a connection on which nothing waits. As many as there may be are 3/4 of MEMORY. */
export const REST = 9 * 1024;
export const REST_SECURE = 12 * 1024;
/** Connections of one client to all apps; behind a trusted proxy, requests of one client in flight. */
export const CONNECTIONS_PER_CLIENT = 256;
/** Connections over the limit that get an answer; beyond that they are reset. */
export const CONNECTIONS_REFUSED = 256;
/** Pipelined requests on one connection. */
export const PIPELINED = 64 * 1024;
/** Bytes of one body that are passed on before the others' turn. */
export const PUMP_SIZE = 1024 * 1024;
/** A request body up to this size is kept, to be sent again on a fresh connection. */
export const REPLAY = 64 * 1024;
/** Idle connections to one app that no client has, and those to all apps: one for so many open files. */
export const POOL_SIZE = 64;
export const FILES_PER_POOLED = 16;
/** Connections to apps that still take the last bytes of clients that are gone. */
export const LEAVING = 64;
/** Messages up to this size, and as many, are kept until the end of a turn of the event loop, and sent together. */
export const TURN_SIZE = 16 * 1024;
export const TURN_MOST = 256;
export const BACKLOG = 4096;
/** How often to try a taken port again. */
export const RELISTEN_TIME = 2_000;

/** Hex digits of a chunk's size. */
export const CHUNK_DIGITS = 12;
/** The text after a chunk's size in an app's answer. */
export const EXTENSION_SIZE = 1024;
export const TRAILER_SIZE = 8 * 1024;
/** Digits of a Content-Length that are always an exact number. */
export const LENGTH_DIGITS = 15;
/** One message on the control socket. */
export const CONTROL_SIZE = 1024 * 1024;
