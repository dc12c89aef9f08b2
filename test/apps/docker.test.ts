// Docker apps: the Dockerfile, the build, what it leaves, and the hooks, with a real engine.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Place } from "../../lib/contracts/app-type.ts";
import docker from "../../lib/apps/docker.ts";
import { deployConfig } from "../support/configs.ts";
import { leavesOf } from "../../lib/apps/docker/build.ts";
import { dockerfileOf } from "../../lib/apps/docker/dockerfile.ts";
import { refuseOwnImages } from "../../lib/apps/docker/references.ts";
import { containerPort } from "../../lib/docker/image.ts";
import { containerName, imageName, imageRepository } from "../../lib/docker/names.ts";
import type { DpError } from "../../lib/errors.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { STRANGER } from "../../lib/host/process/privilege.ts";
import { places } from "../../lib/paths.ts";
import type { Tree } from "../../lib/git/tree.ts";
import { baseFolder, engineUnavailable, enter, startEngine, type Engine } from "../support/engine.ts";
import type { TreeEntry } from "../../lib/git/entries.ts";

const config = (more = "") => deployConfig(`name: shop\ntype: docker\nhealthCheck: /\n${more}`);
const treeOf = (paths: readonly string[], kind: TreeEntry["kind"] = "file"): Tree => ({
  list: async () => paths.map((path) => ({ path, kind })),
  read: async () => null,
  link: async () => null,
});
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

describe("the Dockerfile", () => {
  test.each([
    ["", ["Dockerfile"], "Dockerfile"],
    ["docker: {file: docker/web.Dockerfile}\n", ["Dockerfile", "docker/web.Dockerfile"], "docker/web.Dockerfile"],
  ])("%j of %j is %s", async (more, paths, path) => {
    expect(await dockerfileOf({ tree: treeOf(paths), config: config(more) })).toBe(path);
  });

  test.each([
    ["", [], "file", /^the commit has no Dockerfile$/],
    ["docker: {file: web/Dockerfile}\n", ["Dockerfile"], "file", /^the commit has no web\/Dockerfile$/],
    ["", ["compose.yaml"], "file", /no Dockerfile; compose\.yaml is not read: dp runs one container/],
    ["", ["docker-compose.yml"], "file", /docker-compose\.yml is not read/],
    ["", ["Dockerfile"], "symlink", /^Dockerfile is a symlink; it must be a file$/],
  ] as const)("%j of %j, each a %s, is refused", async (more, paths, kind, says) => {
    const error = await errorOf(dockerfileOf({ tree: treeOf(paths, kind), config: config(more) }));
    expect(error!.message).toMatch(says);
    expect(error!.exit).toBe("config");
  });

  test("is what the type is known by", async () => {
    expect(await docker.detect(treeOf(["Dockerfile", "main.py"]))).toEqual({ command: null, because: "Dockerfile" });
    expect(await docker.detect(treeOf(["web/Dockerfile", "compose.yaml"]))).toBeNull();
  });
});

