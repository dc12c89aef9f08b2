// The JSON schemas of deploy.yml and config.yml for editors: `bun test/support/schemas.ts` writes them.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import { deploySchema } from "../../lib/config/deploy-schema.ts";
import { serverSchema } from "../../lib/config/server-schema.ts";
import { templates } from "../../lib/host/template.ts";
import { serverKinds } from "../../lib/config/kinds.ts";

/** The file name in templates/ and the text of each schema, as they should be now. */
export async function schemaFiles(): Promise<Record<string, string>> {
  const kinds = await serverKinds();
  return {
    "deploy.schema.json": jsonSchema("deploy.yml of dp", deploySchema(kinds.apps)),
    "config.schema.json": jsonSchema("config.yml of dp", serverSchema(kinds)),
  };
}

function jsonSchema(title: string, schema: GenericSchema): string {
  const { $schema, ...rest } = toJsonSchema(schema, {
    target: "draft-07",
    typeMode: "input",
    // What only code can decide has no counterpart; the parsers decide it.
    ignoreActions: ["check", "raw_check"],
  });
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(await schemaFiles())) await writeFile(join(templates, file), text);
}
