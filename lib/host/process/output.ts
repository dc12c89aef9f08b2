// What a child prints: lines as they come, and the end of it all.

/** What is behind so many characters of one line is no part of it for `onLine`. */
const LONGEST = 64 * 1024;

/** Reads a pipe to its end: whole lines to `onLine`, the last `keep` characters to `text`. */
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
      // A line without end must not grow for ever.
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

/** The last `count` lines of a text, without empty ones at its end. */
export function tail(text: string, count: number): string[] {
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .slice(-count);
}
