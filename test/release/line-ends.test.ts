// Which files of a commit a shell line runs.
import { expect, test } from "bun:test";
import { scriptsOf } from "../../lib/release/line-ends.ts";

test.each<[string, string[]]>([
  ["./a.sh", ["a.sh"]],
  ["exec ./bin/serve --port $PORT", ["bin/serve"]],
  ["A=1 B=x/y scripts/migrate.sh && sh -e b.sh; bash ./c.sh | ./d", ["scripts/migrate.sh", "b.sh", "c.sh", "d"]],
  ["(cd web && . ./env.sh)", ["env.sh"]],
  ["python manage.py migrate", []],
  ["npm run build", []],
  ["/usr/bin/env python3 x.py", []],
  ["sh -c 'echo x'", ["'echo"]],
  ["", []],
])("%j runs %j", (line, files) => expect(scriptsOf(line)).toEqual(files));
