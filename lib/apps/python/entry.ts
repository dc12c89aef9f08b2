// The entry point of a Python app: where the web application is in the commit, and of which kind.
import type { Tree } from "../../git/tree.ts";

/** A file that a server or python itself can start. */
export interface Entry {
  kind: "asgi" | "wsgi" | "script";
  /** Relative to the root of the commit. */
  path: string;
  /** The folder that must be on sys.path, "." or "src". */
  folder: string;
  /** Dotted name from that folder. */
  module: string;
  /** The application, or the function that makes it; empty for a script. */
  name: string;
  isFactory: boolean;
  /** Whether `python FILE` would start something. */
  runsAlone: boolean;
}

// In order of preference, both within a folder and between folders.
const STEMS = ["main", "app", "asgi", "wsgi", "server", "application", "api", "__init__"];
const FILE = new RegExp(`^(src/)?(?:([A-Za-z_]\\w*)/)?(${STEMS.join("|")})\\.py$`);
const NOT_APPS = new Set(["test", "tests", "docs", "examples", "scripts", "migrations"]);
// A repository with thousands of packages must not be read file by file.
const LIMIT = 40;

const ASGI =
  /^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*(?:[\w.]+\.)?(?:FastAPI|Starlette|Quart|Litestar|get_asgi_application)\(/m;
const WSGI =
  /^(\w+)(?:[ \t]*:[^=\n]+)?[ \t]*=[ \t]*(?:(?:[\w.]+\.)?(?:Flask|Bottle|get_wsgi_application)|falcon\.App)\(/m;
const FACTORY = /^def (create_app|make_app)\(/m;
const CALLED_FACTORY = /^(app|application)[ \t]*=[ \t]*(?:[\w.]+\.)?(?:create_app|make_app)\(/m;
const BARE_WSGI = /^def (application)\(environ\b/m;
const IS_ASGI = /^\s*(?:from|import) (?:fastapi|starlette|quart|litestar)\b/m;

/** The kind and name of the application in a file's text, or null. Strings and comments do not count. */
export function parseEntry(text: string): Pick<Entry, "kind" | "name" | "isFactory" | "runsAlone"> | null {
  const code = text.replace(/"""[\s\S]*?"""|'''[\s\S]*?'''/g, "").replace(/^[ \t]*#.*$/gm, "");
  const runsAlone = /^if __name__ == ["']__main__["']/m.test(code);
  const made = (kind: Entry["kind"], name: string, isFactory = false) => ({ kind, name, isFactory, runsAlone });
  const asgi = ASGI.exec(code);
  if (asgi) return made("asgi", asgi[1]!);
  const wsgi = WSGI.exec(code) ?? BARE_WSGI.exec(code);
  if (wsgi) return made("wsgi", wsgi[1]!);
  const kind = IS_ASGI.test(code) ? "asgi" : "wsgi";
  const called = CALLED_FACTORY.exec(code);
  if (called) return made(kind, called[1]!);
  const factory = FACTORY.exec(code);
  return factory ? made(kind, factory[1]!, true) : null;
}

interface Candidate {
  path: string;
  folder: string;
  module: string;
  rank: number;
}

function candidate(path: string): Candidate | null {
  const match = FILE.exec(path);
  if (!match || NOT_APPS.has(match[2] ?? "")) return null;
  const [, src, pack, stem] = match;
  if (stem === "__init__" && !pack) return null;
  const module = [pack, stem === "__init__" ? undefined : stem].filter((part) => part !== undefined).join(".");
  const depth = (src ? 1 : 0) + (pack ? 1 : 0);
  return { path, folder: src ? "src" : ".", module, rank: depth * STEMS.length + STEMS.indexOf(stem!) };
}

/** The candidate files for an application, best first. */
export async function entryFiles(tree: Tree): Promise<Candidate[]> {
  const files = (await tree.list()).filter((entry) => entry.kind === "file" || entry.kind === "executable");
  const found = files.map((entry) => candidate(entry.path)).filter((one) => one !== null);
  return found.sort((a, b) => a.rank - b.rank || (a.path < b.path ? -1 : 1)).slice(0, LIMIT);
}

/**
 * The app's entry point: the first file with a web application, otherwise `main.py` or `app.py` at the root as a
 * script, otherwise null. The files are only read; nothing is run.
 */
export async function findEntry(tree: Tree): Promise<Entry | null> {
  const files = await entryFiles(tree);
  for (const { path, folder, module } of files) {
    const text = await tree.read(path);
    const parsed = text === null ? null : parseEntry(text);
    if (parsed) return { ...parsed, path, folder, module };
  }
  const script = files.find((file) => file.path === "main.py" || file.path === "app.py");
  return script ? { ...script, kind: "script", name: "", isFactory: false, runsAlone: true } : null;
}

/** The package of a Django project (`mysite` for mysite/wsgi.py beside manage.py) and its interfaces. */
export async function findDjango(tree: Tree): Promise<{ project: string; wsgi: boolean; asgi: boolean } | null> {
  const paths = new Set((await tree.list()).map((entry) => entry.path));
  if (!paths.has("manage.py")) return null;
  const settings = /["'](\w+)\.settings(?:[."'])/.exec((await tree.read("manage.py")) ?? "")?.[1];
  const projects = [...paths]
    .map((path) => /^(\w+)\/[wa]sgi\.py$/.exec(path)?.[1])
    .filter((name) => name !== undefined);
  const project = projects.find((name) => name === settings) ?? projects.sort()[0];
  return project === undefined
    ? null
    : { project, wsgi: paths.has(`${project}/wsgi.py`), asgi: paths.has(`${project}/asgi.py`) };
}
