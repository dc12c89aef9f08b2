// What is set in a template with commented examples stands where its example stood.
import { expect, test } from "bun:test";
import { withKeys } from "../../lib/commands/set-keys.ts";
import { template } from "../../lib/host/template.ts";

const TEXT = `# Before the start.
# build: make

# Lines.
# hooks:
#   preDeploy: a   # first
#   postDeploy: b

# For sites: static: {root: dist}

# The end.
# cron: [x]
`;

test.each([
  ["", TEXT],
  ["build: npm ci", TEXT.replace("# build: make", "build: npm ci")],
  ["hooks:\n  preDeploy: x", TEXT.replace(/# hooks.*b$/ms, "hooks:\n  preDeploy: x\n  # postDeploy: b")],
  ["hooks:\n  postDeploy: x", TEXT.replace(/# hooks.*b$/ms, "hooks:\n  postDeploy: x\n  # preDeploy: a   # first")],
  ["hooks: {preDeploy: x}", TEXT.replace(/# hooks.*b$/ms, "hooks: {preDeploy: x}")],
  ["static:\n  root: out\n  spa: true", TEXT.replace("dist}", "dist}\nstatic:\n  root: out\n  spa: true")],
  ["cron: [y]", TEXT.replace("# cron: [x]", "cron: [y]")],
  ["other: 1", `${TEXT}other: 1\n`],
  ["cron: [y]\nbuild: c", TEXT.replace("# cron: [x]", "cron: [y]").replace("# build: make", "build: c")],
])("%j", (settings, text) => expect(withKeys(TEXT, settings)).toBe(text));

test.each([
  "command: x",
  "build: x",
  "hooks:\n  preDeploy: x",
  "shared:\n  dirs: [x]",
  "processes: {a: b}",
  "cron: []",
])("deploy.yml has an example for %j, which goes", async (settings) => {
  const text = await template("deploy.yml");
  const key = settings.slice(0, settings.indexOf(":"));
  expect(text.match(new RegExp(`^#? ?${key}:`, "gm"))).toEqual([`# ${key}:`]);
  expect(withKeys(text, settings).match(new RegExp(`^#? ?${key}:`, "gm"))).toEqual([`${key}:`]);
});
