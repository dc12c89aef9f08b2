// YAML as dp reads it: one document of plain values, with the place of each. No aliases, tags or directives.
import { isAlias, isScalar, isSeq, parseDocument, type ParsedNode, type Tags, type YAMLMap } from "yaml";
import { DpError } from "../errors.ts";
import { quoted } from "../text/text.ts";
import { wordsOf } from "./yaml-words.ts";

export type Path = readonly (string | number)[];

/** An error in a file; `offset` counts characters from the start of the text. */
export interface Problem {
  offset: number;
  path: Path;
  what: string;
}

/** An error in the meaning of a file; its position is looked up later. */
export type Wrong = Pick<Problem, "path" | "what">;

/** A file as read. `isBroken`: it is not YAML, and the value is meaningless. */
export interface Yaml {
  text: string;
  /** Mappings (without a prototype), lists, texts, booleans, whole numbers, null. */
  value: unknown;
  problems: Problem[];
  isBroken: boolean;
  /** The start of a key (of a mapping) or a value; for a missing one, of the mapping that lacks it. */
  offset(path: Path, part: "key" | "value"): number;
}

const LIMIT = 64 * 1024;
const DEPTH = 8;
const SHOWN = 50;

// 0x1F90, 08000 and 1e3 stay texts: a number must look the same to everybody.
const decimal = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^-?(?:0|[1-9][0-9]*)$/,
  resolve: (text: string) => Number(text),
};
const customTags = (tags: Tags): Tags => [
  ...tags.filter((tag) => typeof tag === "string" || !/:(?:int|float)$/.test(tag.tag)),
  decimal,
];

/** Reads a YAML text of at most 64 KiB. It never throws: errors are in `problems`. */
export function readYaml(source: string): Yaml {
  const text = source.replace(/^\ufeff/, "");
  const places = new Map<string, { key: number; value: number }>();
  const offset: Yaml["offset"] = (path, part) =>
    places.get(path.join("\0"))?.[part] ?? (path.length ? offset(path.slice(0, -1), "value") : 0);
  const broken = (problems: Problem[]): Yaml => ({ text, value: null, problems, isBroken: true, offset });

  if (Buffer.byteLength(text) > LIMIT)
    return broken([{ offset: 0, path: [], what: `larger than ${LIMIT / 1024} KiB: write long commands into scripts` }]);
  // Duplicate keys are found below: the parser's own search takes quadratic time.
  const document = parseDocument(text, { customTags, uniqueKeys: false, prettyErrors: false, logLevel: "error" });
  // The first error at a position is the cause, the later ones there are its consequences.
  const causes = new Map(document.errors.toReversed().map((error) => [error.pos[0], error]));
  const faults: Problem[] = [...causes.values()].map((error) => ({
    offset: error.pos[0],
    path: [],
    what: wordsOf(error),
  }));
  if (
    /^%/m.test(text) &&
    (document.directives.yaml.explicit || document.warnings.some((w) => w.code === "BAD_DIRECTIVE"))
  ) {
    faults.push({ offset: text.search(/^%/m), path: [], what: "directives are not allowed, remove the line" });
  }
  if (faults.length) return broken(faults);

  const problems: Problem[] = [];
  const value = valueOf(document.contents, [], { places, problems });
  return { text, value, problems, isBroken: false, offset };
}

interface Findings {
  places: Map<string, { key: number; value: number }>;
  problems: Problem[];
}

function valueOf(node: ParsedNode | null, path: Path, found: Findings): unknown {
  if (node === null) return null;
  const offset = node.range[0];
  const problem = (what: string) => found.problems.push({ offset, path, what });
  found.places.set(path.join("\0"), { key: offset, ...found.places.get(path.join("\0")), value: offset });
  if (path.length > DEPTH) problem("nested too deeply");
  if (path.length > DEPTH) return null;
  if (isAlias(node)) problem("aliases (*name) are not allowed, write the value out");
  if (isAlias(node)) return null;
  if (node.anchor !== undefined) problem("anchors (&name) are not allowed, write the value out");
  if (node.tag !== undefined) problem("tags (!name) are not allowed, write the plain value");
  if (isScalar(node)) return node.value;
  if (isSeq(node)) return node.items.map((item, index) => valueOf(item as ParsedNode, [...path, index], found));
  return mappingOf(node, path, found);
}

function mappingOf(node: YAMLMap.Parsed, path: Path, found: Findings): object {
  // Without a prototype "__proto__" is a key like any other.
  const mapping: Record<string, unknown> = Object.create(null);
  for (const pair of node.items) {
    const offset = pair.key.range[0];
    if (!isScalar(pair.key) || pair.key.anchor !== undefined || pair.key.tag !== undefined) {
      found.problems.push({ offset, path, what: "a key must be a plain word" });
      continue;
    }
    const name = String(pair.key.source ?? pair.key.value);
    const inner = [...path, name];
    if (Object.hasOwn(mapping, name)) {
      found.problems.push({ offset, path: inner, what: "given twice, keep one" });
      continue;
    }
    found.places.set(inner.join("\0"), { key: offset, value: offset });
    mapping[name] = valueOf(pair.value, inner, found);
  }
  return mapping;
}

/** The error for a file with problems: `deploy.yml: 2 problems`, one line each, `deploy.yml:3:1 build: …`. */
export function yamlError(file: string, yaml: Yaml, problems: readonly Problem[]): DpError {
  const lines = problemLines(file, yaml, problems);
  return new DpError("config", `${file}: ${problems.length} problem${problems.length === 1 ? "" : "s"}`, { lines });
}

/** The lines of such an error, in the order of the file. */
export function problemLines(file: string, yaml: Yaml, problems: readonly Problem[]): string[] {
  const sorted = problems.toSorted((a, b) => a.offset - b.offset);
  const lines = sorted
    .slice(0, SHOWN)
    .map((problem) => `${file}:${position(yaml.text, problem.offset)} ${named(problem.path)}${problem.what}`);
  return sorted.length > SHOWN ? [...lines, `and ${sorted.length - SHOWN} more`] : lines;
}

function position(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `${before.length}:${before.at(-1)!.length + 1}`;
}

function named(path: Path): string {
  if (path.length === 0) return "";
  const parts = path.map((part) => (/^[A-Za-z0-9_-]{1,60}$/.test(String(part)) ? String(part) : quoted(String(part))));
  return `${parts.join(".")}: `;
}
