// Which lines of hooks name a file of the repo, and which are refused.
import { expect, test } from "bun:test";
import { hookFile, hookProblem } from "../../lib/config/hook.ts";

test.each([
  ["./scripts/migrate.sh", "scripts/migrate.sh"],
  ["scripts//./migrate.sh --all ../x", "scripts/migrate.sh"],
  ["  bin/run  ", "bin/run"],
  ["flask db upgrade", null],
  ["python manage.py migrate --settings=a/b", null],
  ["PYTHONPATH=./src python x.py", null],
])("%j runs the file %p", (line, file) => {
  expect(hookProblem(line)).toBeNull();
  expect(hookFile(line)).toBe(file);
});

test.each([
  "/etc/passwd",
  "../x",
  "a/../../x",
  "./",
  "a/",
  "a/.",
  "$HOME/x",
  '"./my script.sh"',
  "./x;reboot",
  "a\\/b",
  "~/x",
])("%j is refused", (line) => {
  expect(hookProblem(line)).toBeString();
  expect(hookFile(line)).toBeNull();
});
