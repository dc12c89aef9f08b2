// Text that somebody else sends: no more of it is read than was agreed, however much comes.
import { DpError } from "../errors.ts";

/** The most that one order, question or answer has, in bytes. */
const MOST = 1024 ** 2;

/** All text of a stream, or null when it has more than `most` bytes; what is left is not read then. */
export async function textWithin(stream: ReadableStream<Uint8Array>, most = MOST): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > most) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Reads a stream to its end, and answers the last text of it, of at least `most` bytes where there are as many. */
export async function lastText(stream: ReadableStream<Uint8Array>, most = 64 * 1024): Promise<string> {
  let kept: Uint8Array = new Uint8Array();
  for await (const chunk of stream) {
    const all = Buffer.concat([kept, chunk]);
    kept = all.length > 2 * most ? all.subarray(-most) : all;
  }
  return Buffer.from(kept).toString();
}

/** Hands on the lines of a stream as they come; of one that has no end, the first `most` characters. */
export async function eachLine(
  stream: ReadableStream<Uint8Array>,
  take: (line: string) => void,
  most = 64 * 1024,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = (lines.pop() ?? "").slice(0, most);
    lines.forEach(take);
  }
  if (rest !== "") take(rest);
}

/** The text on stdin. Throws DpError "usage" when that is more than an order can have. */
export async function stdinText(): Promise<string> {
  const text = await textWithin(Bun.stdin.stream());
  if (text === null) throw new DpError("usage", "more than 1 MiB came on stdin: that is no order of dp");
  return text;
}
