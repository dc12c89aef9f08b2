// Messages of D-Bus, little-endian: https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol

/** A method, and the texts or lists of texts that it takes. */
export interface Call {
  /** The name of the service on the bus. */
  to: string;
  /** The object's path. */
  at: string;
  interface: string;
  method: string;
  args?: readonly (string | readonly string[])[];
}

/** A message from the bus. */
export interface Message {
  kind: "call" | "answer" | "error" | "signal";
  /** The number of the call that it answers; 0: it answers none. */
  answers: number;
  values: unknown[];
  /** The name of an error, "org.freedesktop.systemd1.NoSuchUnit". */
  error?: string;
  /** The name of a signal, "org.freedesktop.systemd1.Manager.JobRemoved". */
  signal?: string;
}

const KINDS = ["call", "answer", "error", "signal"] as const;
const [PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SIGNATURE] = [1, 2, 3, 4, 5, 6, 8];
/** The largest message of the specification. */
const MOST = 128 * 1024 * 1024;
const HEAD = 16;

/** Grows by values, each at its place: what the specification calls alignment counts from the start of the message. */
class Writer {
  readonly bytes: number[] = [];

  align(to: number): void {
    while (this.bytes.length % to !== 0) this.bytes.push(0);
  }

  number(value: number): void {
    this.align(4);
    this.bytes.push(...fourBytes(value));
  }

  text(text: string): void {
    const raw = Buffer.from(text);
    this.number(raw.length);
    this.bytes.push(...raw, 0);
  }

  signature(text: string): void {
    this.bytes.push(text.length, ...Buffer.from(text), 0);
  }

  /** An array; its length in bytes is known only behind it. */
  array(write: () => void): void {
    this.number(0);
    const start = this.bytes.length;
    write();
    this.bytes.splice(start - 4, 4, ...fourBytes(this.bytes.length - start));
  }
}

const fourBytes = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];

/** The bytes of a call; `serial`: its number, from 1. */
export function callBytes(serial: number, { to, at, interface: name, method, args = [] }: Call): Buffer {
  const body = new Writer();
  for (const arg of args) {
    if (typeof arg === "string") body.text(arg);
    else body.array(() => arg.forEach((text) => body.text(text)));
  }
  const signature = args.map((arg) => (typeof arg === "string" ? "s" : "as")).join("");
  const head = new Writer();
  head.bytes.push("l".charCodeAt(0), 1, 0, 1); // little-endian, a call, no flags, version 1
  head.number(body.bytes.length);
  head.number(serial);
  head.array(() => {
    const field = (code: number, type: string, write: () => void) => {
      head.align(8);
      head.bytes.push(code);
      head.signature(type);
      write();
    };
    field(PATH!, "o", () => head.text(at));
    field(INTERFACE!, "s", () => head.text(name));
    field(MEMBER!, "s", () => head.text(method));
    field(DESTINATION!, "s", () => head.text(to));
    if (signature !== "") field(SIGNATURE!, "g", () => head.signature(signature));
  });
  head.align(8);
  return Buffer.from([...head.bytes, ...body.bytes]);
}

/** The first message in some bytes, and its size; null: it is not complete yet. Throws an Error for anything else. */
export function firstMessage(bytes: Buffer): { message: Message; size: number } | null {
  if (bytes.length < HEAD) return null;
  if (bytes.toString("latin1", 0, 1) !== "l") throw new Error("a message in another byte order");
  const bodyAt = (HEAD + bytes.readUInt32LE(12) + 7) & ~7;
  const size = bodyAt + bytes.readUInt32LE(4);
  if (size > MOST) throw new Error("a message that is too long");
  if (bytes.length < size) return null;
  const fields = new Map(read({ bytes, at: 12 }, "a(yv)") as [number, unknown][]);
  const signature = (fields.get(SIGNATURE!) as string | undefined) ?? "";
  const body = { bytes: bytes.subarray(bodyAt, size), at: 0 };
  const kind = KINDS[bytes[1]! - 1];
  if (kind === undefined) throw new Error("a message of an unknown kind");
  const values = typesIn(signature).map((type) => read(body, type));
  const error = fields.get(ERROR_NAME!) as string | undefined;
  const answers = (fields.get(REPLY_SERIAL!) as number | undefined) ?? 0;
  const signal =
    kind === "signal" ? { signal: `${String(fields.get(INTERFACE!))}.${String(fields.get(MEMBER!))}` } : {};
  return { message: { kind, answers, values, ...(error === undefined ? {} : { error }), ...signal }, size };
}

interface Cursor {
  bytes: Buffer;
  at: number;
}

/** The complete types in a signature: "sa(ss)u" has three. */
function typesIn(signature: string): string[] {
  const types: string[] = [];
  for (let rest = signature; rest !== ""; rest = rest.slice(types.at(-1)!.length)) types.push(firstType(rest));
  return types;
}

function firstType(signature: string): string {
  if (signature[0] === "a") return `a${firstType(signature.slice(1))}`;
  if (signature[0] !== "(") return signature[0]!;
  let depth = 0;
  for (const [at, letter] of [...signature].entries()) {
    depth += letter === "(" ? 1 : letter === ")" ? -1 : 0;
    if (depth === 0) return signature.slice(0, at + 1);
  }
  throw new Error(`the signature ${signature} does not end`);
}

const SIZES: Readonly<Record<string, number>> = { y: 1, g: 1, v: 1, x: 8, t: 8, "(": 8 };

/** Moves to the next place for a type, and over `size` bytes; answers where they begin. */
function take(from: Cursor, type: string, size: number): number {
  const step = SIZES[type[0]!] ?? 4;
  const at = Math.ceil(from.at / step) * step;
  from.at = at + size;
  if (from.at > from.bytes.length) throw new Error("a message that is too short");
  return at;
}

function textAt(from: Cursor, size: number): string {
  const at = take(from, "y", size + 1); // and a zero
  return from.bytes.toString("utf8", at, at + size);
}

function read(from: Cursor, type: string): unknown {
  const { bytes } = from;
  switch (type[0]) {
    case "y":
      return bytes[take(from, type, 1)];
    case "b":
      return bytes.readUInt32LE(take(from, type, 4)) === 1;
    case "u":
      return bytes.readUInt32LE(take(from, type, 4));
    case "i":
      return bytes.readInt32LE(take(from, type, 4));
    case "x":
      return Number(bytes.readBigInt64LE(take(from, type, 8)));
    case "t":
      return Number(bytes.readBigUInt64LE(take(from, type, 8)));
    case "s":
    case "o":
      return textAt(from, bytes.readUInt32LE(take(from, type, 4)));
    case "g":
      return textAt(from, bytes[take(from, type, 1)]!);
    case "v":
      return read(from, read(from, "g") as string);
    case "(":
      take(from, type, 0);
      return typesIn(type.slice(1, -1)).map((part) => read(from, part));
    case "a":
      return readArray(from, type.slice(1));
    default:
      throw new Error(`a value of the unknown type ${type}`);
  }
}

function readArray(from: Cursor, type: string): unknown[] {
  const size = from.bytes.readUInt32LE(take(from, "u", 4));
  const end = take(from, type, 0) + size;
  const values: unknown[] = [];
  while (from.at < end) values.push(read(from, type));
  return values;
}
