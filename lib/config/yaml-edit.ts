// Changes a few values of a YAML file and leaves every other character as it is.
import { isMap, isScalar, isSeq, parseDocument, type Node, type ParsedNode, type YAMLMap, type YAMLSeq } from "yaml";
import { DpError } from "../errors.ts";

export type Scalar = string | number | boolean;

// It starts with a letter or a path, and contains nothing that YAML reads as a comment or a key.
const PLAIN = /^(?:[A-Za-z/]|\.\/)(?!.*(?::(?: |$)| #| $))[\x20-\x7e]*$/;
const WORDS = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

/** One value as YAML, in double quotes when a plain word would be read as something else. */
export function yamlScalar(value: Scalar): string {
  if (typeof value !== "string") return String(value);
  return PLAIN.test(value) && !WORDS.test(value) ? value : JSON.stringify(value);
}

/**
 * Sets keys at the top of a YAML mapping: an existing key gets the new value, a missing one a new line, below its
 * commented example (`# keep: 5`) if there is one. Throws DpError "config" for a text that is no plain mapping.
 */
export function setKeys(text: string, values: Readonly<Record<string, Scalar | undefined>>, file: string): string {
  let edited = text;
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) edited = setKey(edited, key, yamlScalar(value), file);
  }
  return edited;
}

/**
 * Sets values in the mapping below a top-level key, `scale: {worker: 2}`, in either notation; a missing key is added.
 * Throws DpError "config" as `setKeys` does.
 */
export function setInner(text: string, key: string, values: Readonly<Record<string, Scalar>>, file: string): string {
  let edited = text;
  for (const [inner, value] of Object.entries(values)) edited = setOne(edited, key, inner, yamlScalar(value), file);
  return edited;
}

function setOne(text: string, key: string, inner: string, value: string, file: string): string {
  const pair = pairIn(mappingOf(text, file), key);
  if (!pair) return addLine(text, key, `${key}: {${inner}: ${value}}`);
  const map = pair.value;
  if (isScalar(map) && map.value === null) {
    const end = map.range![0];
    return `${text.slice(0, end)}${text[end - 1] === ":" ? " " : ""}{${inner}: ${value}}${text.slice(end)}`;
  }
  if (!isMap<ParsedNode, ParsedNode | null>(map)) throw new DpError("config", `${file}: ${key} is not a mapping`);
  const old = pairIn(map as YAMLMap.Parsed, inner)?.value?.range;
  if (old) return text.slice(0, old[0]) + value + text.slice(old[1]);
  const [first] = map.items;
  if (map.flow) {
    const end = text.lastIndexOf("}", map.range![1] - 1);
    const before = text.slice(0, end).trimEnd();
    const comma = first && !before.endsWith(",") ? ", " : "";
    return `${before}${comma}${inner}: ${value}${text.slice(end)}`;
  }
  const start = first!.key.range[0];
  const indent = text.slice(text.lastIndexOf("\n", start) + 1, start);
  return `${text.slice(0, start)}${inner}: ${value}\n${indent}${text.slice(start)}`;
}

function mappingOf(text: string, file: string): YAMLMap.Parsed | null {
  const document = parseDocument(text, { logLevel: "error" });
  const { contents } = document;
  if (document.errors.length > 0 || (contents !== null && (!isMap(contents) || contents.flow))) {
    throw new DpError("config", `${file}: cannot be changed, write it as lines of "key: value"`);
  }
  return contents;
}

const pairIn = (mapping: YAMLMap.Parsed | null, key: string) =>
  mapping?.items.find((item) => isScalar(item.key) && item.key.value === key);

function setKey(text: string, key: string, value: string, file: string): string {
  const pair = pairIn(mappingOf(text, file), key);
  if (!pair) return addLine(text, key, `${key}: ${value}`);
  const range = pair.value?.range;
  if (!range || !isScalar(pair.value))
    throw new DpError("config", `${file}: ${key} is not a plain value, change it by hand`);
  const [start, end] = range;
  const gap = /[:]$/.test(text.slice(0, start)) ? " " : "";
  return text.slice(0, start) + gap + value + text.slice(end);
}

function addLine(text: string, key: string, line: string): string {
  const example = new RegExp(`^# ?${key}:.*$`, "m").exec(text);
  if (example) {
    const end = example.index + example[0].length;
    return `${text.slice(0, end)}\n${line}${text.slice(end)}`;
  }
  return text === "" || text.endsWith("\n") ? `${text}${line}\n` : `${text}\n${line}\n`;
}

/** A kind of node below a key. */
interface Kind<T> {
  word: string;
  isIt(node: unknown): node is T;
  empty(): object;
}

const LIST: Kind<YAMLSeq<Node>> = { word: "list", isIt: (node) => isSeq<Node>(node), empty: () => [] };
const MAP: Kind<YAMLMap> = { word: "mapping", isIt: (node): node is YAMLMap => isMap(node), empty: () => ({}) };

/**
 * Changes the list below a top-level key; a missing one is made, and one that becomes empty is removed. Comments and the
 * other lines stay. Throws DpError "config" as `setKeys` does.
 */
export const editList = (text: string, key: string, edit: (list: YAMLSeq<Node>) => void, file: string): string =>
  editBelow(text, key, LIST, edit, file);

/** The same for a mapping. */
export const editMap = (text: string, key: string, edit: (map: YAMLMap) => void, file: string): string =>
  editBelow(text, key, MAP, edit, file);

function editBelow<T extends YAMLSeq<Node> | YAMLMap>(
  text: string,
  key: string,
  { word, isIt, empty }: Kind<T>,
  edit: (node: T) => void,
  file: string,
): string {
  const pair = pairIn(mappingOf(text, file), key);
  const [from, to] = pair ? [pair.key.range[0], pair.value?.range?.[2] ?? pair.key.range[2]] : [0, 0];
  const own = parseDocument(pair ? text.slice(from, to) : `${key}:\n`);
  const found: unknown = own.get(key, true);
  if (!isIt(found) && pair?.value && !(isScalar(pair.value) && pair.value.value === null))
    throw new DpError("config", `${file}: ${key} is not a ${word}`);
  const node = isIt(found) ? found : (own.createNode(empty()) as unknown as T);
  edit(node);
  own.set(key, node);
  const made = node.items.length === 0 ? "" : own.toString({ lineWidth: 0 });
  if (pair) return `${text.slice(0, from)}${text[to - 1] === "\n" ? made : made.trimEnd()}${text.slice(to)}`;
  return made === "" ? text : addLine(text, key, made.trimEnd());
}
