// One raw HTTP/1.1 connection of the load generator: what it sends is known to the byte, and so is what comes back.

/** An answer, read to its end. */
export interface Answer {
  status: number;
  head: string;
  body: Buffer;
  isClosing: boolean;
}

/** A connection that carries one request at a time, or a websocket. */
export interface Connection {
  isClosed(): boolean;
  /** Sends and waits for the whole answer. Rejects with why there was none. */
  ask(bytes: string | Buffer, timeout: number): Promise<Answer>;
  write(bytes: Buffer): void;
  /** Bytes after an upgrade go here. */
  onData: ((chunk: Buffer) => void) | null;
  onClose: ((why: string) => void) | null;
  close(): void;
}

/** The answer at the start of the buffer and its length, or null when it is not complete. */
export function readAnswer(buffer: Buffer): { answer: Answer; size: number } | null {
  const headEnd = buffer.indexOf("\r\n\r\n");
  if (headEnd === -1) return null;
  const head = buffer.toString("latin1", 0, headEnd);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  const isClosing = /^connection: *close/im.test(head);
  const at = headEnd + 4;
  if (status === 101) return { answer: { status, head, body: buffer.subarray(at, at), isClosing }, size: at };
  if (/^transfer-encoding: *chunked/im.test(head)) {
    const parts: Buffer[] = [];
    for (let from = at; ;) {
      const lineEnd = buffer.indexOf("\r\n", from);
      if (lineEnd === -1) return null;
      const size = Number.parseInt(buffer.toString("latin1", from, lineEnd), 16);
      const next = lineEnd + 2 + size + 2;
      if (buffer.length < next) return null;
      if (size === 0) return { answer: { status, head, body: Buffer.concat(parts), isClosing }, size: next };
      parts.push(buffer.subarray(lineEnd + 2, lineEnd + 2 + size));
      from = next;
    }
  }
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (buffer.length < at + length) return null;
  return { answer: { status, head, body: buffer.subarray(at, at + length), isClosing }, size: at + length };
}

/** How many bytes there must be before it is worth another look. */
function neededFor(buffer: Buffer): number {
  const headEnd = buffer.indexOf("\r\n\r\n");
  const length = headEnd === -1 ? null : /^content-length: *(\d+)/im.exec(buffer.toString("latin1", 0, headEnd));
  if (length) return headEnd + 4 + Number(length[1]);
  return 0;
}

/** Connects to 127.0.0.1, by name over TLS if one is given, with whatever certificate. Rejects when it is refused. */
export async function connectTo(port: number, serverName?: string): Promise<Connection> {
  let parts: Buffer[] = [];
  let size = 0;
  let needed = 0;
  let closed: string | null = null;
  let waiting: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;
  let queue = Buffer.alloc(0);
  const flush = () => {
    if (queue.length > 0) queue = queue.subarray(Math.max(0, socket.write(queue)));
  };
  const finish = (why: string) => {
    if (closed !== null) return;
    closed = why;
    waiting?.reject(new Error(size > 0 ? `${why} in the middle of an answer` : why));
    connection.onClose?.(why);
    socket.end();
  };
  const take = (chunk: Buffer) => {
    if (connection.onData) return connection.onData(chunk);
    parts.push(chunk);
    size += chunk.length;
    // A download of megabytes is not put together at every chunk.
    if (size < needed) return;
    const buffer = parts.length === 1 ? chunk : Buffer.concat(parts);
    parts = [buffer];
    const read = readAnswer(buffer);
    needed = read === null ? neededFor(buffer) : 0;
    if (read === null) return;
    const rest = buffer.subarray(read.size);
    parts = [];
    size = 0;
    if (read.answer.status === 101) setTimeout(() => rest.length > 0 && connection.onData?.(rest));
    else if (rest.length > 0) return waiting?.reject(new Error("more than an answer"));
    waiting?.resolve(read.answer);
    waiting = null;
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    allowHalfOpen: true,
    ...(serverName === undefined ? {} : { tls: { serverName, rejectUnauthorized: false } }),
    socket: {
      data: (_socket, chunk) => take(chunk),
      drain: flush,
      end: () => finish("EOF"),
      close: (_socket, error) => finish(error ? ((error as { code?: string }).code ?? "reset") : "EOF"),
      connectError() {},
    },
  });
  const connection: Connection = {
    onData: null,
    onClose: null,
    isClosed: () => closed !== null,
    write(bytes) {
      queue = Buffer.concat([queue, bytes]);
      flush();
    },
    ask(bytes, timeout) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no answer within ${timeout} ms`)), timeout);
        const done =
          <T>(settle: (value: T) => void) =>
          (value: T) => {
            clearTimeout(timer);
            waiting = null;
            settle(value);
          };
        waiting = { resolve: done(resolve), reject: done(reject) };
        connection.write(typeof bytes === "string" ? Buffer.from(bytes) : bytes);
      });
    },
    close() {
      closed ??= "closed";
      socket.end();
    },
  };
  return connection;
}
