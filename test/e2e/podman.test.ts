// An app in containers of podman, over real pushes: how a deploy ends, the way back, and what a boot makes of it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { dockerSandbox, dockerYml, example, settings, type DockerBox } from "../support/docker-run.ts";
import { podmanUnavailable, startPodman } from "../support/podman.ts";
import { until, type Outcome } from "../support/sandbox.ts";

// Each command of podman is a process that reads all of its state.
setDefaultTimeout(60_000);

const why = podmanUnavailable();
const SECRET = 'never to be "shown"';

describe.skipIf(why !== null)(`an app under podman${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: DockerBox;
  beforeAll(async () => {
    box = await dockerSandbox("relay", startPodman);
    settings(box, `SECRET='${SECRET}'\nMULTI="one\ntwo"\n`);
  }, 120_000);
  afterAll(() => box?.stop(), 120_000);

  const ended = (outcome: Outcome, code = 0) => (outcome.code === code ? String(code) : outcome.text);
  const answering = async () => (JSON.parse(await box.answer()) as { release: string }).release;
  const expectServing = async (id: string) => {
    expect([box.link("current"), await answering(), await box.running()]).toEqual([id, id, [id]]);
    expect(ended(await box.dp("status", "shop"))).toBe("0");
  };

  test("a first push and a second: an image and a container each, and one of them serves", async () => {
    const pushed = await box.push();
    expect(ended(pushed)).toBe("0");
    expect(pushed.text).toContain("in its container the app listens on port 8080: EXPOSE of the image");
    expect(pushed.text).not.toContain("Emulate Docker");
    const first = box.link("current")!;
    await expectServing(first);
    await box.commit({
      "deploy.yml": dockerYml("shop", "hooks: {preDeploy: 'echo ready for $DP_RELEASE; echo $SECRET'}\n"),
    });
    const second = await box.push();
    expect(ended(second)).toBe("0");
    expect(second.text).toContain(`ready for ${box.link("current")}`);
    expect(second.text).not.toContain(SECRET);
    await expectServing(box.link("current")!);
    expect(box.link("previous")).toBe(first);
  });

  test.each([
    [
      "a build that fails",
      { Dockerfile: `${example("Dockerfile")}RUN echo no luck; exit 3\n` },
      /no luck[\s\S]*FAILED at install: docker build exited with 3/,
    ],
    [
      "a crash at boot",
      { "server.ts": 'console.log("boom"); process.exit(4);' },
      /not running: exited with 4[^]*\| boom/,
    ],
  ] as [string, Record<string, string>, RegExp][])(
    "%s is refused, and the old release answers",
    async (_, files, says) => {
      const live = box.link("current")!;
      await box.commit(files);
      const pushed = await box.push();
      expect(ended(pushed, 1)).toBe("1");
      expect(pushed.text).toMatch(says);
      expect(pushed.text).not.toMatch(/way back failed|Emulate Docker/);
      await expectServing(live);
      await box.git("reset", "--quiet", "--hard", "HEAD~1");
    },
  );

  test("rollback starts the kept image, and a one-off command runs in it with the app's settings", async () => {
    const previous = box.link("previous")!;
    expect(ended(await box.dp("rollback", "shop"))).toBe("0");
    await expectServing(previous);
    const asked = await box.dp("run", "shop", "--", "sh", "-c", 'echo "$DP_RELEASE $MULTI"; exit 7');
    expect([asked.code, asked.stdout]).toEqual([7, `${previous} one\ntwo\n`]);
  });

  test("after a power cut nothing runs; dp reconcile, as a boot calls it, starts the live release and no other", async () => {
    const live = box.link("current")!;
    await box.engine.halt("cut");
    await box.engine.start();
    expect(await box.running()).toEqual([]);
    expect(ended(await box.dp("reconcile", "shop"))).toBe("0");
    await until("the live release is back", () =>
      answering().then(
        (id) => id === live,
        () => false,
      ),
    );
    await expectServing(live);
    expect((await box.dp("reconcile", "shop")).stdout).toContain("nothing to do");
  });

  test("no log and no run file has a value of the settings", () => {
    const kept = [join(box.base, "runs"), join(box.root, "var/log/deployments")];
    expect(kept.flatMap((folder) => readdirSync(folder)).length).toBeGreaterThan(4);
    const found = Bun.spawnSync(["grep", "-rlF", "--exclude=*.env", "--", SECRET, ...kept]);
    expect(found.stdout.toString()).toBe("");
  });

  test("destroy takes containers and images away, and nothing else", async () => {
    expect(ended(await box.dp("destroy", "shop", "--yes"))).toBe("0");
    expect(await box.engine.must("container", "ls", "--all", "--quiet")).toBe("");
    expect(await box.engine.must("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")).toBe("localhost/base:bun");
  });
});
