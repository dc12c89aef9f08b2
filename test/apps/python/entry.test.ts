// Entry points and start commands: what the commit's files tell.
import { expect, test } from "bun:test";
import { parseEntry } from "../../../lib/apps/python/entry.ts";
import { startCommand } from "../../../lib/apps/python/start.ts";
import { memoryTree } from "./support.ts";

test.each([
  ["from fastapi import FastAPI\napp = FastAPI()\n", { kind: "asgi", name: "app", isFactory: false }],
  ["api: FastAPI = fastapi.FastAPI(\n  title='x')\n", { kind: "asgi", name: "api" }],
  ["application = get_asgi_application()\n", { kind: "asgi", name: "application" }],
  ["app = Flask(__name__)\nif __name__ == '__main__':\n  app.run()\n", { kind: "wsgi", name: "app", runsAlone: true }],
  ["def application(environ, start_response):\n  pass\n", { kind: "wsgi", name: "application" }],
  ["def create_app():\n  app = Flask(__name__)\n  return app\n", { kind: "wsgi", name: "create_app", isFactory: true }],
  ["from fastapi import FastAPI\ndef create_app():\n  return FastAPI()\n", { kind: "asgi", isFactory: true }],
  ["from pack import create_app\napp = create_app()\n", { kind: "wsgi", name: "app", isFactory: false }],
])("%j is an entry", (text, entry) => {
  expect(parseEntry(text)).toMatchObject(entry);
});

test.each([
  "print('hello')\n",
  "# app = FastAPI()\n",
  '"""\napp = FastAPI()\n"""\n',
  "def f():\n    app = Flask(__name__)\n",
  "application = 'a name'\n",
])("%j is none", (text) => {
  expect(parseEntry(text)).toBeNull();
});

const FLASK = "from flask import Flask\napp = Flask(__name__)\n";
const FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n";
const UVICORN = '--host "$DP_HOST" --port "$PORT"';
const GUNICORN = 'gunicorn --bind "$DP_HOST:$PORT"';

test.each<[string, Record<string, string>, string[], string]>([
  ["Procfile before all", { Procfile: "web: run me", "main.py": FASTAPI }, [], "run me"],
  ["FastAPI", { "main.py": FASTAPI }, ["uvicorn"], `uvicorn main:app ${UVICORN}`],
  ["FastAPI below src", { "src/main.py": FASTAPI }, ["uvicorn"], `uvicorn main:app --app-dir src ${UVICORN}`],
  [
    "FastAPI in a package",
    { "app/main.py": FASTAPI, "tests/app.py": FLASK },
    ["uvicorn"],
    `uvicorn app.main:app ${UVICORN}`,
  ],
  ["Flask", { "app.py": FLASK }, ["gunicorn"], `${GUNICORN} app:app`],
  ["Flask package", { "shop/__init__.py": "def create_app(): ..." }, ["gunicorn"], `${GUNICORN} 'shop:create_app()'`],
  ["Flask alone", { "app.py": `${FLASK}if __name__ == "__main__":\n    app.run()\n` }, [], "python3 app.py"],
  ["a script beside an app", { "main.py": "print()", "app.py": FLASK }, ["gunicorn"], `${GUNICORN} app:app`],
  ["a script", { "main.py": "print()" }, ["gunicorn"], "python3 main.py"],
  ["app.py as a script", { "app.py": "print()" }, [], "python3 app.py"],
  ["Django", { "manage.py": "'x.settings'", "a/wsgi.py": "", "x/wsgi.py": "" }, ["gunicorn"], `${GUNICORN} x.wsgi`],
  ["Django, ASGI", { "manage.py": "", "x/asgi.py": "" }, ["uvicorn"], `uvicorn x.asgi:application ${UVICORN}`],
])("start: %s", async (_, files, programs, command) => {
  expect(await startCommand(memoryTree(files), async (program) => programs.includes(program))).toBe(command);
});

test.each<[string, Record<string, string>, string]>([
  ["nothing to start", { "lib.py": "" }, "there is no Procfile with web, no manage.py, main.py or app.py"],
  ["ASGI without uvicorn", { "main.py": FASTAPI }, "main.py is an ASGI app, and uvicorn is not among"],
  ["WSGI without gunicorn", { "wsgi.py": FLASK }, "wsgi.py is a WSGI app, and gunicorn is not among"],
  ["Django without gunicorn", { "manage.py": "", "x/wsgi.py": "" }, "Django project (manage.py, x), and gunicorn"],
])("no start: %s", async (_, files, message) => {
  const starting = startCommand(memoryTree(files), async () => false);
  await expect(starting).rejects.toMatchObject({ exit: "config", message: expect.stringContaining(message) });
});