describe("an image that dp made is refused, with its line", () => {
  const refusal = (text: string, args = {}) => {
    try {
      refuseOwnImages(text, "web/Dockerfile", args);
      return null;
    } catch (error) {
      return error as DpError;
    }
  };

  test.each([
    ["FROM dp/blog:42-3f9c2ab", 1, "dp/blog:42-3f9c2ab"],
    ["from\t--platform=linux/amd64 dp/blog@sha256:00 AS a", 1, "dp/blog@sha256:00"],
    ["# base\n\nFROM docker.io/dp/blog", 3, "docker.io/dp/blog"],
    ["FROM index.docker.io/dp/blog", 1, "index.docker.io/dp/blog"],
    ["FROM localhost/dp/blog", 1, "localhost/dp/blog"],
    ["FROM containers-storage:localhost/dp/blog", 1, "containers-storage:localhost/dp/blog"],
    ["FROM 10.0.0.1:5000/dp/blog:42-3f9c2ab", 1, "10.0.0.1:5000/dp/blog:42-3f9c2ab"],
    ["FROM [fd00::1]:5000/dp/blog", 1, "[fd00::1]:5000/dp/blog"],
    ["FROM a\nCOPY --from=dp/blog /app /app", 2, "dp/blog"],
    ['FROM a\nCOPY --chown=1:1 --from="dp/blog" / /', 2, "dp/blog"],
    ["FROM a\nONBUILD COPY --from=dp/blog / /", 2, "dp/blog"],
    ["FROM a\nRUN --mount=type=bind,from=dp/blog,target=/x cat /x/a", 2, "dp/blog"],
    ["FROM a\nRUN --mount=from=dp/blog,target=/x cat /x/a", 2, "dp/blog"],
    ['FROM a\nRUN --network=none --mount=type=bind,"from=dp/blog" id', 2, "dp/blog"],
    ["FROM a\r\nCOPY \\\r\n# why\r\n\r\n  --from=dp/blog \\\r\n  / /\r\n", 2, "dp/blog"],
    ["# escape=`\nFROM `\ndp/blog", 2, "dp/blog"],
    ["# syntax=10.0.0.1:5000/dp/blog\nFROM a", 1, "10.0.0.1:5000/dp/blog"],
    ["ARG A=dp B='blog'\nFROM ${A}/$B", 2, "dp/blog"],
    ["FROM ${NONE:-dp/blog}", 1, "dp/blog"],
    ["ARG A=dp/blog\nFROM a\nARG A=b\nFROM $A", 4, "dp/blog"],
  ])("%j", (text, line, image) => {
    const error = refusal(text)!;
    expect(error.message).toStartWith(`web/Dockerfile:${line}: ${image} names an image that dp made`);
    expect(error.exit).toBe("config");
  });

  test("also where a build argument of deploy.yml names it", () => {
    expect(refusal("ARG A=a\nFROM $A", { A: "dp/blog" })!.message).toStartWith("web/Dockerfile:2: dp/blog ");
    expect(refusal("ARG A=dp/blog\nFROM $A", { A: "a" })).toBeNull();
  });

  test.each([
    "FROM debian:12 AS dp\nRUN echo 'FROM dp/blog'\nFROM scratch\nCOPY --from=dp /a /b\n",
    "# FROM dp/blog\nFROM ghcr.io/dp/tool:1\nCOPY dp/blog /\n",
    "FROM 10.0.0.1:5000/tools/dp\nRUN --mount=type=cache,target=/dp/x curl example.com/?from=dp/blog\n",
    "ARG V=22\nFROM node:${V}-slim\nLABEL from=dp/blog\n",
  ])("%j is another", (text) => {
    expect(refusal(text)).toBeNull();
  });
});

describe("the port inside", () => {
  const image = (...ports: string[]) => ({
    Config: { ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])), WorkingDir: "" },
  });

  test.each([
    ["", [], 20001],
    ["", ["8080/tcp"], 8080],
    ["", ["8080/tcp", "53/udp"], 8080],
    ["docker: {port: 3000}\n", ["8080/tcp", "9090/tcp"], 3000],
  ])("%j, of an image that exposes %j, is %d", (more, ports, port) => {
    expect(containerPort(image(...ports), config(more), 20001).port).toBe(port);
  });

  test("of an image that exposes several is asked for", () => {
    expect(() => containerPort(image("80/tcp", "443/tcp"), config(), 20001)).toThrow(
      /exposes 80\/tcp, 443\/tcp, and deploy\.yml/,
    );
  });
});

test.each([
  ["nothing", [], []],
  [
    "one stage",
    [
      "Step 1/3 : FROM a",
      " ---> 111111111111",
      "Step 2/3 : RUN x",
      " ---> Running in 222222222222",
      " ---> 333333333333",
    ],
    ["333333333333"],
  ],
  [
    "two stages, one of them cached",
    [
      ...[
        "Step 1/4 : FROM a AS b",
        " ---> 111111111111",
        "Step 2/4 : RUN x",
        " ---> Using cache",
        " ---> 222222222222",
      ],
      ...["Step 3/4 : FROM a", " ---> 111111111111", "Step 4/4 : COPY --from=b / /", " ---> 333333333333"],
    ],
    ["222222222222", "333333333333"],
  ],
  [
    "a stage of nothing",
    ["Step 1/2 : FROM a AS b", " ---> 111111111111", "Step 2/2 : FROM c", " ---> 222222222222"],
    [],
  ],
  [
    "podman",
    ["[1/2] STEP 1/2: FROM a AS b", "[1/2] STEP 2/2: RUN x", "--> 11111111111", "[2/2] STEP 1/1: FROM a"],
    ["11111111111"],
  ],
])("the images that a build leaves beside its own: %s", (_, lines, leaves) => {
  expect(leavesOf(lines)).toEqual(leaves);
});

const why = engineUnavailable();
if (why !== null) console.warn(`docker apps: skipped, ${why}`);

