// `dp init` in real folders: what is written, what is refused, and that a refusal leaves nothing behind.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppType } from "../../lib/contracts/app-type.ts";
import { init } from "../../lib/commands/init.ts";
import { deployConfig } from "../support/configs.ts";
import { DpError } from "../../lib/errors.ts";
import { appTypes } from "../../lib/registry.ts";
import { inTerminal } from "../support/typed.ts";

const DP = join(import.meta.dir, "../../bin/dp");

let root: string;
let dir: string;
let types: AppType[];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "dp-init-"));
  types = await appTypes();
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  dir = join(await mkdtemp(join(root, "case-")), "My Shop_2");
  await mkdir(dir);
});

async function refusal(options: Parameters<typeof init>[0]): Promise<DpError> {
  const before = await readdir(dir);
  const error = await init(options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(await readdir(dir)).toEqual(before);
  if (!(error instanceof DpError)) throw error ?? new Error("accepted");
  return error;
}

test("an app that is recognised gets a deploy.yml that is accepted", async () => {
  await writeFile(join(dir, "requirements.txt"), "flask==3.1.3\ngunicorn==27.0.1\n");
  await writeFile(join(dir, "app.py"), "from flask import Flask\napp = Flask(__name__)\n");
  const { files, next } = await init({ dir, types });
  expect(files).toEqual(["deploy.yml"]);
  const text = await readFile(join(dir, "deploy.yml"), "utf8");
  // It is committed: nothing of this machine is in it.
  expect(text).not.toContain("://");
  const config = deployConfig(text);
  expect(config).toMatchObject({ name: "my-shop-2", type: "python", healthCheck: { path: "/" } });
  expect(config.command).toContain("gunicorn");
  expect(text).toContain("type: python # because of requirements.txt");
  expect(next).toEqual(["git init -b main", "git add .", 'git commit -m "Deploy with dp"', "dp launch root@SERVER"]);
});

test("the steps fit a repository that is there", async () => {
  const git = Bun.spawnSync(["git", "init", "-q", "-b", "trunk", dir], { cwd: "/" });
  expect(git.exitCode).toBe(0);
  const { next } = await init({ dir, types, example: "flask", name: "shop" });
  expect(next).not.toContain("git init -b main");
  expect(next).toContain("git add .gitignore app.py deploy.yml requirements.txt");
  expect(next.at(-1)).toBe("dp launch root@SERVER");
});

test("a type without a start command leaves the line as a comment; a hostile command is quoted", async () => {
  const type = (command: string | null): AppType => ({
    ...types[0]!,
    detect: async () => ({ command, because: "a\nb: c" }),
  });
  await init({ dir, types: [type(null)] });
  const text = await readFile(join(dir, "deploy.yml"), "utf8");
  expect(text).toContain("\n# command: ./start.sh\n");
  expect(text).toContain("because of a b: c\n");
  await rm(join(dir, "deploy.yml"));
  await init({ dir, types: [type('x: "y" # z\\')] });
  expect(deployConfig(await readFile(join(dir, "deploy.yml"), "utf8")).command).toBe('x: "y" # z\\');
  await rm(join(dir, "deploy.yml"));
  expect((await refusal({ dir, types: [type("two\nlines")] })).exit).toBe("config");
});

describe("--github", () => {
  const git = (...argv: string[]) => Bun.spawnSync(["git", "-C", dir, ...argv]);
  const workflow = () => readFile(join(dir, ".github/workflows/deploy.yml"), "utf8");
  const scriptOf = (text: string) => {
    const { jobs } = Bun.YAML.parse(text) as { jobs: { deploy: { steps: { run?: string }[] } } };
    return jobs.deploy.steps.find(({ run }) => run !== undefined)!.run!;
  };

  test("writes deploy.yml and a workflow that checks the server's key, and keeps values out of its script", async () => {
    git("init", "-q", "-b", "trunk");
    await writeFile(join(dir, "app.py"), "");
    const { files, edit, next } = await init({ dir, types, name: "shop", github: true });
    expect(files).toEqual(["deploy.yml", ".github/workflows/deploy.yml"]);
    expect(edit.join("\n")).toContain("SERVER stands for the address of your server");
    expect(next.join("\n")).toContain("dp keys new ci --app shop --role push");
    const text = await workflow();
    expect(text).toContain("branches: [trunk]");
    expect(text).not.toMatch(/StrictHostKeyChecking=(?!yes)/);
    const script = scriptOf(text);
    expect(script).not.toContain("${{");
    expect(script).toContain("git push dp@SERVER:shop HEAD:main");
    for (const missing of [{}, { KEY: "k" }, { HOSTS: "h" }])
      expect(Bun.spawnSync(["sh", "-c", script], { cwd: dir, env: missing }).stderr.toString()).toMatch(/is missing$/m);
  });

  test.each([
    ["ssh://root@203.0.113.5/var/repos/shop.git", "dp@203.0.113.5:shop"],
    ["ssh://root@203.0.113.5:2222/var/repos/shop.git", "ssh://dp@203.0.113.5:2222/shop"],
    ["dp@shop.example:shop", "dp@shop.example:shop"],
    ["ssh://dp@shop.example:2222/shop.git", "ssh://dp@shop.example:2222/shop"],
    ["git@shop.example:me/shop.git", "dp@SERVER:shop"],
    ["ssh://root@$(touch${IFS}x)/var/repos/shop.git", "dp@SERVER:shop"],
  ])("beside a deploy.yml, which stays, to the server of %s", async (url, remote) => {
    git("init", "-q", "-b", "main");
    git("remote", "add", "production", url);
    const own = "name: shop\ntype: python\nhealthCheck: /\n";
    await writeFile(join(dir, "deploy.yml"), own);
    expect((await init({ dir, types, github: true })).files).toEqual([".github/workflows/deploy.yml"]);
    expect(scriptOf(await workflow())).toContain(`git push ${remote} HEAD:main`);
    expect(await readFile(join(dir, "deploy.yml"), "utf8")).toBe(own);
    expect(await refusal({ dir, types, github: true })).toMatchObject({
      message: ".github/workflows/deploy.yml already exists; nothing was written",
    });
  });
});

describe("in a folder of a repository", () => {
  const make = async (folder: string) => {
    expect(Bun.spawnSync(["git", "init", "-q", dir], { cwd: "/" }).exitCode).toBe(0);
    await mkdir(join(dir, folder), { recursive: true });
    await writeFile(join(dir, folder, "requirements.txt"), "flask\ngunicorn\n");
    await writeFile(join(dir, folder, "app.py"), "app = Flask(__name__)\n");
    return { dir: join(dir, folder), types };
  };
  const deployYml = (name: string, more = "") => `name: ${name}\ntype: python\nhealthCheck: /\n${more}`;

  test("each app gets its own deploy.yml, with the name of its folder", async () => {
    const { files, edit, next } = await init(await make("services/api"));
    expect(files).toEqual(["deploy.yml"]);
    expect(edit[0]).toBe(`folder: services/api, of the repository ${dir}`);
    expect(next).toEqual([
      "git add deploy.yml",
      'git commit -m "Deploy with dp"',
      "dp launch root@SERVER --remote api",
    ]);
    const { name, root } = deployConfig(await readFile(join(dir, "services/api/deploy.yml"), "utf8"));
    expect([name, root]).toEqual(["api", undefined]);
    expect((await init(await make("services/web"))).files).toEqual(["deploy.yml"]);
    expect(await readdir(dir)).not.toContain("deploy.yml");
  });

  test.each([
    [
      "a name that another folder has",
      "services/api",
      "web/deploy.yml",
      deployYml("api"),
      'web/deploy.yml is for "api" already',
    ],
    ["a name that the top has", "api", "deploy.yml", deployYml("api"), 'deploy.yml is for "api" already'],
    [
      "a folder that the top names",
      "api",
      "deploy.yml",
      deployYml("shop", "root: api\n"),
      "deploy.yml is for this folder already",
    ],
    ["a hidden folder", ".api", "x", "", "dp reads no deploy.yml in .api"],
    ["a folder with a space", "my api", "x", "", "dp reads no deploy.yml in my api"],
  ])("%s is refused", async (_, folder, path, text, words) => {
    const options = await make(folder);
    await Bun.write(join(dir, path), text);
    const error = await refusal(options);
    expect([error.exit, error.message]).toEqual(["config", expect.stringContaining(words) as string]);
    expect(await readdir(join(dir, folder))).not.toContain("deploy.yml");
  });

  test("a workflow is refused: its place is the top", async () => {
    const error = await refusal({ ...(await make("api")), github: true });
    expect([error.exit, error.message]).toEqual(["config", expect.stringContaining("belongs at its top") as string]);
  });

  test("at the top, where no app is, those below are named with what to type", async () => {
    await make("services/api");
    await Bun.write(join(dir, "web/package.json"), '{"scripts": {"start": "node server.js"}}');
    await Bun.write(join(dir, "tools/x.py"), "");
    const error = await refusal({ dir, types });
    expect([error.exit, error.message.split(": ")[0]]).toEqual(["config", "no app found in this folder, but below it"]);
    for (const place of ["services/api (requirements.txt)", "web (package.json)"])
      expect(error.message).toContain(place);
    expect(error.message).not.toContain("tools");
    expect(error.hint).toMatch(/^cd (?:services\/api|web) && dp init; then so in each other folder/);
    await rm(join(dir, ".git"), { recursive: true });
    await rm(join(dir, "web"), { recursive: true });
    expect((await refusal({ dir, types })).hint).toBe("git init -b main && cd services/api && dp init");
  });
});

test("an existing deploy.yml is refused, a dangling link of that name too", async () => {
  await writeFile(join(dir, "app.py"), "");
  await writeFile(join(dir, "deploy.yml"), "mine");
  const error = await refusal({ dir, types });
  expect(error.exit).toBe("bug");
  expect(error.message).toBe("deploy.yml already exists; nothing was written");
  expect(await readFile(join(dir, "deploy.yml"), "utf8")).toBe("mine");
  await rm(join(dir, "deploy.yml"));
  await symlink(join(root, "elsewhere"), join(dir, "deploy.yml"));
  expect((await refusal({ dir, types })).message).toContain("already exists");
  expect(await readdir(root)).not.toContain("elsewhere");
});

test("of two at once one writes and the other is refused", async () => {
  await writeFile(join(dir, "app.py"), "");
  const results = await Promise.allSettled([init({ dir, types, name: "one" }), init({ dir, types, name: "two" })]);
  expect(results.map((result) => result.status).sort()).toEqual(["fulfilled", "rejected"]);
  const winner = results[0]!.status === "fulfilled" ? "one" : "two";
  expect(deployConfig(await readFile(join(dir, "deploy.yml"), "utf8")).name).toBe(winner);
});

describe("an empty folder", () => {
  test.each([
    ["is empty", []],
    ["has a README and git's files only", ["README.md", ".gitignore", "LICENSE"]],
  ])("that %s becomes python, with every key explained", async (_, files) => {
    for (const file of files) await writeFile(join(dir, file), "");
    const made = await init({ dir, types });
    expect(made.files).toEqual(["deploy.yml"]);
    expect(made.edit.join("\n")).toMatch(/^type: python, a guess[^]*healthCheck: \/, [^]*command: /);
    const text = await readFile(join(dir, "deploy.yml"), "utf8");
    expect(deployConfig(text)).toMatchObject({ name: "my-shop-2", type: "python", healthCheck: { path: "/" } });
    expect(text).toContain("# hooks:");
    expect(await refusal({ dir, types })).toMatchObject({
      exit: "bug",
      message: "deploy.yml already exists; nothing was written",
    });
  });

  test("a folder with files that no type knows is refused, and --type writes it all the same", async () => {
    await writeFile(join(dir, "main.go"), "package main");
    const error = await refusal({ dir, types });
    expect(error.exit).toBe("config");
    for (const type of types) expect(error.message).toContain(type.name);
    expect(error.hint).toContain("dp init --type TYPE");
    expect(error.hint).toContain("dp init --example flask");
    for (const type of ["docker", "node", "python", "static"]) {
      await init({ dir, types, type });
      const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
      expect(config).toMatchObject({ name: "my-shop-2", type, healthCheck: { path: "/" } });
      await rm(join(dir, "deploy.yml"));
    }
    expect(await refusal({ dir, types, type: "pyton" })).toMatchObject({
      exit: "usage",
      message: 'unknown app type "pyton"; the types are docker, node, python, static',
      hint: 'did you mean "python"?',
    });
  });
});

describe("a Dockerfile beside requirements.txt", () => {
  const withEngine = (isThere: boolean) =>
    types.map((type) => {
      if (type.name !== "docker") return type;
      const requireHost = () =>
        isThere ? Promise.resolve() : Promise.reject(new DpError("host", "this server has no docker command"));
      return { ...type, requireHost };
    });
  const typeOf = async () => deployConfig(await readFile(join(dir, "deploy.yml"), "utf8")).type;
  beforeEach(async () => {
    await writeFile(join(dir, "requirements.txt"), "flask");
    await writeFile(join(dir, "Dockerfile"), "FROM scratch");
  });

  test("is python where there is no docker, and it is said how docker is chosen", async () => {
    const { edit } = await init({ dir, types: withEngine(false) });
    expect(await typeOf()).toBe("python");
    expect(edit[1]).toContain("for docker (Dockerfile): dp init --type docker");
  });

  test("is docker where there is one, and it is said how python is chosen", async () => {
    const { edit } = await init({ dir, types: withEngine(true) });
    expect(await typeOf()).toBe("docker");
    expect(edit[1]).toContain("for python (requirements.txt): dp init --type python");
  });

  test("a Dockerfile alone is docker, wherever dp init is typed", async () => {
    await rm(join(dir, "requirements.txt"));
    const { edit } = await init({ dir, types: withEngine(false) });
    expect(await typeOf()).toBe("docker");
    expect(edit.join("\n")).not.toContain("--type");
  });

  describe("at a terminal", () => {
    const answered = async (keys: string) => {
      const typed = inTerminal([DP, "init"], { PATH: process.env["PATH"]!, HOME: root }, dir);
      await typed.sees("docker (Dockerfile) or python (requirements.txt)?");
      typed.type(`${keys}\r`);
      return { code: await typed.done, shown: typed.shown() };
    };

    test("it is asked for, and an answer chooses", async () => {
      const { code, shown } = await answered("docker");
      expect([code, await typeOf()]).toEqual([0, "docker"]);
      expect(shown).toContain("Created deploy.yml");
    });

    test("no answer is the usual one, and another word is refused", async () => {
      const { code, shown } = await answered("ruby");
      expect([code, existsSync(join(dir, "deploy.yml"))]).toEqual([2, false]);
      expect(shown).toContain('"ruby" is none of docker, python');
      expect((await answered("")).code).toBe(0);
    });
  });
});

test("dp init by itself: what it says, and how it ends", async () => {
  const dp = (...words: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([DP, "init", ...words], { cwd: dir, stdin: "ignore" });
    return [exitCode, stdout.toString(), stderr.toString()] as const;
  };
  const [code, stdout, stderr] = dp();
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toStartWith("Created deploy.yml\nedit deploy.yml where this is wrong:\n  type: python");
  expect(dp()).toEqual([1, "", expect.stringContaining("deploy.yml already exists") as string]);
  await rm(join(dir, "deploy.yml"));
  expect(JSON.parse(dp("--type", "static", "--name", "site", "--json")[1])).toMatchObject({ files: ["deploy.yml"] });
  expect(dp("--type", "ruby")[0]).toBe(1);
});

test("a health route of the code is written down, with the file that has it", async () => {
  await writeFile(join(dir, "package.json"), '{"scripts": {"start": "node server.js"}}');
  await writeFile(join(dir, "server.js"), 'app.get("/healthz", (request, response) => response.send("ok"));');
  const { edit } = await init({ dir, types, name: "shop" });
  expect(edit).toContain("healthCheck: /healthz, from server.js");
  const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
  expect(config).toMatchObject({ type: "node", healthCheck: { path: "/healthz" } });
});

test.each([
  ["flask", ".gitignore,app.py,deploy.yml,requirements.txt", 'gunicorn --bind "$DP_HOST:$PORT" app:app'],
  ["fastapi", ".gitignore,deploy.yml,main.py,requirements.txt", 'uvicorn main:app --host "$DP_HOST" --port "$PORT"'],
  [
    "django",
    ".gitignore,deploy.yml,manage.py,mysite/__init__.py,mysite/secret.py,mysite/settings.py,mysite/urls.py,mysite/wsgi.py,requirements.txt,visits/__init__.py,visits/migrations/0001_initial.py,visits/migrations/__init__.py,visits/models.py,visits/static/visits.css,visits/templates/visits.html,visits/views.py",
    'gunicorn --bind "$DP_HOST:$PORT" mysite.wsgi',
  ],
])("the example %s is complete", async (example, names, command) => {
  const { files } = await init({ dir, types, example, name: "shop" });
  expect(files.join()).toBe(names);
  expect([...new Bun.Glob("**").scanSync({ cwd: dir, dot: true })].sort().join()).toBe(names);
  const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
  expect(config).toMatchObject({ name: "shop", type: "python", command, healthCheck: { path: "/health" } });
  const requirements = (await readFile(join(dir, "requirements.txt"), "utf8")).trim().split("\n");
  for (const line of requirements) expect(line).toMatch(/^[\w.-]+==[0-9][\w.]*$/);
  expect(await refusal({ dir, types, example })).toMatchObject({ exit: "bug" });
});

test("the example static is complete, with its folder", async () => {
  const { files } = await init({ dir, types, example: "static", name: "site" });
  expect(files).toEqual(["deploy.yml", "public/404.html", "public/index.html", "public/style.css"]);
  const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
  expect(config).toMatchObject({ name: "site", type: "static", settings: { root: "public", notFound: "404.html" } });
  expect(await readFile(join(dir, "public/index.html"), "utf8")).toContain("It works");
});

test("a folder of pages is recognised, and what is served is named", async () => {
  await mkdir(join(dir, "dist"));
  await writeFile(join(dir, "dist/index.html"), "x");
  await init({ dir, types, name: "site" });
  const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
  expect(config).toMatchObject({ type: "static", settings: { root: "dist" }, healthCheck: { path: "/" } });
});

test("a Django project is told of migrations, its database, static files and logs", async () => {
  const files = {
    "requirements.txt": "django==5.2\n",
    "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")',
    "mysite/wsgi.py": "",
    "mysite/urls.py": 'urlpatterns = [\n    path("admin/", admin.site.urls),\n]\n',
    "mysite/settings.py":
      'ALLOWED_HOSTS = ["shop.example.com"]\nDATABASES = {"default": {"NAME": BASE_DIR / "db.sqlite3"}}\nSTATIC_URL = "static/"\n',
  };
  for (const [path, text] of Object.entries(files)) await Bun.write(join(dir, path), text);
  const { edit } = await init({ dir, types, name: "shop" });
  expect(edit.filter((line) => line.startsWith("to do: ")).join("\n")).toMatch(
    /gunicorn is not among [^]*\n.*whitenoise[^]*\n.*the database is in the release[^]*\n.*LOGGING/,
  );
  expect(deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"))).toMatchObject({
    healthCheck: { path: "/admin/login/", host: "shop.example.com" },
    hooks: { preDeploy: "python manage.py migrate --noinput" },
  });

  await rm(join(dir, "deploy.yml"));
  await writeFile(join(dir, "requirements.txt"), "django\ngunicorn\nwhitenoise\n");
  await Bun.write(join(dir, "mysite/urls.py"), 'urlpatterns = [path("", home), path("health", health)]\n');
  await Bun.write(join(dir, "mysite/settings.py"), 'STATIC_ROOT = BASE_DIR / "static"\nLOGGING = {}\n');
  expect((await init({ dir, types, name: "shop" })).edit.join("\n")).not.toContain("to do: ");
  const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
  expect(config).toMatchObject({
    command: 'gunicorn --bind "$DP_HOST:$PORT" mysite.wsgi',
    healthCheck: { path: "/health" },
  });
  expect(config.build).toBe("python manage.py collectstatic --noinput");
  // Each under its own comment, and none that is set stands as a comment besides.
  const text = await readFile(join(dir, "deploy.yml"), "utf8");
  expect(text).toContain(
    "\n# Runs after the dependencies are installed, before the app starts.\nbuild: python manage.py c",
  );
  expect(text).toContain("\n# Shell lines, or scripts of this repo.\nhooks:\n  preDeploy: python manage.py migrate ");
  expect(text).toMatch(/^ {2}# postDeploy: /m);
  for (const key of Object.keys(Bun.YAML.parse(text) as object))
    expect([key, text.match(new RegExp(`^#? ?${key}:`, "gm"))]).toEqual([key, [`${key}:`]]);
});

