// An app in containers, over real pushes and a real engine: every way in which a deploy ends.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  answering,
  expectDestroyed,
  expectPruned,
  expectRefused,
  foreign,
  type Refusal,
  REFUSALS,
  SHORT,
  startForeign,
} from "../support/container-cases.ts";
import { dockerSandbox, dockerYml, example, settings, type DockerBox } from "../support/docker-run.ts";
import { engineUnavailable } from "../support/engine.ts";
import { ended } from "../support/load-run.ts";
import { claimPort } from "../support/port.ts";
import { deployYml, pidsWith, SERVER as PYTHON, until } from "../support/sandbox.ts";

const why = engineUnavailable();
if (why !== null) console.warn(`docker e2e: skipped, ${why}`);

let box: DockerBox;
let others: string;
const SERVER = example("server.ts");

const release = () => answering(box);
const allImages = async () => (await box.engine.must("image", "ls", "--all", "--quiet")).split("\n").sort();

beforeAll(async () => {
  if (why !== null) return;
  box = await dockerSandbox();
  await startForeign(box);
  others = await foreign(box);
}, 120_000);
afterAll(async () => {
  if (why === null) await box?.stop();
}, 120_000);

describe.skipIf(why !== null)("an app in containers", () => {
  test("the first push builds an image and starts a container of it", async () => {
    settings(box, `SECRET='"a" $b'\nMULTI="one\ntwo"\n`);
    const pushed = await box.push();
    expect(ended(pushed, 0)).toBe("0");
    expect(pushed.text).toContain("in its container the app listens on port 8080: EXPOSE of the image");
    expect(await release()).toBe(box.link("current")!);
    const env = await box.engine.must(
      "container",
      "inspect",
      "--format",
      "{{json .Config.Env}}",
      ...(await containers()),
    );
    expect(JSON.parse(env)).toEqual(
      expect.arrayContaining(['SECRET="a" $b', "MULTI=one\ntwo", "PORT=8080", "DP_HOST=0.0.0.0", "DP_APP=shop"]),
    );
  });

  test("the second takes its place", async () => {
    const first = box.link("current");
    const second = await box.release({ say: "two" });
    expect(await release()).toBe(second);
    expect(box.link("previous")).toBe(first);
    expect(await box.running()).toEqual([second]);
    const shown = await box.dp("status", "shop");
    expect(shown.text).toMatch(/shop +http:\S+ +docker, branch main\n[\s\S]*process +running as pid \d+/);
  });

  test("dp promote gives the other app the image that was proved, and builds anew when that is gone", async () => {
    const claim = await claimPort();
    const images = async () =>
      (await box.engine.must("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")).split("\n");
    const idOf = (image: string) => box.engine.must("image", "inspect", "--format", "{{.Id}}", image);
    const proved = async (say: string) => {
      await box.commit({ say });
      const pushed = await box.push(box.repo.replace("shop.git", "shop-staging.git"), "main");
      expect(ended(pushed, 0)).toBe("0");
      const last = (await box.dp("releases", "shop-staging", "--json")).stdout;
      const { id } = (JSON.parse(last) as { id: string }[])[0]!;
      return (await images()).find((name) => name.startsWith("dp/shop-staging") && name.endsWith(`:${id}`))!;
    };
    const promoted = async () => {
      const outcome = await box.dp("promote", "shop-staging", "shop");
      expect(ended(outcome, 0)).toBe("0");
      const live = box.link("current")!;
      expect([await release(), await box.running()]).toEqual([live, [live]]);
      return { text: outcome.text, image: (await images()).find((name) => name.endsWith(`:${live}`))! };
    };
    try {
      const options = ["--for", "shop", "--port", String(claim.port), "--front", "relay"];
      expect(ended(await box.dp("setup", "shop-staging", ...options), 0)).toBe("0");
      appendFileSync(join(box.root, "opt/deployments/shop-staging/config.yml"), "verifyTime: 0s\n");
      const one = await proved("staged");
      const { text, image } = await promoted();
      expect(text).toContain(`image ${image}, the same as ${one}`);
      expect(await idOf(image)).toBe(await idOf(one));
      const two = await proved("staged again");
      await box.engine.must("image", "rm", "--force", two);
      expect((await promoted()).text).toContain(`was: the image ${two} is gone`);
    } finally {
      await box.dp("destroy", "shop-staging", "--yes", "--purge");
      // The one that lost its name under its container.
      await box.engine.must("image", "prune", "--force");
      claim.release();
    }
    // The other app, its images and its files are gone, and this one has what it got.
    expect((await images()).filter((name) => name.startsWith("dp/shop-staging"))).toEqual([]);
    expect(await release()).toBe(box.link("current")!);
    // Four images are built, one after the other.
  }, 300_000);

  test.each([
    ...REFUSALS,
    [
      "a command that is not there",
      { "deploy.yml": dockerYml("shop", "command: ./nothing\n") },
      /FAILED at check: .*exited with code 127/,
    ],
    [
      "an app that listens on its own loopback",
      { "deploy.yml": SHORT, "server.ts": SERVER.replace("0.0.0.0", "127.0.0.1") },
      /in its container the app listens on 127\.0\.0\.1:8080; it must listen on 0\.0\.0\.0:8080/,
    ],
    [
      "a HEALTHCHECK of the image that fails",
      {
        Dockerfile: `${example("Dockerfile")}HEALTHCHECK --interval=100ms --retries=1 CMD echo ill; exit 1\n`,
        "server.ts": SERVER.replace('"/health": () =>', '"/health": () => !Bun.sleepSync(1e3) && ').replace(
          'Response.json({ status: "ok" })',
          'new Response("", { status: 503 })',
        ),
      },
      /FAILED at check: .*HEALTHCHECK reports unhealthy[\s\S]*\| +ill/,
    ],
    [
      "a hook that fails",
      { "deploy.yml": dockerYml("shop", "hooks: {preDeploy: 'echo no migration for $DP_RELEASE; exit 5'}\n") },
      /no migration for \d+-[\s\S]*FAILED at pre-deploy: .* exited with code 5/,
    ],
    [
      "no Dockerfile",
      { Dockerfile: null, "compose.yaml": "services: {}\n" },
      /FAILED at install: the commit has no Dockerfile; compose\.yaml is not read/,
    ],
    [
      "build: in deploy.yml",
      { "deploy.yml": dockerYml("shop", "build: make\n") },
      /deploy\.yml:5:1 build: type docker is built by its Dockerfile/,
    ],
  ] as Refusal[])("%s is refused, and the old release answers", (_, files, says) => expectRefused(box, files, says));

  test("hooks run in the new image, command is what its container runs", async () => {
    const more =
      "command: exec bun server.ts --by-command\nhooks: {preDeploy: 'test -e server.ts && echo ready for $DP_RELEASE', postDeploy: ./none.sh}\n";
    await box.commit({ "deploy.yml": dockerYml("shop", more), "none.sh": "#!/bin/sh\n" });
    const pushed = await box.push();
    expect(ended(pushed, 0)).toBe("0");
    expect(pushed.text).toContain(`ready for ${box.link("current")}`);
    // The image has no such file: only server.ts is copied into it.
    expect(pushed.text).toMatch(/postDeploy failed, but the release is live: \.\/none\.sh exited with code 127/);
    const [name] = await containers();
    expect(await box.engine.must("container", "top", name!, "-o", "pid,args")).toContain("bun server.ts --by-command");
  });

  test("a hook that outlives its killed deploy is ended before the next one runs", async () => {
    const hook = (line: string) => ({ "deploy.yml": dockerYml("shop", `hooks: {preDeploy: '${line}'}\n`) });
    await box.commit(hook("exec sleep 10000"));
    const pushing = box.start(["git", "-C", box.code, "push", "production", "main"]);
    const hooks = async () => (await containers()).filter((name) => name.includes("-hook"));
    await until("the hook runs", async () => (await hooks()).length === 1);
    const [before] = await hooks();
    const deploying = pidsWith(`\0hook\0update\0${box.repo}`);
    expect(deploying.length).toBe(1);
    for (const pid of deploying) process.kill(pid, "SIGKILL");
    await pushing.done;
    expect(await hooks()).toEqual([before!]);
    await box.commit(hook("echo ready"));
    const pushed = await box.push();
    expect(ended(pushed, 0)).toBe("0");
    expect(pushed.text).toContain("taken back first");
    expect(await hooks()).toEqual([]);
  });

  test("rollback starts the kept image, and builds nothing", async () => {
    const [live, previous] = [box.link("current"), box.link("previous")!];
    const images = await allImages();
    const back = await box.dp("rollback", "shop");
    expect(ended(back, 0)).toBe("0");
    expect(box.link("current")).toBe(previous);
    expect(await release()).toBe(previous);
    expect(await box.running()).toEqual([previous]);
    expect(await allImages()).toEqual(images);
    expect(ended(await box.dp("rollback", "shop", live!), 0)).toBe("0");
  });

  test("a changed setting starts the same image again, as a release of its own", async () => {
    const before = box.link("current")!;
    const images = await box.engine.must("image", "ls", "--quiet", "--no-trunc", "dp/*");
    const { text } = await box.dp("env", "shop", "set", "GREETING=hello there");
    expect(text).toContain("live: shop");
    const restarted = box.link("current")!;
    expect([await release(), await box.running()]).toEqual([restarted, [restarted]]);
    expect(restarted).not.toBe(before);
    const [name] = await containers();
    expect(await box.engine.must("container", "inspect", "--format", "{{json .Config.Env}}", name!)).toContain(
      '"GREETING=hello there"',
    );
    expect(new Set((await box.engine.must("image", "ls", "--quiet", "--no-trunc", "dp/*")).split("\n"))).toEqual(
      new Set(images.split("\n")),
    );
    expect(ended(await box.dp("rollback", "shop", before), 0)).toBe("0");
  });

  test("a one-off command runs in the live image, with its settings, and its exit code is passed on", async () => {
    const live = box.link("current")!;
    const before = await containers();
    const asked = await box.dp("run", "shop", "--", "sh", "-c", 'echo "$DP_RELEASE $DP_PROCESS $SECRET"; exit 7');
    expect([asked.code, asked.stdout]).toEqual([7, `${live} run "a" $b\n`]);
    const line = await box.dp("run", "shop", "cat /etc/hostname | wc -l");
    expect([line.code, line.stdout.trim()]).toEqual([0, "1"]);
    expect(await containers()).toEqual(before);
    expect(await box.running()).toEqual([live]);
  });

  test("images go with their releases, and no others", () => expectPruned(box));

  test("the log is the container's, followed over a restart of the app", async () => {
    await box.release({ "server.ts": `console.log("serving", process.pid);\n${SERVER}` });
    const shown = await box.dp("logs", "shop", "-n", "1");
    expect(shown.stdout).toMatch(/^\d{4}-\S+ web\[\S+\]: serving \d+\n$/);
    const follow = [process.execPath, join(import.meta.dir, "../../bin/dp"), "logs", "shop", "-f", "-n", "1"];
    const following = Bun.spawn(follow, { env: box.env, stdio: ["ignore", "pipe", "ignore"] });
    let text = "";
    const reading = (async () => {
      for await (const chunk of following.stdout) text += Buffer.from(chunk).toString();
    })();
    const seen = (times: number) => () => text.match(/serving/g)?.length === times;
    try {
      await until("the line before", seen(1));
      const { pid } = JSON.parse((await box.dp("status", "shop", "--json")).stdout).process as { pid: number };
      process.kill(pid, "SIGKILL");
      await until("the line after the restart", seen(2));
      await until("it answers", () => release().catch(() => false));
    } finally {
      following.kill("SIGINT");
      await reading;
    }
  });

  test("what is shared is seen by the app and its hooks, and stays", async () => {
    const more =
      "shared: {dirs: [data/uploads], files: [.key]}\nhooks: {preDeploy: 'echo $DP_RELEASE >> data/uploads/hooks'}\n";
    const server = SERVER.replace(
      '"/health"',
      '"/note": async () => new Response(await Bun.file("data/uploads/hooks").text() + (await Bun.file(".key").text())),\n    "/health"',
    );
    const files = { "deploy.yml": dockerYml("shop", more), "server.ts": server, ".key": "the key" };
    // Also when the links of the release are copied into the image.
    const first = await box.release({
      ...files,
      Dockerfile: example("Dockerfile").replace("COPY server.ts ./", "COPY . ./"),
    });
    const second = await box.release({ say: "shared" });
    expect(await box.answer("/note")).toBe(`${first}\n${second}\nthe key`);
    expect(readFileSync(join(box.base, "shared/data/uploads/hooks"), "utf8")).toBe(`${first}\n${second}\n`);
    await box.release({
      "deploy.yml": dockerYml("shop"),
      "server.ts": SERVER,
      ".key": null,
      Dockerfile: example("Dockerfile"),
    });
  });

  test("without an engine a deploy is exit 8 and changes nothing; when the engine is back, so is the app", async () => {
    const live = box.link("current")!;
    await box.commit({ say: "four" });
    await box.engine.halt("stop");
    const pushed = await box.push();
    expect(pushed.text).toMatch(/the Docker daemon does not answer[\s\S]*→ systemctl start docker/);
    expect(ended(pushed, 1)).toBe("1");
    expect(box.run().result).toMatchObject({ state: "failed", code: 8 });
    expect(box.link("current")).toBe(live);
    const shown = await box.dp("status", "shop");
    expect(ended(shown, 8)).toBe("8");
    await box.engine.start();
    await until("the live release is back", () =>
      release().then(
        (id) => id === live,
        () => false,
      ),
    );
    expect(await box.running()).toEqual([live]);
    expect(ended(await box.push(), 0)).toBe("0");
  });

  test("after a power cut the live one comes up, and dp reconcile finds all as it should be", async () => {
    await box.engine.halt("cut");
    await box.engine.start();
    await until("the live release is back", () =>
      release().then(
        (id) => id === box.link("current"),
        () => false,
      ),
    );
    const reconciled = await box.dp("reconcile", "shop");
    expect(ended(reconciled, 0)).toBe("0");
    expect(await box.running()).toEqual([box.link("current")!]);
  });

  test("an app that becomes python leaves its container behind, and comes back to it", async () => {
    const live = box.link("current")!;
    await box.commit({ "deploy.yml": deployYml("shop"), "server.py": PYTHON, say: "snake" });
    expect(ended(await box.push(), 0)).toBe("0");
    expect(await box.answer()).toStartWith("snake");
    expect(await box.running()).toEqual([]);
    expect(ended(await box.dp("rollback", "shop"), 0)).toBe("0");
    expect(await release()).toBe(live);
    expect(Object.keys(box.instances())).toEqual([]);
  });

  test("without its engine an app is not destroyed; with it, nothing of it is left there", async () => {
    await box.engine.halt("stop");
    const refused = await box.dp("destroy", "shop", "--yes");
    expect(ended(refused, 8)).toBe("8");
    expect(refused.text).toMatch(
      /docker has processes of shop and cannot be reached.*: the Docker daemon does not answer/,
    );
    expect(existsSync(box.repo)).toBe(true);
    await box.engine.start();
    await expectDestroyed(box);
  });

  test("what is not dp's was never touched", async () => {
    await box.engine.must("container", "start", "shop-1-aaaaaaa");
    expect((await foreign(box)).split(" ")[0]).toBe(others.split(" ")[0]!);
  });
});

/** The names of dp's containers that run. */
async function containers(): Promise<string[]> {
  const names = await box.engine.must("container", "ls", "--filter", "label=dp.app=shop", "--format", "{{.Names}}");
  return names.split("\n").filter(Boolean);
}
