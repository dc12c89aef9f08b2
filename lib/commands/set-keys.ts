// The commented keys of a template: what is set takes the place of its own example.

/** A key with its value: `build: make`, or `hooks:` and the lines below it. */
interface Block {
  key: string;
  lines: string[];
}

/** The top-level keys of YAML lines, each with the lines below it. */
function blocksOf(settings: string): Block[] {
  const blocks: Block[] = [];
  for (const line of settings.split("\n")) {
    const key = /^(\w+):/.exec(line)?.[1];
    if (key !== undefined) blocks.push({ key, lines: [line] });
    else blocks.at(-1)?.lines.push(line);
  }
  return blocks;
}

/**
 * A template with the keys of `settings`, some lines of YAML: each in the place of its commented example (`# build: …`),
 * otherwise below the comment that names it (`static: {…}`). Keys inside it that are not set stay as comments.
 */
export const withKeys = (text: string, settings: string): string =>
  blocksOf(settings)
    .reduce((lines, block) => placed(lines, block), text.split("\n"))
    .join("\n");

function placed(lines: readonly string[], { key, lines: own }: Block): string[] {
  const at = lines.findIndex((line) => line.startsWith(`# ${key}:`));
  if (at < 0) {
    const named = lines.findIndex((line) => line.startsWith("# ") && line.includes(` ${key}: {`));
    // The template ends with a line end.
    return lines.toSpliced(named < 0 ? lines.length - 1 : named + 1, 0, ...own);
  }
  const below = lines.slice(at + 1).findIndex((line) => !/^# {2}/.test(line));
  const example = lines.slice(at + 1, below < 0 ? lines.length : at + 1 + below);
  return lines.toSpliced(at, 1 + example.length, ...own, ...unset(own, example));
}

/** The commented lines of an example, without the keys that are set, as comments inside the key. */
function unset(own: readonly string[], example: readonly string[]): string[] {
  const set = new Set(own.slice(1).map((line) => /^ {2}(\w+):/.exec(line)?.[1]));
  // A value in the key's own line takes no keys below it.
  if (set.size === 0) return [];
  const rest = example.filter((line) => !set.has(/^# {3}(\w+):/.exec(line)?.[1]));
  return rest.map((line) => line.replace(/^# {3}/, "  # "));
}
