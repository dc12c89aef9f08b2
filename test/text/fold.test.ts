// The progress of package managers, as each of them prints it, folded to one line with its numbers.
import { describe, expect, test } from "bun:test";
import { PROGRESS as OF_NODE } from "../../lib/apps/node/commands.ts";
import { PROGRESS as OF_PYTHON } from "../../lib/apps/python/installer.ts";
import { fold, withoutProgress, type Progress } from "../../lib/text/fold.ts";

function folded(name: string, progress: Progress, text: string): string[] {
  const lines: string[] = [];
  const { line, end } = fold(name, progress, (each) => lines.push(each));
  text.split("\n").forEach(line);
  end();
  return lines;
}

test("pip", () => {
  const text = `Collecting flask==3.0.0
  Downloading flask-3.0.0-py3-none-any.whl (99 kB)
Collecting legacy
  Using cached legacy-1.tar.gz (2 kB)
  Installing build dependencies: started
  Installing build dependencies: finished with status 'done'
  Preparing metadata (pyproject.toml): started
Requirement already satisfied: pip in ./lib
Building wheels for collected packages: legacy
  Building wheel for legacy (pyproject.toml): finished with status 'done'
  Created wheel for legacy: filename=legacy-1-py3-none-any.whl size=1
  Stored in directory: /x
Successfully built legacy
Installing collected packages: legacy, flask
WARNING: the scripts are not on PATH
Successfully installed flask-3.0.0 legacy-1`;
  expect(folded("pip", OF_PYTHON, text)).toEqual([
    "WARNING: the scripts are not on PATH",
    "pip: 2 collected, 1 downloaded, 1 from the cache, 1 there already, 2 installed",
  ]);
});

test("what went wrong is shown, whatever it looks like", () => {
  const text = `Collecting legacy
  Preparing metadata (setup.py): finished with status 'error'
  error: subprocess-exited-with-error
  × Building wheel for legacy (setup.py) did not run successfully.
ERROR: No matching distribution found for flask==99`;
  const wrong = text.split("\n").slice(1);
  expect(folded("pip", OF_PYTHON, text)).toEqual([...wrong, "pip: 1 collected"]);
  expect(withoutProgress(text.split("\n"), OF_PYTHON)).toEqual(wrong);
});

describe("node's:", () => {
  test.each([
    [
      "npm",
      "npm warn deprecated a@1.0.0: use b\nnpm warn deprecated \x1b[31mc@2.0.0\x1b[0m: gone\n\nadded 57 packages in 2s",
      ["", "added 57 packages in 2s", "npm: 2 deprecated packages"],
    ],
    [
      "pnpm",
      "Progress: resolved 1, reused 0, downloaded 0, added 0\n++++++\nProgress: resolved 9, reused 0, downloaded 9, added 9, done\nDone in 1s",
      ["Progress: resolved 9, reused 0, downloaded 9, added 9, done", "Done in 1s"],
    ],
    ["yarn", "[1/4] Resolving packages...\n[2/4] Fetching packages...\nDone in 0.1s.", ["Done in 0.1s."]],
    [
      "yarn",
      "➤ YN0013: │ a@npm:1.0.0 can't be found in the cache and will be fetched\n➤ YN0013: │ b@npm:1 can't be found in the cache\n➤ YN0000: Done",
      ["➤ YN0000: Done", "yarn: 2 fetched"],
    ],
    [
      "bun",
      "+ left-pad@1.3.0\n+ @types/x@1.0.0\n\n2 packages installed",
      ["", "2 packages installed", "bun: 2 installed"],
    ],
  ])("%s", (name, text, shown) => expect(folded(name, OF_NODE, text)).toEqual(shown));
});

test("without progress nothing is said of it", () => {
  expect(folded("npm", OF_NODE, "up to date")).toEqual(["up to date"]);
});
