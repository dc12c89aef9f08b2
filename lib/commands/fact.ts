// `dp fact`: the facts of a run file, for scripts.
import { load } from "../pipeline/run-file.ts";
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";

/** One fact as text: strings as they are, anything else as JSON. Throws DpError "run" when it is missing. */
export async function factText(context: string, name: string): Promise<string> {
  const { facts } = await load(context);
  if (!(name in facts)) {
    const names = Object.keys(facts);
    throw new DpError(
      "run",
      `${context} has no fact ${JSON.stringify(name)}; it has ${names.join(", ")}`,
      didYouMean(name, names),
    );
  }
  const value = facts[name];
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** All facts of a run file. */
export async function allFacts(context: string): Promise<Record<string, unknown>> {
  return (await load(context)).facts;
}

/** The vocabulary: every fact that dp knows, with what it means. */
export async function vocabulary(): Promise<[name: string, meaning: string][]> {
  const { fact } = await import("../pipeline/facts.ts");
  const { getDescription } = await import("valibot");
  return Object.entries(fact).map(([name, schema]) => [name, getDescription(schema) ?? ""]);
}
