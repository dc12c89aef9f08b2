// The page as two files in a folder, for a web server that is there anyway: index.html and fleet.json.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { codeOf, DpError } from "../errors.ts";
import { removeStaleTemps, writeFileAtomic } from "../host/files.ts";
import { jsonText } from "../text/text.ts";
import { pageOf } from "./page.ts";

/** They name people, commits and addresses: the web server's group may read them, and nobody else. */
const MODE = 0o640;

/** Prepares the folder; answers what writes a document there. Each file is old or new, never half. */
export async function openFolder(folder: string): Promise<(document: unknown) => Promise<void>> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    await removeStaleTemps(folder);
    await writeFileAtomic(join(folder, "index.html"), (await pageOf("file")).html, MODE);
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST" && codeOf(cause) !== "ENOTDIR") throw cause;
    throw new DpError("usage", `${folder} is not a folder`, { cause });
  }
  return (document) => writeFileAtomic(join(folder, "fleet.json"), `${jsonText(document)}\n`, MODE);
}
