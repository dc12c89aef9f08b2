// What `dp init` and a push without deploy.yml propose for a Python app, and what it still lacks to be served.
import { yamlScalar } from "../../config/yaml-edit.ts";
import { webProcess } from "../../config/procfile.ts";
import type { Detected } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { readDefinition } from "./definition.ts";
import { djangoProposal } from "./django.ts";
import { findDjango, findEntry } from "./entry.ts";
import { startCommand } from "./start.ts";

type Proposal = Omit<Detected, "because">;

/** The proposal, as far as the files alone show it. */
export async function proposal(tree: Tree): Promise<Proposal> {
  try {
    const definition = await readDefinition(tree);
    const names = definition?.names ?? new Set<string>();
    const django = await findDjango(tree);
    const { command, advice } = await startOf(tree, names, definition === null);
    const found = django
      ? await djangoProposal(tree, django.project, names, command)
      : await ofEntry(tree, command, names);
    const all = [...advice, ...(found.advice ?? [])];
    return all.length === 0 ? found : { ...found, advice: all };
  } catch (error) {
    if (error instanceof DpError) return { command: null };
    throw error;
  }
}

interface Start {
  command: string | null;
  advice: string[];
}

async function startOf(tree: Tree, names: ReadonlySet<string>, isUndefined: boolean): Promise<Start> {
  if ((await webProcess(tree)) !== null) return { command: null, advice: [] };
  try {
    return { command: await startCommand(tree, async (program) => names.has(program)), advice: [] };
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "config") throw error;
    const first = isUndefined ? ["requirements.txt, with all that the app imports and the server below"] : [];
    return { command: null, advice: [...first, [error.message, error.hint].filter(Boolean).join(": ")] };
  }
}

/** What to do where the app's own server listens where dp does not look. */
async function servedBy(tree: Tree, path: string): Promise<string> {
  const command = yamlScalar(await startCommand(tree, async () => true));
  return `${path} must listen on $DP_HOST:$PORT, which app.run() does not: add gunicorn to the dependencies, and write command: ${command}`;
}

const WRITES_INSTANCE = /\binstance_path\b|\binstance_relative_config\s*=\s*True\b/;

async function ofEntry(tree: Tree, command: string | null, names: ReadonlySet<string>): Promise<Proposal> {
  const entry = await findEntry(tree);
  if (entry?.kind !== "wsgi") return { command };
  // Flask's own server listens on 127.0.0.1:5000 unless it is told otherwise.
  const isDeaf = entry.runsAlone && !names.has("gunicorn");
  const advice = isDeaf ? [await servedBy(tree, entry.path)] : [];
  if (!WRITES_INSTANCE.test((await tree.read(entry.path)) ?? "")) return { command, ...(isDeaf ? { advice } : {}) };
  const start = command === null ? [] : [`command: ${yamlScalar(command)}`];
  return { command, advice, settings: [...start, "shared:", "  dirs: [instance]"].join("\n") };
}
