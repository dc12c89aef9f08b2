// Where a log that is read goes, piece by piece or line by line.

/** Where what was read goes. */
export interface Sink {
  /** Answers how many of the bytes were taken; 0: the reader is slow, ask again. */
  print(chunk: Buffer): number;
  end(): void;
}

/** A sink that hands over whole lines. */
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
