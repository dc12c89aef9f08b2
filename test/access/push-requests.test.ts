// What a push's hooks may ask: whole requests, and nothing that only looks like one. Git's user writes the bytes.
import { expect, test } from "bun:test";
import { closeSync, writeFile, writeSync } from "node:fs";
import { readRequests, type Request } from "../../lib/access/push-requests.ts";
import { DpError } from "../../lib/errors.ts";
import { pipe } from "../../lib/host/process/libc.ts";

const [OLD, NEW, NONE] = ["a".repeat(40), "b".repeat(40), "0".repeat(40)];

/** What is taken for requests in a text; an error shows as its message. */
async function asked(text: string): Promise<(Request | string)[]> {
  const [read, write] = pipe();
  const taken: (Request | string)[] = [];
  const reading = readRequests(read, (request) => taken.push(request instanceof DpError ? request.message : request));
  writeSync(write, text);
  closeSync(write);
  await reading.done;
  closeSync(read);
  return taken;
}

test("every hook, with options and refs, one after the other", async () => {
  const text = [
    ...["pre-receive", "option dry-run", "option wait=30s", "option "],
    ...[`ref ${NONE} ${NEW} refs/heads/main`, `ref ${OLD} ${NONE} refs/tags/v1.0`, "end"],
    ...["update", `ref ${NONE} ${NEW} refs/heads/feature/ü`, "end", "post-receive", "end", ""],
  ].join("\n");
  expect(await asked(text)).toEqual([
    {
      hook: "pre-receive",
      options: ["dry-run", "wait=30s", ""],
      refs: [
        { ref: "refs/heads/main", old: NONE, sha: NEW },
        { ref: "refs/tags/v1.0", old: OLD, sha: NONE },
      ],
    },
    { hook: "update", options: [], refs: [{ ref: "refs/heads/feature/ü", old: NONE, sha: NEW }] },
    { hook: "post-receive", options: [], refs: [] },
  ]);
});

test("a request that does not end is none", async () => {
  expect(await asked(`update\nref ${OLD} ${NEW} refs/heads/main\n`)).toEqual([]);
});

test.each([
  "rm -rf /",
  "updates\n",
  `update\nref ${OLD} ${NEW} main`,
  `update\nref ${OLD} ${NEW} refs/heads/../../etc`,
  `update\nref ${OLD} ${NEW} refs/heads/a b`,
  `update\nref ${OLD} ${NEW} refs/heads/a:b`,
  `update\nref ${OLD} ${NEW} refs/heads/\x1b[31m`,
  `update\nref ${OLD} ${NEW.slice(1)} refs/heads/main`,
  `update\nref ${OLD} ${NEW.toUpperCase()} refs/heads/main`,
  `update\nref ${OLD} HEAD refs/heads/main`,
  `update\nref ${OLD} --all refs/heads/main`,
  `update\nref ${OLD} ${NEW} refs/heads/${"x".repeat(501)}`,
  `update\nexit 0`,
])("%j is not understood", async (text) => {
  expect(await asked(`${text}\nend\n`)).toContainEqual(expect.stringContaining("git says what dp does not understand"));
  expect((await asked(`${text}\nend\n`)).filter((one) => typeof one !== "string")).toEqual([]);
});

test("more refs than a push has are refused", async () => {
  const lines = Array.from({ length: 20_001 }, () => "option x").join("\n");
  const [read, write] = pipe();
  const taken: unknown[] = [];
  const reading = readRequests(read, (request) => taken.push(request));
  // More than a pipe holds: it is written while it is read.
  await new Promise((resolve) => writeFile(write, `pre-receive\n${lines}\nend\n`, resolve));
  closeSync(write);
  await reading.done;
  closeSync(read);
  expect(taken.every((one) => one instanceof DpError)).toBe(true);
  expect(taken.length).toBeGreaterThan(0);
});
