// Programs called node that are none, as an app's home may have them.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findNode } from "../../../lib/apps/node/interpreter.ts";
import { cleanUp, recorder, release, scratch } from "./support.ts";

// The first to ask for node lays it out.
setDefaultTimeout(60_000);
afterAll(cleanUp);

const GOOD = '["22.1.0",null,"linux-x64-127"]';

test.each([
  ["cut", '["22.1.0",'],
  ["empty", "[]"],
  ["of other types", "[22,{},null]"],
  ["no version", '["latest",null,"linux"]'],
])("one whose answer is %s is passed over", async (_, answer) => {
  const folders = [await scratch(), await scratch()];
  for (const [at, line] of [answer, GOOD].entries())
    await writeFile(join(folders[at]!, "node"), `#!/bin/sh\necho '${line}'\n`, { mode: 0o755 });
  const place = await release({}, { env: { PATH: folders.join(":") } });
  const found = await findNode(place, [], recorder().io);
  expect([found.program, found.version.text]).toEqual([join(folders[1]!, "node"), "22.1.0"]);
});
