// Where the log that a command reads is written, piece by piece or line by line.

/** The destination of a log. */
export interface Sink {
  /** Returns how many of the bytes were taken; 0: the reader is slow, try again. */
  print(chunk: Buffer): number;
  end(): void;
}

/** A sink that passes on whole lines. */
export function lineSink(onLine: (line: string) => void): Sink {
  const decoder = new TextDecoder();
  let rest = "";
  return {
    print(chunk) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(onLine);
      return chunk.length;
    },
    end() {
      if (rest !== "") onLine(rest);
    },
  };
}
