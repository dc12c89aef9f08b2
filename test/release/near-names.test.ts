// Names that are nearly right, and env files in a commit.
import { describe, expect, test } from "bun:test";
import { nearDeployYml, nearNames } from "../../lib/release/near-names.ts";

const entries = (...paths: string[]) => paths.map((path) => ({ path, kind: "file" as const }));

test.each([
  [["deploy.yaml"], "deploy.yaml"],
  [["Deploy.yml"], "Deploy.yml"],
  [[".deploy.yml"], ".deploy.yml"],
  [["api/deploy.yml", "DEPLOY.YML"], "DEPLOY.YML"],
  [[".github/workflows/deploy.yml", "services/api/Deploy.yml"], "services/api/Deploy.yml"],
  [["services/api/deploy.yml"], "services/api/deploy.yml"],
  [["a/b/c/deploy.yml", "redeploy.yml", "deploy.yml.old"], null],
])("of %j deploy.yml is nearest to %s", (paths, near) => expect(nearDeployYml(entries(...paths))).toBe(near));

describe("in the app's folder", () => {
  test.each([
    ["", ["procfile"], ["procfile is not read, a Procfile is: git mv procfile Procfile"]],
    [
      "api",
      ["api/Procfile.txt"],
      ["api/Procfile.txt is not read, a Procfile is: git mv api/Procfile.txt api/Procfile"],
    ],
    ["", ["Procfile", "procfile"], []],
    ["", ["deploy.yml", "deploy.yaml"], ["deploy.yaml is not read, deploy.yml is: git rm deploy.yaml"]],
    ["", ["api/procfile", "api/.env"], []],
    ["", ["x.env", ".envrc", ".env.example", ".env.local.sample", ".env.dist"], []],
  ])("%j with %j", (root, paths, notes) => expect(nearNames("shop", root, entries(...paths))).toEqual(notes));

  test.each([
    ["", ".env"],
    ["", ".env.production"],
    ["api", "api/.env"],
    ["api", ".env"],
  ])("%j: %s is in the commit", (root, path) => {
    const [note, ...more] = nearNames("shop", root, entries(path));
    expect(note).toContain(`${path} is in the commit`);
    expect(note).toContain(`git rm --cached ${path}`);
    expect(note).toContain("dp env shop import");
    expect(more).toEqual([]);
  });
});
