// The output of a child: lines as they arrive, and the tail of the text.

/** Characters of a line that are passed to `onLine`; the rest is cut off. */
const LONGEST = 64 * 1024;

/** Reads a pipe to its end: passes whole lines to `onLine` and keeps the last `keep` characters as `text`. */
export function readLines(fd: number, options: { keep?: number; onLine?: (line: string) => void }) {
  const stream = Bun.file(fd).stream().getReader();
  const decoder = new TextDecoder();
  const keep = options.keep ?? 1024 * 1024;
  let rest = "";
  let kept = "";
  const take = (text: string) => {
    kept = (kept + text).slice(-keep);
    const lines = text.split("\n");
    for (const [index, part] of lines.entries()) {
      // A line without an end must not grow forever.
      rest += part.slice(0, LONGEST - rest.length);
      if (index === lines.length - 1) return;
      options.onLine?.(rest);
      rest = "";
    }
  };
  const done = (async () => {
    for (;;) {
      const chunk = await stream.read();
      if (chunk.done) break;
      take(decoder.decode(chunk.value, { stream: true }));
    }
    if (rest) options.onLine?.(rest);
  })();
  return { done, text: () => kept.trimEnd(), cancel: () => stream.cancel().catch(() => undefined) };
}

/** The last `count` lines of a text, without trailing empty lines. */
export function tail(text: string, count: number): string[] {
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .slice(-count);
}
