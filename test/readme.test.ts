// What the README and docs/ say: scripts run, tables are the schemas, commands, options and linked places exist.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployConfig, serverConfig } from "./support/configs.ts";
import { pages as topics } from "../lib/commands/help.ts";
import { EXIT } from "../lib/errors.ts";
import { PIPELINES } from "../lib/pipeline/pipeline.ts";
import { anchors, blocks, blockWith, documents, links, pages, pageOf, table } from "./support/documents.ts";
import { project, sandbox, type Sandbox } from "./support/sandbox.ts";

interface Property {
  default?: unknown;
  properties?: Record<string, Property>;
  anyOf?: Property[];
}
const schema = (name: string) =>
  JSON.parse(readFileSync(join(project, `templates/${name}.schema.json`), "utf8")) as Property;

/** Every key of a schema by its dotted path, folders left out. */
function keysOf({ properties = {} }: Property, before = ""): string[] {
  return Object.entries(properties).flatMap(([key, value]) =>
    value.properties ? keysOf(value, `${before}${key}.`) : [before + key],
  );
}

/** The default of a mapping as the table has it. */
function inOneLine(mapping: object): string {
  const parts = Object.entries(mapping).map(([key, value]) => `${key}: ${value}`);
  return parts.length === 0 ? "one of each" : `{${parts.join(", ")}}`;
}

describe("tables", () => {
  test("deploy.yml: every key of the schema, and no other", () => {
    expect(
      table("key")
        .map(([key]) => key!)
        .sort(),
    ).toEqual(keysOf(schema("deploy")).sort());
  });

  test("healthCheck: every key of its object, with its default", () => {
    const object = schema("deploy").properties!["healthCheck"]!.anyOf!.find((branch) => branch.properties)!;
    const rows = table("key of `healthCheck`");
    expect(rows.map(([key]) => key!).sort()).toEqual(keysOf(object).sort());
    for (const [key, , byDefault] of rows) {
      const real = object.properties![key!]!.default;
      if (real !== undefined) expect(byDefault).toBe(String(real));
    }
  });

  test("config.yml: every key of the schema, with its default", () => {
    const rows = table("key of config.yml");
    const { properties } = schema("config");
    expect(rows.map(([key]) => key!).sort()).toEqual(Object.keys(properties!).sort());
    for (const [key, , byDefault] of rows) {
      const real = properties![key!]!.default;
      const isNone =
        Array.isArray(real) || (key !== "scale" && typeof real === "object" && Object.keys(real!).length === 0);
      const text = isNone ? "none" : typeof real === "object" ? inOneLine(real!) : String(real);
      if (real !== undefined) expect(byDefault).toBe(text);
    }
  });

  test("exit codes: every one", () => {
    const numbers = table("exit code").flatMap(([codes]) => codes!.split(", ").map(Number));
    expect(numbers).toEqual([...new Set(Object.values(EXIT))].sort((a, b) => a - b));
  });
});

test("the shortest deploy.yml is enough", () => {
  expect(deployConfig(blockWith("name: shop"))).toMatchObject({ name: "shop", type: "python" });
  expect(() => serverConfig("port: 8000\nmanager: systemd\n")).not.toThrow();
});

