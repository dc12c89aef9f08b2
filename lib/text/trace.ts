// Folds the stack traces of Python and node: the frames of the app itself stay, those of libraries are counted.

const FRAME_PY = /^\s*File "([^"]+)", line \d+/;
const FRAME_JS = /^\s+at .*?\(?((?:node:|file:\/\/|\/)[^()]*?):\d+(?::\d+)?\)?$/;
const OF_LIBRARY = /\/(?:site-packages|dist-packages|node_modules)\/|\/lib\/python3[^/]*\/|^<frozen |^node:/;
/** Fewer frames in a row than these stay as they are. */
const FEW = 3;

/**
 * The lines without runs of library frames, each of which becomes one line that counts them, and without traces of
 * Python that come again below.
 */
export const foldTraces = (lines: readonly string[]): string[] => withoutRepeats(foldFrames(lines));

const BEGIN = "Traceback (most recent call last):";

function withoutRepeats(lines: readonly string[]): string[] {
  const blocks: string[][] = [];
  for (let at = 0; at < lines.length;) {
    let end = at + 1;
    if (lines[at] === BEGIN) while (end < lines.length && /^\s/.test(lines[end]!)) end++;
    // The error itself stands below the frames.
    if (lines[at] === BEGIN) end = Math.min(end + 1, lines.length);
    blocks.push(lines.slice(at, end));
    at = end;
  }
  const texts = blocks.map((block) => block.join("\n"));
  return blocks.filter((block, at) => block.length < 2 || texts.lastIndexOf(texts[at]!) === at).flat();
}

function foldFrames(lines: readonly string[]): string[] {
  const folded: string[] = [];
  for (let at = 0; at < lines.length;) {
    const end = endOfRun(lines, at);
    const frames = lines.slice(at, end).filter((line) => placeOf(line) !== undefined).length;
    if (frames < FEW) folded.push(...lines.slice(at, Math.max(end, at + 1)));
    else folded.push(`    ... ${frames} frames of libraries`);
    at = Math.max(end, at + 1);
  }
  return folded;
}

const placeOf = (line: string): string | undefined => (FRAME_PY.exec(line) ?? FRAME_JS.exec(line))?.[1];

/** The index after the library frames that begin at `at`, with the lines of code below them. */
function endOfRun(lines: readonly string[], at: number): number {
  let end = at;
  for (;;) {
    const line = lines[end];
    const place = line === undefined ? undefined : placeOf(line);
    if (place === undefined || !OF_LIBRARY.test(place)) return end;
    const indent = /^\s*/.exec(line!)![0].length;
    end++;
    // Python shows the line of code, and since 3.11 a line of carets, below each frame.
    while (FRAME_PY.test(line!) && lines[end] !== undefined && isBelow(lines[end]!, indent)) end++;
  }
}

const isBelow = (line: string, indent: number) => /^\s*/.exec(line)![0].length > indent && placeOf(line) === undefined;
