// What to do about an app that is not healthy, by its answer and its last words.
import { describe, expect, test } from "bun:test";
import { hintForAnswer, hintForEnd, hintForLines, hintForTables, withoutProbes } from "../../lib/health/hints.ts";
import type { HealthCheck } from "../../lib/config/types.ts";

const check = (more: Partial<HealthCheck> = {}): HealthCheck => ({
  path: "/health",
  timeout: 5_000,
  interval: 50,
  startTimeout: 60_000,
  ...more,
});

test.each<[number | null, string | undefined, Partial<HealthCheck>, RegExp | null]>([
  [400, undefined, {}, /ALLOWED_HOSTS.*healthCheck: \{path: \/health, host: example\.com\}/],
  [400, undefined, { host: "shop.example.com" }, null],
  [301, "https://shop.example.com/health", {}, /SECURE_SSL_REDIRECT.*X-Forwarded-Proto: https/],
  [302, "/login", {}, /a redirect does not count as healthy/],
  [308, undefined, {}, /a redirect does not count as healthy/],
  [401, undefined, {}, /no login/],
  [403, undefined, {}, /no login/],
  [404, undefined, {}, /the app has no \/health: .*healthCheck: \/PATH$/],
  [404, undefined, { path: "/", host: "shop.example" }, /has no \/: .*\{path: \/PATH, host: shop\.example\}$/],
  [500, undefined, {}, /the app itself fails: .*preDeploy/],
  [200, undefined, {}, null],
  [503, undefined, {}, null],
  [null, undefined, {}, null],
])("%p to %p", (status, location, more, hint) => {
  const found = hintForAnswer({ status, location }, check(more));
  if (hint === null) expect(found).toBeNull();
  else expect(found).toMatch(hint);
});

test.each<[string[], RegExp]>([
  [["Traceback (most recent call last):", "ZeroDivisionError: division by zero"], /its error stands above$/],
  [["    at handle (/app/server.js:3:9)", "TypeError [ERR_X]: no"], /its error stands above$/],
  [["django.core.exceptions.ImproperlyConfigured: SECRET_KEY"], /a missing setting/],
  [["GET / 500", "no Errors so far", "Error reporting: enabled"], /a migration that was not run/],
])("500, and the log says %p", (words, hint) => {
  expect(hintForAnswer({ status: 500, location: undefined }, check(), words)).toMatch(hint);
});

describe("a release that is read-only", () => {
  test.each([
    ["OSError: [Errno 30] Read-only file system: '/opt/deployments/shop/releases/4-abcdef0/uploads/a.png'", "uploads"],
    ["Error: EROFS: read-only file system, open '/opt/deployments/shop/releases/4-abcdef0/cache.json'", "data"],
    ["OSError: [Errno 30] Read-only file system: '/opt/deployments/shop/releases/4-abcdef0/instance'", "instance"],
    ["sqlite3.OperationalError: attempt to write a readonly database", "data"],
    ["django.db.utils.OperationalError: attempt to write a readonly database", "data"],
  ])("%s", (line, folder) => {
    expect(hintForLines(["booting", line, "bye"])).toContain(`shared: {dirs: [${folder}]}`);
  });

  test("is not seen in other words", () => {
    expect(hintForLines(["connection refused", "read only mode: off"])).toBeNull();
    expect(hintForLines([])).toBeNull();
  });
});

test.each([
  "sqlite3.OperationalError: no such table: post",
  'psycopg.errors.UndefinedTable: relation "post" does not exist',
  "Table 'shop.post' doesn't exist",
])("a database without tables: %s", (line) => {
  expect(hintForTables(["booting", line], "shop")).toMatch(/preDeploy.*dp run shop -- COMMAND$/);
  expect(hintForTables(["no table is free"], "shop")).toBeNull();
});

describe("an app that has ended", () => {
  test.each([
    [["ModuleNotFoundError: No module named 'requests'", "No module named 'requests'"], "has requests: add the one"],
    [["Error: Cannot find module 'lodash'", "Require stack:"], "lacks lodash: add it to the dependencies"],
    [["Error [ERR_MODULE_NOT_FOUND]: Cannot find package '@scope/x' imported from /a/b.js"], "lacks @scope/x: add"],
    [["error: Cannot find module 'lodash/fp' from '/a/b.js'"], "lacks lodash: add"],
    [['    KEY = os.environ["SECRET_KEY"]', "KeyError: 'SECRET_KEY'"], "dp env shop set SECRET_KEY"],
    [["Error: DATABASE_URL is not set"], "dp env shop set DATABASE_URL"],
    [["RuntimeError: The variable DATABASE_URL must be set"], "dp env shop set DATABASE_URL"],
    [['  File "<frozen os>", line 679, in __getitem__', "KeyError: 'API_KEY'"], "dp env shop set API_KEY"],
    [['  File "/usr/lib/python3.9/os.py", line 679, in __getitem__', "KeyError: 'API_KEY'"], "dp env shop set API_KEY"],
  ])("%j", (lines, hint) => expect(hintForEnd(["booting", ...lines, "bye"], "shop")).toContain(hint));

  test.each([
    [["Error: Cannot find module './routes'"]],
    [["Error: Cannot find module '/srv/x.js'"]],
    [["KeyError: 'NAME'"]],
    [["os.environ", "KeyError: 'name'"]],
    [['CONFIGS[os.environ["APP_ENV"]]', "KeyError: 'STAGING'"]],
    [["INFO: DATABASE_URL is not set, using sqlite"]],
    [["Error: HTTP is required"]],
  ])("%j shows no cause", (lines) => expect(hintForEnd(lines, "shop")).toBeNull());
});

test("only the beginning of a line is looked at: a long one takes no longer than a short one", () => {
  const cause = "Error: DATABASE_URL is not set";
  expect(hintForEnd([`${"x".repeat(1_900)} ${cause}`], "shop")).toContain("DATABASE_URL");
  const long = "Error: ".repeat(500_000);
  const lines = Array.from({ length: 100 }, () => `${long}${cause}`);
  expect(hintForEnd(lines, "shop")).toBeNull();
  expect(hintForTables([`${long}no such table: post`], "shop")).toBeNull();
  expect(hintForLines([`${long}EROFS`])).toBeNull();
});

test("what the app wrote about dp's own requests is left out, and nothing else", () => {
  const lines = [
    "boot",
    '127.0.0.1 - - [29/Nov/2026] "GET /health HTTP/1.1" 404 9 "-" "dp-health-check"',
    'INFO: 127.0.0.1:5 - "GET /health HTTP/1.1" 404 Not Found',
    "GET /healthy HTTP/1.1",
    "POST /health HTTP/1.1",
  ];
  expect(withoutProbes(lines, "/health", 25)).toEqual(["boot", "GET /healthy HTTP/1.1", "POST /health HTTP/1.1"]);
  expect(withoutProbes(lines, "/health", 1)).toEqual(["POST /health HTTP/1.1"]);
});