describe.skipIf(why !== null)("with an engine", () => {
  let folder: string;
  let engine: Engine;
  let leave: () => void;
  let said: string[];
  let count = 0;
  const io = makeIo({ ...silentLog, info: (text) => said.push(text), output: (line) => said.push(line) });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "dp-docker-"));
    chmodSync(folder, 0o755);
    engine = await startEngine();
    leave = enter(engine, folder);
    await engine.import("base:shell", baseFolder(join(folder, "base")));
  });

  afterAll(async () => {
    await engine.stop();
    leave();
    rmSync(folder, { recursive: true });
  });

  /** A release with these files, as clone leaves it. */
  function place(files: Record<string, string>, more = "", rest: Partial<Place> = {}): Place {
    said = [];
    const { app = "shop" } = rest;
    const id = `${++count}-aaaaaaa`;
    const { base, releases, instances } = places(app);
    const release = join(releases, id);
    for (const path of [release, instances]) mkdirSync(path, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(release, name)), { recursive: true });
      writeFileSync(join(release, name), text);
    }
    const of = { app, id, base, release, folder: release, config: config(more), tree: treeOf(Object.keys(files)) };
    return {
      ...of,
      user: undefined,
      reader: undefined,
      opens: [],
      env: { PORT: "20001", SECRET: "hunter2 is the word" },
      timeout: 60_000,
      ...rest,
    };
  }
  const inImage = (of: Place, ...argv: string[]) => engine.must("run", "--rm", imageName(of), ...argv);
  const tags = async (app = "shop") =>
    (await engine.must("image", "ls", "--format", "{{.Tag}}", imageRepository(app))).split("\n").filter(Boolean).sort();
  const FROM = "FROM base:shell\n";

  test("builds what the commit says: file, target, arguments, and .dockerignore", async () => {
    const text = `${FROM.trim()} AS web\nARG WHAT\nRUN echo "$WHAT" > /what\nCOPY . /app\nEXPOSE 8080\n${FROM}RUN false\n`;
    const files = { "docker/web": text, ".dockerignore": "*.md\nnotes\n", "a.md": "a", "notes/n": "n", "b.txt": "b" };
    const built = place(files, 'docker: {file: docker/web, target: web, args: {WHAT: "two  words; $(id)"}}\n');
    expect(await docker.install(built, io)).toEqual({ path: [], env: {}, dependencies: null });
    expect(await inImage(built, "cat", "/what")).toBe("two  words; $(id)");
    expect((await inImage(built, "ls", "-A", "/app")).split("\n")).toEqual([".dockerignore", "b.txt", "docker"]);
    expect(said.at(-1)).toBe(
      `image ${imageName(built)}; in its container the app listens on port 8080: EXPOSE of the image`,
    );
    expect(said.join("\n")).toContain("Successfully built");
  });

  test("knows what a build has added to the engine's disk: its own layers, not its base, nor what was there", async () => {
    // An engine tells the second only, and the base was made a moment ago.
    const base = Math.floor(Date.now() / 1000);
    while (Math.floor(Date.now() / 1000) === base) await Bun.sleep(20);
    const since = Date.now();
    const built = place({ Dockerfile: `${FROM}RUN dd if=/dev/zero of=/new bs=1024k count=4\n` });
    await docker.install(built, io);
    expect(Math.round((await docker.builtElsewhere!(built, since, io)) / 1024 ** 2)).toBe(4);
    expect(await docker.builtElsewhere!(built, Date.now() + 2_000, io)).toBe(0);
    expect(await docker.builtElsewhere!({ ...built, id: "9999-fffffff" }, since, io)).toBe(0);
  });

  test("builds with BuildKit as well, which leaves no images beside", async () => {
    const path = process.env["PATH"]!;
    // Debian's client has BuildKit in itself; others need a plugin for it.
    Object.assign(process.env, { DOCKER_BUILDKIT: "1", PATH: `/usr/bin:${path}` });
    try {
      const built = place({
        Dockerfile: `FROM base:shell AS one\nRUN echo one > /one\n${FROM}COPY --from=one /one /\n`,
      });
      await docker.install(built, io);
      expect(said.join("\n")).toContain("#1 ");
      expect(await inImage(built, "cat", "/one")).toBe("one");
      expect((await tags()).filter((tag) => tag.startsWith(built.id))).toEqual([built.id]);
      const error = await errorOf(docker.install(place({ Dockerfile: `${FROM}RUN echo so it goes; exit 3\n` }), io));
      expect([error!.exit, error!.lines.join("\n")]).toEqual(["command", expect.stringContaining("so it goes")]);
    } finally {
      delete process.env["DOCKER_BUILDKIT"];
      process.env["PATH"] = path;
    }
  });

  test("nothing of the settings is in the image", async () => {
    const built = place({ Dockerfile: `${FROM}ARG SECRET\nRUN env > /env; echo "$SECRET" > /secret\n` });
    await docker.install(built, io);
    expect(await inImage(built, "cat", "/env", "/secret")).not.toContain("hunter2");
    const history = await engine.must("image", "history", "--no-trunc", imageName(built));
    expect(history + (await engine.must("image", "inspect", imageName(built)))).not.toContain("hunter2");
  });

  test.skipIf(process.getuid!() !== 0)("root builds from a copy that the app's user cannot reach", async () => {
    const copied = place({ Dockerfile: `${FROM}COPY . /app\n`, "a.txt": "a" }, "", { user: "daemon" });
    Bun.spawnSync(["chown", "-R", "daemon", copied.release]);
    const reach: boolean[] = [];
    const owners = new Set<number>();
    const closed = join(copied.base, `.build-${copied.id}`);
    const looking = makeIo({
      ...silentLog,
      output() {
        const tried = Bun.spawnSync(["setpriv", "--reuid=daemon", "--clear-groups", "ls", join(closed, "context")]);
        if (!existsSync(closed)) return;
        reach.push(tried.exitCode === 0);
        for (const name of [".", "a.txt"]) owners.add(lstatSync(join(closed, "context", name)).uid);
      },
    });
    await docker.install(copied, looking);
    expect(new Set(reach)).toEqual(new Set([false]));
    // Nor by a folder that was opened in time, while its own process unpacked.
    expect(owners).toEqual(new Set([STRANGER]));
    expect((await inImage(copied, "ls", "/app")).split("\n")).toEqual(["Dockerfile", "a.txt"]);
    expect(readdirSync(copied.base).filter((name) => name.startsWith(".build"))).toEqual([]);
  });

  test.skipIf(process.getuid!() !== 0)("what became a link since is not read by root", async () => {
    const secret = join(folder, "secret");
    writeFileSync(secret, `${FROM}RUN touch /was-read\n`, { mode: 0o600 });
    for (const name of ["Dockerfile", ".dockerignore", "Dockerfile.dockerignore"]) {
      const linked = place({ Dockerfile: FROM }, "", { user: "daemon" });
      rmSync(join(linked.release, name), { force: true });
      symlinkSync(secret, join(linked.release, name));
      Bun.spawnSync(["chown", "-hR", "daemon", linked.release]);
      const error = await errorOf(docker.install(linked, io));
      expect([error?.exit, error?.message]).toEqual([
        "config",
        `${name} in the release is not a file, so no image can be built from it`,
      ]);
    }
  });

  test("the copy that a killed build left goes with the next prune", async () => {
    const { base, app } = place({ Dockerfile: FROM });
    mkdirSync(join(base, ".build-1-bbbbbbb/context"), { recursive: true });
    await docker.prune({ app, base, user: undefined }, [], io);
    expect(readdirSync(base)).not.toContain(".build-1-bbbbbbb");
  });

  test("a build does not get another app's image", async () => {
    const victim = place({ Dockerfile: `${FROM}RUN echo hunter3 > /source\n` }, "", { app: "victim" });
    await docker.install(victim, io);
    for (const text of [`FROM ${imageName(victim)}\n`, `${FROM}COPY --from=${imageName(victim)} /source /\n`]) {
      const thief = place({ Dockerfile: text });
      const error = await errorOf(docker.install(thief, io));
      expect([error?.exit, error?.message]).toEqual(["config", expect.stringMatching(/^Dockerfile:[12]: dp\/victim/)]);
      expect((await tags()).filter((tag) => tag.startsWith(thief.id))).toEqual([]);
    }
  });

  test("a build that fails says so with its last lines", async () => {
    const error = await errorOf(docker.install(place({ Dockerfile: `${FROM}RUN echo so it goes; exit 3\n` }), io));
    expect(error!.exit).toBe("command");
    expect(error!.message).toBe("docker build exited with code 3");
    expect(error!.lines.join("\n")).toContain("so it goes");
  });

  test("a build that takes too long is ended, in the engine as well", async () => {
    const slow = place({ Dockerfile: `${FROM}RUN sleep 1234\n` }, "", { timeout: 3_000 });
    const error = await errorOf(docker.install(slow, io));
    expect(error!.message).toBe("docker build did not end within 3 s and was stopped");
    const end = performance.now() + 30_000;
    while ((await engine.must("container", "ls", "--quiet")) !== "" && performance.now() < end) await Bun.sleep(50);
    expect(await engine.must("container", "ls", "--quiet")).toBe("");
  });

  test("an image that exposes several ports is refused until one is named", async () => {
    const files = { Dockerfile: `${FROM}EXPOSE 80 443\n` };
    expect((await errorOf(docker.install(place(files), io)))!.exit).toBe("config");
    await docker.install(place(files, "docker: {port: 443}\n"), io);
    expect(said.at(-1)).toEndWith("port 443: docker.port of deploy.yml");
    await docker.install(place({ Dockerfile: FROM }), io);
    expect(said.at(-1)).toEndWith("listens on $PORT: the image exposes no port");
  });

  test("images go with their releases, leftovers of builds too, and those of others stay", async () => {
    const stages = `FROM base:shell AS one\nRUN echo $RANDOM > /one\nFROM base:shell\nCOPY --from=one /one /one\n`;
    const [old, kept] = [place({ Dockerfile: stages }), place({ Dockerfile: stages })];
    const other = place({ Dockerfile: FROM }, "", { app: "shopbar" });
    for (const each of [old, kept, other]) await docker.install(each, io);
    const failed = place({ Dockerfile: `${FROM}RUN echo ${count} > /done\nRUN exit 3\n` });
    expect(await errorOf(docker.install(failed, io))).not.toBeNull();
    await engine.must("tag", "base:shell", "dp/shop:latest");
    expect(await tags()).toEqual(expect.arrayContaining([old.id, kept.id, `${kept.id}.1`, `${failed.id}.1`]));
    const dangling = () => engine.must("image", "ls", "--quiet", "--filter", "dangling=true");
    expect(await dangling()).toBe("");

    for (const { release } of [old, failed]) rmSync(release, { recursive: true });
    const gone = await docker.prune(kept, [], io);
    expect(gone.sort()).toEqual(
      [imageName(old), `${imageName(old)}.1`, `${imageName(failed)}.1`].filter((name) => gone.includes(name)).sort(),
    );
    expect(gone).toContain(imageName(old));
    expect(gone).toContain(`${imageName(failed)}.1`);
    expect(await tags()).toContain(kept.id);
    expect(await tags()).not.toContain(old.id);
    expect(await tags("shopbar")).toEqual([other.id]);
    await engine.must("image", "inspect", "dp/shop:latest", "base:shell");
    expect(await dangling()).toBe("");
  });

  test("a hook runs in the image, with the settings, and leaves no container", async () => {
    const built = place({
      Dockerfile: `${FROM}WORKDIR /app\nCOPY Dockerfile migrate.sh ./\n`,
      "migrate.sh": "#!/bin/sh\necho migrated\n",
    });
    await docker.install(built, io);
    await docker.runHook!('echo "$(pwd): $SECRET" && sh ./migrate.sh', built, io);
    expect(said.slice(-2)).toEqual(["/app: hunter2 is the word", "migrated"]);
    const error = await errorOf(docker.runHook!("echo no migration; exit 4", built, io));
    expect(error!.message).toBe("echo no migration; exit 4 exited with code 4");
    expect(error!.lines).toContain("no migration");
    const late = await errorOf(docker.runHook!("sleep 1234", { ...built, timeout: 2_000 }, io));
    expect(late!.message).toBe("sleep 1234 did not end within 2 s and was stopped");
    expect(await engine.must("container", "ls", "--all", "--quiet", "--filter", `name=${containerName(built)}`)).toBe(
      "",
    );
  });

  test("without an engine: nothing is built, and the words to type are said; nothing to prune is no failure", async () => {
    const never = place({ Dockerfile: FROM });
    process.env["DOCKER_HOST"] = `unix://${folder}/nowhere.sock`;
    try {
      const error = await errorOf(docker.install(never, io));
      expect([error!.exit, error!.message, error!.hint]).toEqual([
        "host",
        "the Docker daemon does not answer",
        "systemctl start docker",
      ]);
      expect(await docker.prune(never, [], io)).toEqual([]);
      const runtime = { path: [], env: {}, dependencies: null };
      expect((await errorOf(docker.prune(never, [runtime], io)))!.exit).toBe("host");
    } finally {
      Object.assign(process.env, engine.variables(process.env["PATH"]!));
    }
  });
});
