// Templates of the files that dp writes for its users: read from templates/, with their {{names}} filled in.
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { treeOfDp } from "./self.ts";

/** The folder of the templates, absolute. */
export const templates = join(import.meta.dir, "../../templates");

/** The names of the examples for `dp init`: the folders in templates/apps. */
export const exampleNames = (): string[] => readdirSync(join(templates, "apps")).sort();

/** The text of templates/PATH. */
export function template(path: string): Promise<string> {
  return readFile(join(templates, path), "utf8");
}

/** The URL of a schema in templates/ for the first line of a YAML file: editors complete and validate with it. */
export function schemaUrl(file: "config.schema.json"): string {
  return Bun.pathToFileURL(join(treeOfDp, "templates", file)).href;
}

/**
 * Fills in the {{names}} of a template; the values are not expanded again. Throws Error, a bug in dp, when a name has no
 * value or a value has no name.
 */
export function render(text: string, values: Readonly<Record<string, string>>): string {
  const unused = new Set(Object.keys(values));
  const filled = text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    if (!Object.hasOwn(values, name)) throw new Error(`template: no value for {{${name}}}`);
    unused.delete(name);
    return values[name]!;
  });
  if (unused.size > 0) throw new Error(`template: nothing uses ${[...unused].join(", ")}`);
  return filled;
}

/** Quotes any text as one word of a POSIX shell script. Throws Error for a NUL, which no shell can hold. */
export function shellQuote(text: string): string {
  if (text.includes("\0")) throw new Error("a NUL cannot be quoted for a shell");
  return `'${text.replaceAll("'", "'\\''")}'`;
}
