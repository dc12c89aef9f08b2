// Runs of alike lines in the excerpt of a log.
import { expect, test } from "bun:test";
import { foldAlike } from "../../lib/text/alike.ts";

const flask = (second: number, word = "/") =>
  `[2026-12-01 10:04:0${second},${second}12] ERROR in app: Exception on ${word} [GET]`;
const gunicorn = (pid: number) => `[2026-12-01 10:04:59 +0000] [${pid}] [ERROR] Error handling request /`;

test.each([
  ["nothing", [], []],
  ["different lines", ["a", "b", "a", "b"], ["a", "b", "a", "b"]],
  ["few", ["a", "a", "a"], ["a", "a", "a"]],
  ["the time", [1, 2, 3, 4].map((second) => flask(second)).concat("y"), ["... 3 lines like this one:", flask(4), "y"]],
  ["the process", ["y", ...[9, 12, 11, 13].map(gunicorn)], ["y", "... 3 lines like this one:", gunicorn(13)]],
  ["two runs", [..."xxxx", ..."yyyyy"], ["... 3 lines like this one:", "x", "... 4 lines like this one:", "y"]],
  ["empty lines", ["", "", "", "", "x"], ["", "", "", "", "x"]],
])("%s", (_, lines, folded) => {
  expect(foldAlike(lines)).toEqual(folded);
});

test.each([
  ["other numbers", ["db1 is down", "db2 is down", "db3 is down", "db4 is down"]],
  ["a status", ["200", "200", "500", "200", "200"].map((status) => `"GET / HTTP/1.1" ${status}`)],
  ["what is asked for", [1, 2, 3, 4].map((second) => flask(second, `/${second}`))],
  ["frames", [9, 38, 74, 80].map((column) => `    at /app/server.js:9:${column}`)],
  ["code of a trace", ["    ]", "    ]", "    ]", "    ]"]],
])("%s is no such difference", (_, lines) => {
  expect(foldAlike(lines)).toEqual(lines);
});
