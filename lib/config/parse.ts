// Reading a YAML file by its schema: every problem at once, with line, column and a suggestion.
import * as v from "valibot";
import { closest } from "../text/suggestion.ts";
import { readYaml, yamlError, type Path, type Problem, type Wrong, type Yaml } from "./yaml.ts";

type Rules = (value: Mapping) => Wrong[];

/**
 * Reads a file by its schema; `rules` check several keys together, on the values as read. Throws DpError "config" with
 * all problems as lines.
 */
export function parse<S extends v.GenericSchema>(
  schema: S,
  text: string,
  file: string,
  rules: Rules = () => [],
): v.InferOutput<S> {
  const yaml = readYaml(text);
  if (yaml.isBroken) throw yamlError(file, yaml, yaml.problems);
  if (!isMapping(yaml.value)) {
    throw yamlError(file, yaml, [{ offset: 0, path: [], what: 'must be lines of "key: value"' }, ...yaml.problems]);
  }
  const problems = [...yaml.problems];
  // A value that the YAML reader refused is not checked again: one message for each place is enough.
  const placeOf = (problem: Problem) => problem.path.join("\0");
  const known = new Set(problems.map(placeOf));
  const add = (problem: Problem) => {
    if (!known.has(placeOf(problem))) problems.push(problem);
    known.add(placeOf(problem));
  };
  for (const { path, what } of rules(yaml.value)) add({ offset: yaml.offset(path, "key"), path, what });
  takeUnknown(schema as Part, yaml.value, [], (path, part, what) =>
    add({ offset: yaml.offset(path, part), path, what }),
  );
  const result = v.safeParse(schema, yaml.value, { abortPipeEarly: true });
  for (const issue of result.issues ?? []) problemsOf(issue, [], yaml).forEach(add);
  if (problems.length > 0 || !result.success) throw yamlError(file, yaml, problems);
  return result.output;
}

/** Keys and values as read. */
export type Mapping = Record<string, unknown>;

/** Whether a value is a mapping. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The part of a schema that the search for unknown keys follows, through "optional" and "one of". */
interface Part {
  entries?: Record<string, Part>;
  wrapped?: Part;
  options?: readonly (Part | string)[];
  /** The schema of each item of a list. */
  item?: Part;
  /** The schema of each value of a mapping whose keys are names. */
  value?: Part;
}

function entriesOf(part: Part): Record<string, Part> | undefined {
  if (part.entries || !part.options) return part.entries ?? (part.wrapped && entriesOf(part.wrapped));
  return part.options.map((option) => (typeof option === "string" ? undefined : entriesOf(option))).find(Boolean);
}

const valueOf = (part: Part): Part | undefined => part.value ?? (part.wrapped && valueOf(part.wrapped));

type Report = (path: Path, part: "key" | "value", what: string) => void;

// valibot reports only the first unknown key of a mapping, and accepts a list as a mapping. Both are therefore found
// and removed first.
function takeUnknown(part: Part, mapping: unknown, path: Path, report: Report): void {
  const each = Array.isArray(mapping) ? (part.wrapped ?? part).item : valueOf(part);
  if (each && typeof mapping === "object" && mapping !== null) {
    for (const [key, value] of Object.entries(mapping))
      takeUnknown(each, value, [...path, Array.isArray(mapping) ? Number(key) : key], report);
    return;
  }
  const entries = entriesOf(part);
  if (!entries || !isMapping(mapping)) return;
  for (const [key, value] of Object.entries(mapping)) {
    const inner = [...path, key];
    if (!Object.hasOwn(entries, key)) {
      const near = closest(key, Object.keys(entries));
      const hint = near === null ? `known are ${Object.keys(entries).join(", ")}` : `did you mean "${near}"?`;
      report(inner, "key", `unknown key, ${hint}`);
      delete mapping[key];
    } else if (Array.isArray(value) && (entriesOf(entries[key]!) || valueOf(entries[key]!))) {
      report(inner, "value", "must be a mapping of keys to values, not a list");
      mapping[key] = null;
    } else takeUnknown(entries[key]!, value, inner, report);
  }
}

// An issue of "one of" contains the issues of every branch: the deeper ones show which branch was meant.
function problemsOf(issue: v.BaseIssue<unknown>, outer: Path, yaml: Yaml): Problem[] {
  const path = [...outer, ...(issue.path ?? []).map((item) => item.key as string | number)];
  const deeper = (issue.issues ?? []).filter((inner) => inner.path !== undefined);
  if (deeper.length > 0) return deeper.flatMap((inner) => problemsOf(inner, path, yaml));
  return [{ offset: yaml.offset(path, "value"), path, what: issue.message }];
}
