// Stack traces in the last lines of an error: the app's own frames stay, those of libraries are counted.
import { expect, test } from "bun:test";
import { foldTraces } from "../../lib/text/trace.ts";

const SITE = "/opt/deployments/shop/venvs/0123456789abcdef/lib/python3.12/site-packages";

test("Python: frames of libraries with their code and carets are one line, the app's frame and the error stay", () => {
  const library = ["flask/app.py", "flask/app.py", "werkzeug/serving.py"].flatMap((file, at) => [
    `  File "${SITE}/${file}", line ${at + 1}, in call`,
    "    return self.call(environ)",
    "           ^^^^^^^^^^^^^^^^^^",
  ]);
  const own = ['  File "/opt/deployments/shop/releases/1-aaaaaaa/app.py", line 7, in index', "    return names[1]"];
  expect(
    foldTraces(["Traceback (most recent call last):", ...library, ...own, "IndexError: list index out of range"]),
  ).toEqual([
    "Traceback (most recent call last):",
    "    ... 3 frames of libraries",
    ...own,
    "IndexError: list index out of range",
  ]);
});

test("Python: a trace that comes again is shown once, the last time", () => {
  const trace = [
    "Traceback (most recent call last):",
    '  File "/app/blog.py", line 20, in index',
    "    query()",
    "OperationalError: no such table",
  ];
  const lines = ["[1] ERROR", ...trace, "[2] ERROR", ...trace, "[3] end"];
  expect(foldTraces(lines)).toEqual(["[1] ERROR", "[2] ERROR", ...trace, "[3] end"]);
});

test("node: frames of node and of modules are one line, and few stay as they are", () => {
  const own = "    at load (/opt/deployments/shop/releases/1-aaaaaaa/server.js:3:9)";
  const library = [
    "    at Module._compile (node:internal/modules/cjs/loader:1554:14)",
    "    at async Promise.all (/srv/node_modules/x/index.js:1:2)",
    "    at node:internal/main/run_main_module:36:49",
  ];
  expect(foldTraces(["Error: no database", own, ...library, "", "Node.js v22"])).toEqual([
    "Error: no database",
    own,
    "    ... 3 frames of libraries",
    "",
    "Node.js v22",
  ]);
  expect(foldTraces([own, ...library.slice(0, 2), own])).toEqual([own, ...library.slice(0, 2), own]);
});

test("a text without frames stays as it is", () => {
  const lines = ["one", "  at the door", '  File "x" is missing', ""];
  expect(foldTraces(lines)).toEqual(lines);
});
