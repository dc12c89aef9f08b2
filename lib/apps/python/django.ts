// What `dp init` proposes for a Django project, and what Django's own template leaves to be done before it is served.
import { yamlScalar } from "../../config/yaml-edit.ts";
import type { Detected } from "../../contracts/app-type.ts";
import type { Tree } from "../../git/tree.ts";

/** The proposal for the project in the package `project`; `command`: how it is started, if that is known. */
export async function djangoProposal(
  tree: Tree,
  project: string,
  names: ReadonlySet<string>,
  command: string | null,
): Promise<Omit<Detected, "because">> {
  const { settings, urls } = await filesOf(tree, project);
  const hasRoot = /^STATIC_ROOT\s*=/m.test(settings);
  const lines = [
    ...(command === null ? [] : [`command: ${yamlScalar(command)}`]),
    ...(hasRoot ? ["build: python manage.py collectstatic --noinput"] : []),
    "hooks:",
    "  preDeploy: python manage.py migrate --noinput",
  ];
  const healthCheck = pageOf(urls);
  const host = hostOf(settings);
  return {
    command,
    settings: lines.join("\n"),
    advice: adviceOf(settings, hasRoot && names.has("whitenoise")),
    ...(healthCheck === null ? {} : { healthCheck }),
    ...(host === null ? {} : { host }),
  };
}

const IN_RELEASE = /BASE_DIR\s*\/\s*["'][\w.-]+\.sqlite3?["']|os\.path\.join\(BASE_DIR,\s*["'][\w.-]+\.sqlite3?["']/;

function adviceOf(settings: string, servesStatic: boolean): string[] {
  const advice: string[] = [];
  if (!servesStatic)
    advice.push(
      "static files: whitenoise in the dependencies and in MIDDLEWARE, STATIC_ROOT in the settings, and build: python manage.py collectstatic --noinput",
    );
  if (IN_RELEASE.test(settings))
    advice.push(
      'the database is in the release, which is read-only: "NAME": BASE_DIR / "data" / "db.sqlite3", and shared: {dirs: [data]}',
    );
  if (!/^LOGGING\s*=/m.test(settings))
    advice.push("LOGGING in the settings, to the console: without it dp logs shows no error");
  return advice;
}

const HEALTH = /^\^?(?:api\/)?_?(?:health|livez|readyz|up|ping)/;

/** A page that answers when the project has neither a first page nor a health route: the login of its admin. */
function pageOf(urls: string): string | null {
  const routes = [...urls.matchAll(/^\s*(?:re_)?path\(\s*r?["']([^"']*)/gm)].map(([, route]) => route!);
  if (routes.some((route) => route === "" || route === "^$" || HEALTH.test(route))) return null;
  return routes.some((route) => /^\^?admin\//.test(route)) ? "/admin/login/" : null;
}

/** The name that health checks must send, when the settings list names and none of this machine. */
function hostOf(settings: string): string | null {
  const list = /^ALLOWED_HOSTS\s*=\s*\[([^\]]*)\]\s*$/m.exec(settings)?.[1] ?? "";
  const names = [...list.matchAll(/["']([^"']*)["']/g)].map(([, name]) => name!);
  const isOpen = names.some((name) => name === "*" || name === "127.0.0.1" || name === "localhost");
  const named = names.find((name) => /^[A-Za-z0-9][\w.-]*$/.test(name));
  return isOpen ? null : (named ?? null);
}

async function filesOf(tree: Tree, project: string): Promise<{ settings: string; urls: string }> {
  const paths = (await tree.list()).map(({ path }) => path);
  const own = new RegExp(`^${RegExp.escape(project)}/settings(?:\\.py|/\\w+\\.py)$`);
  const texts = await Promise.all(paths.filter((path) => own.test(path)).map((path) => tree.read(path)));
  return { settings: texts.join("\n"), urls: (await tree.read(`${project}/urls.py`)) ?? "" };
}