test("a Flask app that writes into its instance folder shares it", async () => {
  await writeFile(join(dir, "requirements.txt"), "flask\ngunicorn\n");
  await writeFile(join(dir, "app.py"), "app = Flask(__name__, instance_relative_config=True)\n");
  await init({ dir, types, name: "shop" });
  expect(deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"))).toMatchObject({
    command: 'gunicorn --bind "$DP_HOST:$PORT" app:app',
    shared: { dirs: ["instance"] },
  });
});

test("a Flask app without a server in its requirements is told of gunicorn", async () => {
  await writeFile(join(dir, "requirements.txt"), "flask==3.1.3\n");
  await writeFile(join(dir, "app.py"), "app = Flask(__name__)\n");
  expect((await init({ dir, types, name: "shop" })).edit.join("\n")).toContain(
    "to do: app.py is a WSGI app, and gunicorn ",
  );
  await rm(join(dir, "deploy.yml"));
  await writeFile(join(dir, "app.py"), 'app = Flask(__name__)\nif __name__ == "__main__":\n    app.run()\n');
  expect((await init({ dir, types, name: "shop" })).edit.join("\n")).toContain(
    'to do: app.py must listen on $DP_HOST:$PORT, which app.run() does not: add gunicorn to the dependencies, and write command: gunicorn --bind "$DP_HOST:$PORT" app:app',
  );
});

