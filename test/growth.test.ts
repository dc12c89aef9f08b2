// A new app type, manager, front, check and kind of notification are files of their own: in a copy of dp, where nothing else is changed, they
// are offered, read strictly, used by a deploy, and looked at.
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { sandbox, until, type Sandbox } from "./support/sandbox.ts";

const project = resolve(import.meta.dir, "..");
const LIMIT = 120_000;

const OWN_FILES = {
  "lib/apps/echo.ts": `// Apps that answer with one word.
import type { AppType } from "../contracts/app-type.ts";
import { greetingOf, isLoud } from "./echo/settings.ts";

const echo: AppType = {
  name: "echo",
  summary: "one word for everybody",
  detect: async (tree) => {
    const hasWord = (await tree.list()).some(({ path }) => path === "word.txt");
    return hasWord ? { command: null, because: "word.txt", settings: "echo:\\n  greeting: hello" } : null;
  },
  install: async () => ({ path: [], env: {}, dependencies: null }),
  command: async ({ config, operator }) => {
    const word = isLoud(operator) ? greetingOf(config).toUpperCase() : greetingOf(config);
    const server = \`Bun.serve({ hostname: process.env.DP_HOST, port: process.env.PORT, fetch: () => new Response("\${word}") })\`;
    return \`exec bun -e '\${server}'\`;
  },
  prune: async () => [],
};

export default echo;
`,
  "lib/apps/echo/settings.ts": `// What type echo declares: its word, and whether the operator wants it loud.
import type { AppSettings } from "../../config/declared.ts";
import { claim, mapping, text } from "../../config/field.ts";
import type { DeployConfig } from "../../config/types.ts";
import * as v from "valibot";

const word = v.pipe(text(/^[a-z]+$/, "a word"), v.description("What is answered."), v.examples(["hello"]));
const settings: AppSettings = {
  deploy: v.pipe(mapping({ greeting: word }), v.description("For type echo.")),
  server: v.pipe(mapping({ loud: claim() }), v.description("How echo answers.")),
  problems: ({ build }) => (build === undefined ? [] : [{ path: ["build"], what: "nothing is built for type echo" }]),
};

export const greetingOf = (config: DeployConfig) => (config.settings as { greeting: string }).greeting;
export const isLoud = (operator: Readonly<Record<string, unknown>> = {}) =>
  (operator["echo"] as { loud: boolean } | undefined)?.loud === true;

export default settings;
`,
  "lib/managers/mine.ts": `// Builtin under another name, for apps with workers.
import type { Manager } from "../contracts/manager.ts";
import builtin from "./builtin.ts";

const mine: Manager = { ...builtin, name: "mine", summary: "a manager of one's own" };

export default mine;
`,
  "lib/managers/mine/settings.ts": `// What the manager mine declares.
import type { ManagerSettings } from "../../config/declared.ts";

const settings: ManagerSettings = { workers: "any command" };

export default settings;
`,
  "lib/fronts/direct.ts": `// The app holds its port, by a name of its own.
import type { Front } from "../contracts/front.ts";
import none from "./none.ts";

const direct: Front = { ...none, name: "direct", summary: "a front of one's own" };

export default direct;
`,
  "lib/fronts/direct/settings.ts": `// What the front direct declares.
import type { FrontSettings } from "../../config/declared.ts";

const settings: FrontSettings = { holdsPort: false };

export default settings;
`,
  "lib/notify/kinds/pager.ts": `// A pager that is a file.
import { appendFileSync } from "node:fs";
import type { Notifier } from "../../contracts/notifier.ts";
import { word } from "../http.ts";

const pager: Notifier = {
  name: "pager",
  summary: "a file that beeps",
  keys: { pager: word("The file.") },
  asks: { pager: { question: "File" } },
  secrets: [],
  place: ({ pager: file = "" }) => file,
  async send({ pager: file = "" }, { title }) {
    appendFileSync(file, title + "\\n");
    return { end: "sent", said: "beeped" };
  },
};

export default pager;
`,
  "lib/doctor/mood.ts": `// Whether somebody has looked.
import { byHand, type Check } from "../contracts/check.ts";

const check: Check = {
  summary: "the mood of the app",
  app: async (app) => [byHand("note", \`\${app.name} is in a good mood\`, "smile")],
};

export default check;
`,
};

let copy: string;
let box: Sandbox;
beforeAll(async () => {
  copy = realpathSync(mkdtempSync(join(tmpdir(), "dp-growth-")));
  for (const name of ["bin", "lib", "steps", "templates", "docs", "package.json", "test/support/schemas.ts"])
    cpSync(join(project, name), join(copy, name), { recursive: true });
  symlinkSync(join(project, "node_modules"), join(copy, "node_modules"));
  for (const [file, text] of Object.entries(OWN_FILES)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    // Only what was not there: "wx" refuses to replace a file.
    writeFileSync(join(copy, file), text, { flag: "wx" });
  }
  box = await sandbox("shop", "relay", join(copy, "bin/dp"));
}, LIMIT);
afterAll(async () => {
  await box?.stop();
  rmSync(copy, { recursive: true, force: true });
});

