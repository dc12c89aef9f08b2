// link: the shared names of deploy.yml in the release, once, twice, and with nothing to take back.
import { beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { begin } from "../../lib/deploy/begin.ts";
import { point } from "../../lib/host/link.ts";
import { commit, deployYml, makeApp, runSteps, undo, useServer, type App, type File } from "../support/core-server.ts";

useServer();
let app: App;
beforeAll(async () => {
  app = await makeApp();
});

async function begun(more: string, files: Record<string, File> = {}) {
  const sha = await commit(app.repo, { "deploy.yml": deployYml(app.app, more), ...files });
  const { id, context } = await begin(app.own, sha);
  return { context, release: join(app.releases, id) };
}

test("without shared there is nothing to do", async () => {
  const { context } = await begun("");
  await runSteps(context, "read", "clone");
  expect((await runSteps(context, "link"))[0]).toContain("nothing is shared");
});

test("names are linked, what the commit has is moved, and a second run changes nothing", async () => {
  const { context, release } = await begun("shared: {dirs: [uploads], files: [.secret]}\n", { "uploads/a": "a" });
  await runSteps(context, "read", "clone");
  const said = await runSteps(context, "link");
  expect(said.join("\n")).toContain("shared: uploads, .secret");
  expect(said.join("\n")).toContain("moved from the commit into shared/, this once: uploads");
  expect(readFileSync(join(app.shared, "uploads/a"), "utf8")).toBe("a");
  expect((await runSteps(context, "link")).join("\n")).not.toContain("moved");
  expect(readlinkSync(join(release, ".secret"))).toBe("../../shared/.secret");
});

test("undone, half done, shared/ stays as it is", async () => {
  const { context } = await begun("shared: {dirs: [new]}\n", { "new/a": "a" });
  await undo("link", context).catch(() => undefined);
  await runSteps(context, "read", "clone", "link");
  await undo("link", context);
  await undo("clone", context);
  expect(readdirSync(join(app.shared, "new"))).toEqual(["a"]);
});

test("a run that begins anew with clone ends in the same place", async () => {
  const { context, release } = await begun("shared: {dirs: [again]}\n", { "again/a": "a" });
  await runSteps(context, "read", "clone", "link", "clone", "link");
  expect(readlinkSync(join(release, "again"))).toBe("../../shared/again");
  expect(existsSync(join(app.shared, "again/a"))).toBe(true);
});

test.each<[string, string, Record<string, File>, string]>([
  ["a file as a folder", "{dirs: [x]}", { x: "" }, "deploy.yml:8:17 shared.dirs.0: x is a file of the commit"],
  ["a folder as a file", "{files: [x]}", { "x/y": "" }, "shared.files.0: x is a folder of the commit"],
  ["a link", "{dirs: [x]}", { x: { link: "y" }, "y/z": "" }, "shared.dirs.0: x is a symbolic link of the commit"],
  ["what lies behind a link", "{dirs: [a/x]}", { a: { link: "b" }, "b/c": "" }, "a is a symbolic link of the commit"],
  ["what lies in a file", "{dirs: [a/x]}", { a: "" }, "a is a file of the commit, not a folder"],
])("read refuses to share %s", async (_, shared, files, words) => {
  const { context } = await begun(`shared: ${shared}\n`, files);
  const error = await runSteps(context, "read").catch((thrown: unknown) => thrown as { lines: string[] });
  expect((error as { lines: string[] }).lines.join("\n")).toContain(words);
});

test("what the live release shares and the new one does not is named", async () => {
  const own = await makeApp();
  const beginOf = async (more: string) => {
    const sha = await commit(own.repo, { "deploy.yml": deployYml(own.app, more) });
    const { id, context } = await begin(own.own, sha);
    await runSteps(context, "read", "clone");
    return { id, said: (await runSteps(context, "link")).join("\n") };
  };
  const { id, said } = await beginOf("shared: {dirs: [data, var/a], files: [.secret]}\n");
  expect(said).not.toContain("live release");
  await point(own.current, join(own.releases, id));
  expect((await beginOf("shared: {dirs: [var, data], files: [.secret]}\n")).said).not.toContain("live release");
  expect((await beginOf("shared: {files: [.secret]}\n")).said).toContain(
    "data, var/a: shared in the live release and not in this one, which does not find what is kept there",
  );
  expect((await beginOf("")).said).toContain("data, var/a, .secret: shared in the live release");
});