test.each([
  ["requirements.txt", "fastapi[standard]==0.115.0\n"],
  ["pyproject.toml", '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi[all]>=0.115"]\n'],
])("uvicorn is not missed where an extra of FastAPI in %s brings it", async (file, text) => {
  await writeFile(join(dir, file), text);
  await writeFile(join(dir, "main.py"), "from fastapi import FastAPI\napp = FastAPI()\n");
  expect((await init({ dir, types, name: "shop" })).edit.join("\n")).not.toContain("uvicorn");
  expect(deployConfig(await readFile(join(dir, "deploy.yml"), "utf8")).command).toBe(
    'uvicorn main:app --host "$DP_HOST" --port "$PORT"',
  );
});

describe("a package.json with a build script and a bundler", () => {
  const site = async (pkg: object, files: Record<string, string> = {}, more: object = {}) => {
    await writeFile(join(dir, "package.json"), JSON.stringify(pkg));
    for (const [path, text] of Object.entries(files)) await Bun.write(join(dir, path), text);
    const { edit } = await init({ dir, types, name: "site", ...more });
    const { type, build, settings, healthCheck } = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
    return { type, build, settings, path: healthCheck?.path, edit };
  };
  const vite = { scripts: { build: "tsc -b && vite build" }, devDependencies: { vite: "^7.0.0" } };

  test.each<[string, object, Record<string, string>, string, object]>([
    ["vite", vite, { "package-lock.json": "{}", "index.html": "" }, "npm ci && npm run build", { root: "dist" }],
    ["vite without a lock file", vite, {}, "npm install && npm run build", { root: "dist" }],
    [
      "vite with pnpm, a folder of its own, and a router",
      { ...vite, dependencies: { "react-router-dom": "^7.0.0" } },
      {
        "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
        "vite.config.ts": 'export default { build: { outDir: "./out" } }',
      },
      "pnpm install --frozen-lockfile && pnpm run build",
      { root: "out", spa: true },
    ],
    [
      "create-react-app, whose start script is a server for developers",
      {
        scripts: { start: "react-scripts start", build: "react-scripts build" },
        dependencies: { "react-scripts": "5" },
      },
      { "yarn.lock": "# yarn lockfile v1\n", "public/index.html": "", "src/index.js": "" },
      "yarn install --frozen-lockfile && yarn run build",
      { root: "build" },
    ],
    [
      "vitepress",
      { scripts: { build: "vitepress build docs" }, devDependencies: { vitepress: "1", vite: "7" } },
      {},
      "npm install && npm run build",
      { root: "docs/.vitepress/dist" },
    ],
  ])("is a site: %s", async (_, pkg, files, build, settings) => {
    const found = await site(pkg, files);
    expect(found).toMatchObject({ type: "static", build, settings, path: "/" });
    expect(found.edit.join("\n")).toMatch(/^type: static, because of [^]*build: [^]*root: /);
  });

  test.each<[string, object, Record<string, string>]>([
    ["a start script", { ...vite, scripts: { ...vite.scripts, start: "node server.js" } }, {}],
    ["a server beside index.html", vite, { "index.html": "", "server.js": "" }],
    ["a Procfile", vite, { Procfile: "web: node web.js\n" }],
    ["next", { scripts: { build: "next build", start: "next start" }, dependencies: { next: "15", vite: "7" } }, {}],
  ])("is a process with %s", async (_, pkg, files) => {
    expect((await site(pkg, files)).type).toBe("node");
  });

  test("--type static proposes the build of a server's pages too, and the folder with pages", async () => {
    const server = { ...vite, scripts: { ...vite.scripts, start: "node server.js" } };
    expect(await site(server, {}, { type: "static" })).toMatchObject({ type: "static", settings: { root: "dist" } });
    await rm(join(dir, "deploy.yml"));
    expect(await site({}, { "www/index.html": "" }, { type: "static" })).toMatchObject({ settings: { root: "www" } });
  });
});

