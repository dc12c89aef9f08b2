// The shell line that starts a Python app's web process when the app has no command.
import { DpError } from "../../errors.ts";
import { webProcess } from "../../config/procfile.ts";
import type { Tree } from "../../git/tree.ts";
import { findDjango, findEntry, type Entry } from "./entry.ts";

/** Whether the app has a program from one of its dependencies: "uvicorn", "gunicorn". */
export type Has = (program: string) => Promise<boolean>;

const GUNICORN = 'gunicorn --bind "$DP_HOST:$PORT"';
const ADDRESS = '--host "$DP_HOST" --port "$PORT"';

/**
 * The start command: the Procfile's `web`, otherwise what the commit's files suggest. Throws DpError "config", which
 * lists what was looked for, or the server to add to the dependencies.
 */
export async function startCommand(tree: Tree, has: Has): Promise<string> {
  const web = await webProcess(tree);
  if (web !== null) return web;
  const django = await findDjango(tree);
  if (django) return djangoCommand(django, has);
  const entry = await findEntry(tree);
  if (!entry) {
    throw new DpError(
      "config",
      "deploy.yml has no command, and there is no Procfile with web, no manage.py, main.py or app.py to start",
      {
        hint: 'write in deploy.yml: command: python3 FILE.py (it must listen on "$PORT")',
      },
    );
  }
  if (entry.kind === "asgi") return asgiCommand(entry, has);
  return entry.kind === "wsgi" ? wsgiCommand(entry, has) : `python3 ${entry.path}`;
}

function noServer(what: string, server: string): DpError {
  const hint = `add ${server} to the dependencies, or write command: in deploy.yml`;
  return new DpError("config", `${what}, and ${server} is not among the installed dependencies`, { hint });
}

async function djangoCommand(django: { project: string; wsgi: boolean; asgi: boolean }, has: Has): Promise<string> {
  const { project, wsgi, asgi } = django;
  if (wsgi && (await has("gunicorn"))) return `${GUNICORN} ${project}.wsgi`;
  if (asgi && (await has("uvicorn"))) return `uvicorn ${project}.asgi:application ${ADDRESS}`;
  throw noServer(`the app is a Django project (manage.py, ${project})`, wsgi ? "gunicorn" : "uvicorn");
}

async function asgiCommand(entry: Entry, has: Has): Promise<string> {
  const { folder, path, module, name, isFactory } = entry;
  if (!(await has("uvicorn"))) throw noServer(`${path} is an ASGI app`, "uvicorn");
  const options = [...(folder === "." ? [] : ["--app-dir", folder]), ...(isFactory ? ["--factory"] : [])];
  return ["uvicorn", `${module}:${name}`, ...options, ADDRESS].join(" ");
}

async function wsgiCommand(entry: Entry, has: Has): Promise<string> {
  const { folder, path, module, name, isFactory, runsAlone } = entry;
  if (await has("gunicorn")) {
    const options = folder === "." ? [] : ["--pythonpath", folder];
    return [GUNICORN, ...options, isFactory ? `'${module}:${name}()'` : `${module}:${name}`].join(" ");
  }
  if (runsAlone) return `python3 ${path}`;
  throw noServer(`${path} is a WSGI app`, "gunicorn");
}