describe("commands", () => {
  const words = [...[...documents.values()].join("\n").matchAll(/\bdp ([a-z]+)((?: [^\s`|#]+)*)/g)];
  const known = Bun.spawnSync([process.execPath, join(project, "bin/dp"), "--help"]).stdout.toString();
  const commands = [...known.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!);
  const used = words.filter(([, name]) => commands.includes(name!));
  const helps = new Map(
    commands.map((name) => [
      name,
      Bun.spawnSync([process.execPath, join(project, "bin/dp"), name, "--help"]).stdout.toString(),
    ]),
  );

  test("each command of the documents is one of dp's, and each of dp's that people type is in them", () => {
    const named = new Set(words.map(([, name]) => name!));
    const internal = ["execute", "demo"];
    expect(commands.filter((name) => !named.has(name) && !internal.includes(name))).toEqual([]);
    for (const [line] of blocks("sh")
      .join("\n")
      .matchAll(/^dp [a-z]+/gm))
      expect(commands).toContain(line.split(" ")[1]!);
  });

  test("each option that the documents name exists", () => {
    for (const [line, name, rest] of used) {
      for (const [option] of rest!.matchAll(/(?<=\s\[?)--?[a-z][a-z-]*/g))
        expect(`${line}: ${helps.get(name!)}`).toMatch(new RegExp(`(^|[\\s,])${option}\\b`, "m"));
    }
    expect(used.length).toBeGreaterThan(20);
  });
});

describe("pages", () => {
  test("the README is short, and leads to every page", () => {
    const readme = pageOf("README.md");
    expect(readme.split("\n").length).toBeLessThanOrEqual(150);
    const linked = new Set(links("README.md", readme).map(({ path }) => path));
    expect(pages.filter((path) => !linked.has(path))).toEqual([]);
    expect(pages.length).toBeGreaterThan(20);
  });

  // For those who work on dp: no pages, and held to the same.
  const others = ["CONTRIBUTING.md", "RELEASING.md", "CHANGELOG.md", "test/README.md"].map(
    (path) => [path, readFileSync(join(project, path), "utf8")] as const,
  );

  test.each([...documents, ...others])("%s: every file of the project that it names is there", (path, text) => {
    const named = [...text.matchAll(/(?<![\w/.-])(?:lib|steps|test|templates|bin|docs)\/[\w@./-]*\w/g)].map(
      ([it]) => it,
    );
    const missing = named.filter((it) => !/NAME|smoke-test/.test(it) && !existsSync(join(project, it)));
    expect([path, missing]).toEqual([path, []]);
  });

  test.each([...documents, ...others])(
    "%s: every link leads to a file that is there, and to one of its headings",
    (path, text) => {
      for (const to of links(path, text)) {
        expect(`${to.link}: ${existsSync(join(project, to.path))}`).toEndWith(": true");
        if (to.anchor) expect(anchors(readFileSync(join(project, to.path), "utf8"))).toContain(to.anchor);
      }
    },
  );

  test.each(pages)("%s is one subject: a title, and no other of its rank", (path) => {
    expect(pageOf(path)).toMatch(/^# \S.*\n\n/);
    expect(anchors(pageOf(path).replaceAll(/^##+ .*$/gm, ""))).toHaveLength(1);
    expect(new Set(anchors(pageOf(path))).size).toBe(anchors(pageOf(path)).length);
  });

  test("each word of dp help leads to one page", () => {
    const words = topics().flatMap((page) => page.words);
    expect(words.filter((word, at) => words.indexOf(word) !== at)).toEqual([]);
    for (const { name, title, words } of topics()) {
      expect(`${name}: ${title}`).toMatch(/^[a-z0-9-]+: [A-Za-z]/);
      for (const word of words) expect(word).toMatch(/^[a-z0-9.-]+$/);
    }
  });

  test("an anchor is made as GitHub makes it, and a block has none", () => {
    expect(anchors("# `dp env`, and more: 2 things\n\n```sh\n# no\n```\n\n## Git LFS\n")).toEqual([
      "dp-env-and-more-2-things",
      "git-lfs",
    ]);
    expect(links("docs/a.md", "[x](b.md#c) [y](#d) [z](../README.md) [w](https://example.com)")).toMatchObject([
      { path: "docs/b.md", anchor: "c" },
      { path: "docs/a.md", anchor: "d" },
      { path: "README.md", anchor: "" },
    ]);
  });
});

describe("the pipeline of one's own", () => {
  let box: Sandbox;
  beforeAll(async () => {
    box = await sandbox();
    const [steps, tools] = [join(box.root, "steps"), join(box.root, "../tools")];
    mkdirSync(steps);
    for (const [path, text] of [
      [join(steps, "smoke-test"), blockWith("dp fact", "smokeTest")],
      [join(box.root, "deploy.sh"), blockWith("dp begin")],
      [
        join(tools, "dp"),
        `#!/bin/sh\nexec '${process.execPath}' --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install '${join(project, "bin/dp")}' "$@"\n`,
      ],
    ] as const) {
      writeFileSync(path, text);
      chmodSync(path, 0o755);
    }
    box.env["DP_STEPS"] = steps;
  });
  afterAll(() => box.stop());
  const deploy = () => box.start([join(box.root, "deploy.sh"), "shop"]).done;

  test("deploys with its step in the row", async () => {
    await box.commit({ say: "by hand" });
    await box.git("push", "production", "main:refs/heads/other");
    await box.git("--git-dir", box.repo, "branch", "main", "other");
    const { code, stdout, text } = await deploy();
    expect(`${code} ${text}`).toStartWith("0 ");
    expect(stdout.trim()).toEndWith(box.link("current")!);
    expect(await box.answer()).toStartWith("by hand");
    const run = box.run();
    expect(run.facts["smokeTest"]).toBe("passed");
    expect(run.result?.state).toBe("good");
    expect(Object.keys(run.journal)).toEqual(
      [...PIPELINES.deploy].flatMap((step) => (step === "swap" ? ["smoke-test", "swap"] : [step])),
    );
  });

  test("goes back when its step fails", async () => {
    const live = box.link("current");
    writeFileSync(join(box.env["DP_STEPS"]!, "smoke-test"), "#!/bin/sh\necho no good >&2\nexit 6\n");
    const { code, text } = await deploy();
    expect(code).toBe(6);
    expect(text).toContain("no good");
    expect(box.link("current")).toBe(live);
    expect(await box.answer()).toStartWith("by hand");
    // It has ended, and nothing of it is left to be gone on with.
    const { result, journal } = box.run();
    expect(result).toMatchObject({ state: "failed", code: 6, error: expect.stringMatching(/^smoke-test: /) });
    const states = ["start", "smoke-test", "swap"].map((step) => journal[step]?.state);
    expect(states).toEqual(["undone", "failed", undefined]);
    expect(Object.keys(box.instances())).toEqual([live!]);
    const again = await box.dp("step", "--undo", "--app", "shop");
    expect([again.code, again.text]).toEqual([2, expect.stringContaining("has ended: failed")]);
  });

  test("goes back after its switch, too", async () => {
    const live = box.link("current");
    writeFileSync(join(box.env["DP_STEPS"]!, "smoke-test"), blockWith("dp fact", "smokeTest"));
    writeFileSync(join(box.env["DP_STEPS"]!, "last"), "#!/bin/sh\nexit 6\n", { mode: 0o755 });
    const script = readFileSync(join(box.root, "deploy.sh"), "utf8").replace("verify workers", "verify last workers");
    writeFileSync(join(box.root, "deploy.sh"), script);
    expect((await deploy()).code).toBe(6);
    expect([box.link("current"), box.run().result?.state]).toEqual([live, "failed"]);
    expect(await box.answer()).toStartWith("by hand");
  });
});
