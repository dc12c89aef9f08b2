// What `dp init` and a push without deploy.yml propose for a Python app, and what it still lacks to be served.
import { yamlScalar } from "../../config/yaml-edit.ts";
import { webProcess } from "../../config/procfile.ts";
import type { Detected } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { readDefinition } from "./definition.ts";
import { findDjango, findEntry } from "./entry.ts";
import { startCommand } from "./start.ts";

type Proposal = Pick<Detected, "command" | "healthCheck" | "settings" | "advice">;

/** The proposal, as far as the files alone show it. */
export async function proposal(tree: Tree): Promise<Proposal> {
  try {
    const names = (await readDefinition(tree))?.names ?? new Set<string>();
    const django = await findDjango(tree);
    const start = await startOf(tree, names);
    if (django !== null) return await ofDjango(tree, django.project, names, start);
    return { command: start.command, advice: [...start.advice, ...(await listening(tree, names))] };
  } catch (error) {
    if (error instanceof DpError) return { command: null };
    throw error;
  }
}

interface Start {
  command: string | null;
  advice: string[];
}

async function startOf(tree: Tree, names: ReadonlySet<string>): Promise<Start> {
  if ((await webProcess(tree)) !== null) return { command: null, advice: [] };
  try {
    return { command: await startCommand(tree, async (program) => names.has(program)), advice: [] };
  } catch (error) {
    if (!(error instanceof DpError) || error.exit !== "config") throw error;
    return { command: null, advice: [[error.message, error.hint].filter(Boolean).join(": ")] };
  }
}

// Flask's own server listens on 127.0.0.1:5000 unless it is told otherwise.
async function listening(tree: Tree, names: ReadonlySet<string>): Promise<string[]> {
  const entry = await findEntry(tree);
  if (entry?.kind !== "wsgi" || !entry.runsAlone || names.has("gunicorn")) return [];
  return [
    `${entry.path} must listen on $DP_HOST:$PORT; gunicorn in the dependencies would do that, and replaces app.run()`,
  ];
}

/** What Django's own project template leaves to be done before it is served by others than runserver. */
async function ofDjango(tree: Tree, project: string, names: ReadonlySet<string>, start: Start): Promise<Proposal> {
  const { settings, urls } = await djangoFiles(tree, project);
  const hasRoot = /^STATIC_ROOT\s*=/m.test(settings);
  const lines = [
    ...(start.command === null ? [] : [`command: ${yamlScalar(start.command)}`]),
    ...(hasRoot ? ["build: python manage.py collectstatic --noinput"] : []),
    "hooks:",
    "  preDeploy: python manage.py migrate --noinput",
  ];
  const advice = [
    ...start.advice,
    ...(hasRoot && names.has("whitenoise")
      ? []
      : [
          "static files: whitenoise in the dependencies and in MIDDLEWARE, STATIC_ROOT in the settings, and build: python manage.py collectstatic --noinput",
        ]),
    ...(/BASE_DIR\s*\/\s*["'][\w.-]+\.sqlite3?["']|os\.path\.join\(BASE_DIR,\s*["'][\w.-]+\.sqlite3?["']/.test(settings)
      ? [
          'the database is in the release, which is read-only: "NAME": BASE_DIR / "data" / "db.sqlite3", and shared: {dirs: [data]}',
        ]
      : []),
    ...(/^LOGGING\s*=/m.test(settings)
      ? []
      : ["LOGGING in the settings, to the console: without it dp logs shows no error"]),
  ];
  // A new project has pages for its admin only.
  const routes = [...urls.matchAll(/^\s*(?:re_)?path\(\s*r?["']([^"']*)/gm)].map(([, route]) => route!);
  const isAdminOnly = routes.length > 0 && routes.every((route) => /^\^?admin\//.test(route));
  return {
    command: start.command,
    settings: lines.join("\n"),
    advice,
    ...(isAdminOnly ? { healthCheck: "/admin/login/" } : {}),
  };
}

async function djangoFiles(tree: Tree, project: string): Promise<{ settings: string; urls: string }> {
  const paths = (await tree.list()).map(({ path }) => path);
  const own = new RegExp(`^${RegExp.escape(project)}/settings(?:\\.py|/\\w+\\.py)$`);
  const texts = await Promise.all(paths.filter((path) => own.test(path)).map((path) => tree.read(path)));
  return { settings: texts.join("\n"), urls: (await tree.read(`${project}/urls.py`)) ?? "" };
}