test(
  "they are offered by help, and a mistyped name leads to them",
  async () => {
    expect((await box.dp("init", "--help")).stdout).toContain("docker, echo, node, python or static; default");
    const { stdout } = await box.dp("setup", "--help");
    expect(stdout).toContain("builtin, mine, pm2, swarm or systemd");
    expect(stdout).toContain("direct, haproxy, none or relay");
    const wrong = await box.dp("setup", "shop", "--manager", "mien");
    expect(wrong.code).toBe(2);
    expect(wrong.text).toContain('did you mean "mine"?');
  },
  LIMIT,
);

test(
  "the schemas for editors have their keys",
  () => {
    const { exitCode } = Bun.spawnSync([process.execPath, "test/support/schemas.ts"], { cwd: copy });
    expect(exitCode).toBe(0);
    const schema = (name: string) => require(join(copy, `templates/${name}.schema.json`)) as Schema;
    type Schema = { required: string[]; properties: Record<string, { enum?: string[]; description?: string }> };
    const [deploy, config] = [schema("deploy"), schema("config")];
    expect(deploy.properties["type"]?.enum).toContain("echo");
    expect(deploy.properties["echo"]?.description).toBe("For type echo.");
    expect(deploy.required).toEqual(["name", "type"]);
    expect(config.properties["echo"]?.description).toBe("How echo answers.");
    expect(config.properties["manager"]?.enum).toContain("mine");
    expect(config.properties["front"]?.enum).toContain("direct");
    expect(config.properties["front"]?.description).toContain("direct, none: the app itself");
    expect(config.properties["instances"]?.description).toContain("manager mine and any command, or manager pm2");
  },
  LIMIT,
);

test(
  "what is wrong with their settings is told by line",
  async () => {
    const text = "name: shop\ntype: echo\nhealthCheck: /\nbuild: make\necho: {greting: Hello, greeting: HELLO}\n";
    await box.commit({ "deploy.yml": text });
    const { code, text: said } = await box.push();
    expect(code).toBe(1);
    expect(said).toContain("deploy.yml:4:1 build: nothing is built for type echo");
    expect(said).toContain('deploy.yml:5:8 echo.greting: unknown key, did you mean "greeting"?');
    expect(said).toContain('deploy.yml:5:34 echo.greeting: must be a word, not "HELLO"');
    await box.commit({ "deploy.yml": "name: shop\ntype: python\nhealthCheck: /\necho: {greeting: a}\n" });
    expect((await box.push()).text).toContain("deploy.yml:4:1 echo: is only for type echo, remove it");
  },
  LIMIT,
);

test(
  "a deploy uses them, with what the commit and the operator say under their key",
  async () => {
    const made = await box.dp("setup", "shop", "--manager", "mine", "--front", "direct");
    expect([made.code, made.stdout]).toEqual([0, expect.stringContaining("manager is now mine, it was builtin")]);
    const yml = "name: shop\ntype: echo\nhealthCheck: {path: /, startTimeout: 20s}\necho: {greeting: hello}\n";
    await box.release({ "deploy.yml": yml, "server.py": null, say: null });
    expect(await box.answer()).toBe("hello");
    expect((await box.dp("status", "shop")).stdout).toContain("shop");
    writeFileSync(join(box.base, "config.yml"), "echo: {loud: true}\n", { flag: "a" });
    const again = await box.dp("restart", "shop");
    expect([again.code, again.code === 0 ? "" : again.text]).toEqual([0, ""]);
    expect(await box.answer()).toBe("HELLO");
    const seen = await box.dp("doctor", "shop");
    expect(seen.text).toContain("mood: shop is in a good mood");
  },
  LIMIT,
);

test(
  "a kind of notification is offered, and tells what happens",
  async () => {
    expect((await box.dp("notify", "--help")).stdout).toContain("ntfy|pager|slack");
    const file = join(box.root, "beeps");
    const argv = [box.program, "notify", "add", "me", "pager"];
    const child = Bun.spawn(argv, { env: box.env, stdin: Buffer.from(`pager=${file}\n`), stdout: "pipe" });
    expect(await child.stdout.text()).toContain("sent to me: beeped");
    expect(await child.exited).toBe(0);
    expect((await box.dp("notify", "set", "deployed=me")).code).toBe(0);
    expect((await box.dp("restart", "shop")).code).toBe(0);
    const beeps = await until("a beep", () => /was restarted.*\n/.exec(readFileSync(file, "utf8"))?.[0]);
    expect(beeps).toContain("by ");
    expect((await box.dp("notify", "remove", "me")).code).toBe(0);
  },
  LIMIT,
);
