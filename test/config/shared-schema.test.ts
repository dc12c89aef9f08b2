// `shared` of deploy.yml: which names are taken, and what is said of the others.
import { describe, expect, test } from "bun:test";
import { deployConfig } from "../support/configs.ts";
import { pathProblem } from "../../lib/config/plain-path.ts";
import type { DpError } from "../../lib/errors.ts";

test.each(["uploads", ".secret", "public/uploads", "a/b/c.d", "-n", "my+files@2", "lib/deploy.yml"])(
  "%j may be shared",
  (name) => expect(pathProblem(name)).toBeNull(),
);

test.each([
  ["", "is empty"],
  ["/uploads", "must be relative, write uploads"],
  ["../x", 'must stay inside the repo, without ".."'],
  ["a/../../x", 'without ".."'],
  ["uploads/", "must be plain, write uploads"],
  ["./uploads", "must be plain, write uploads"],
  ["a//b", "must be plain, write a/b"],
  [".", "must be plain, write a name"],
  [".git", "is git's own"],
  ["sub/.git/hooks", "is git's own"],
  ["a b", "letters, digits"],
  ["a\nb", "letters, digits"],
  ["$(id)", "letters, digits"],
  ["x".repeat(256), "longer than 255"],
])("%j may not: %s", (name, words) => expect(pathProblem(name)).toContain(words));

const read = (shared: string) => deployConfig(`name: shop\ntype: python\nhealthCheck: /\nshared: ${shared}\n`).shared;
const problems = (shared: string): readonly string[] => {
  try {
    read(shared);
    return [];
  } catch (error) {
    return (error as DpError).lines;
  }
};

describe("deploy.yml", () => {
  test("takes folders and files, or only one of them", () => {
    expect(read("{dirs: [uploads, public/media], files: [.secret]}")).toEqual({
      dirs: ["uploads", "public/media"],
      files: [".secret"],
    });
    expect(read("{files: [x]}")).toEqual({ dirs: [], files: ["x"] });
  });

  test.each([
    ["{dirs: [a, ../b]}", ["deploy.yml:4:20 shared.dirs.1: must stay inside"]],
    ["{dirs: uploads}", ["deploy.yml:4:16 shared.dirs: must be a list of names such as [uploads]"]],
    ["[uploads]", ["deploy.yml:4:9 shared: must be a mapping"]],
    ["{folders: [a]}", ["deploy.yml:4:10 shared.folders: unknown key"]],
    ["{files: [deploy.yml]}", ["deploy.yml:4:18 shared.files.0: is read from the commit and cannot be shared"]],
    ["{dirs: [1]}", ["deploy.yml:4:17 shared.dirs.0: must be the name"]],
    ["{dirs: [a, a]}", ["deploy.yml:4:20 shared.dirs.1: given twice, keep one"]],
    ["{dirs: [a], files: [a]}", ["deploy.yml:4:29 shared.files.0: given twice"]],
    ["{dirs: [a, a/b]}", ["deploy.yml:4:20 shared.dirs.1: is inside a, which is shared too"]],
    ["{dirs: [a/b], files: [a]}", ["deploy.yml:4:17 shared.dirs.0: is inside a"]],
  ])("refuses %s", (shared, words) => {
    const lines = problems(shared);
    expect(lines.length).toBe(words.length);
    for (const [index, word] of words.entries()) expect(lines[index]).toContain(word);
  });
});