test.each([
  ["bun", ".gitignore,bun.lock,deploy.yml,package.json,server.ts"],
  ["express", ".gitignore,deploy.yml,package-lock.json,package.json,server.js"],
  ["next", ".gitignore,app/health/route.js,app/layout.js,app/page.js,deploy.yml,package-lock.json,package.json"],
  ["worker", ".gitignore,deploy.yml,jobs.js,package.json,queue.js,web.js,worker.js"],
])("the example %s is complete, and its lock file is good for any registry", async (example, names) => {
  const { files } = await init({ dir, types, example, name: "shop" });
  expect(files.join()).toBe(names);
  for (const file of files) expect((await readFile(join(dir, file), "utf8")).length).toBeGreaterThan(0);
  const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
  expect(config).toMatchObject({ name: "shop", type: "node", healthCheck: { path: "/health" } });
  const { dependencies = {} } = JSON.parse(await readFile(join(dir, "package.json"), "utf8")) as Record<string, object>;
  for (const version of Object.values(dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  const lock = files.find((file) => file.includes("lock"));
  expect(lock === undefined).toBe(Object.keys(dependencies).length === 0);
  if (lock) expect(await readFile(join(dir, lock), "utf8")).not.toMatch(/"resolved"|registry|\.tgz/);
  expect(await refusal({ dir, types, example })).toMatchObject({ exit: "bug" });
});

test("an example with folders is written as a whole or not at all", async () => {
  await mkdir(join(dir, "app"));
  await writeFile(join(dir, "app/page.js"), "mine");
  expect((await refusal({ dir, types, example: "next" })).message).toStartWith("app/page.js already exists");
  expect(await readdir(join(dir, "app"))).toEqual(["page.js"]);
  await rm(join(dir, "app"), { recursive: true });
  await writeFile(join(dir, "app"), "a file");
  expect((await refusal({ dir, types, example: "next" })).message).toStartWith("app/health, app already exists");
  await rm(join(dir, "app"));
  // Somebody makes one of the files meanwhile: of two at once one writes all, the other nothing.
  const both = await Promise.allSettled([1, 2].map(() => init({ dir, types, example: "next", name: "shop" })));
  const loser = both.find((result) => result.status === "rejected");
  expect(loser?.reason).toBeInstanceOf(DpError);
  expect((await readdir(dir, { recursive: true })).length).toBe(9);
});

test("the example docker is complete, and names an image that there is", async () => {
  const { files } = await init({ dir, types, example: "docker", name: "shop" });
  expect(files.join()).toBe(".dockerignore,Dockerfile,deploy.yml,server.ts");
  const config = deployConfig(await readFile(join(dir, "deploy.yml"), "utf8"));
  const args = { BASE: "oven/bun:1-alpine" };
  expect(config).toMatchObject({ name: "shop", type: "docker", settings: { file: "Dockerfile", args } });
  expect(await readFile(join(dir, "Dockerfile"), "utf8")).toContain(`ARG BASE=${args.BASE}\nFROM \${BASE}\n`);
});

test("one file that is there already keeps the whole example away", async () => {
  await writeFile(join(dir, "requirements.txt"), "mine");
  const error = await refusal({ dir, types, example: "flask" });
  expect(error.exit).toBe("bug");
  expect(error.message).toBe("requirements.txt already exists; nothing was written");
  await writeFile(join(dir, "app.py"), "mine");
  expect((await refusal({ dir, types, example: "flask" })).message).toStartWith(
    "app.py, requirements.txt already exists",
  );
});

test("an unknown example and a bad name are usage errors", async () => {
  const unknown = await refusal({ dir, types, example: "flsk" });
  expect(unknown).toMatchObject({ exit: "usage", hint: 'did you mean "flask"?' });
  expect(unknown.message).toBe(
    'unknown example "flsk"; the examples are bun, django, docker, express, fastapi, flask, next, static, worker',
  );
  expect(await refusal({ dir, types, example: "../apps/flask" })).toMatchObject({ exit: "usage" });
  expect(await refusal({ dir, types, example: "flask", name: "My_Api" })).toMatchObject({ exit: "usage" });
});

test.each(["日本", "root", "123"])("the folder %s makes no name: --name is asked for", async (folder) => {
  const inner = join(dir, folder);
  await mkdir(inner);
  expect(await refusal({ dir: inner, types, example: "flask" })).toMatchObject({
    exit: "usage",
    hint: "dp init --name NAME",
  });
  expect(await readdir(inner)).toEqual([]);
});

test.each([
  ["Über-App!", "uber-app"],
  ["2-good--name-", "good-name"],
  ["a".repeat(27) + "-bcd", "a".repeat(27)],
])("the folder %s is the app %s", async (folder, name) => {
  const inner = join(dir, folder);
  await mkdir(inner);
  await init({ dir: inner, types, example: "flask" });
  expect(deployConfig(await readFile(join(inner, "deploy.yml"), "utf8")).name).toBe(name);
});
