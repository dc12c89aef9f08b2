// An app in containers of podman, over real pushes: how a deploy ends, the way back, and what a boot makes of it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  answering,
  expectDestroyed,
  expectPruned,
  expectRefused,
  expectServing,
  foreign,
  REFUSALS,
  startForeign,
} from "../support/container-cases.ts";
import { dockerSandbox, dockerYml, settings, type DockerBox } from "../support/docker-run.ts";
import { ended } from "../support/load-run.ts";
import { podmanUnavailable, startPodman } from "../support/podman.ts";
import { until } from "../support/sandbox.ts";

// Each command of podman is a process that reads all of its state.
setDefaultTimeout(60_000);

const why = podmanUnavailable();
const SECRET = 'never to be "shown"';

describe.skipIf(why !== null)(`an app under podman${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: DockerBox;
  let others: string;
  beforeAll(async () => {
    box = await dockerSandbox("relay", startPodman);
    await startForeign(box);
    others = await foreign(box);
    settings(box, `SECRET='${SECRET}'\nMULTI="one\ntwo"\n`);
  }, 120_000);
  afterAll(() => box?.stop(), 120_000);

  const expectWell = async (id: string) => {
    await expectServing(box, id);
    expect(ended(await box.dp("status", "shop"))).toBe("0");
  };

  test("a first push and a second: an image and a container each, and one of them serves", async () => {
    const pushed = await box.push();
    expect(ended(pushed)).toBe("0");
    expect(pushed.text).toContain("in its container the app listens on port 8080: EXPOSE of the image");
    expect(pushed.text).not.toContain("Emulate Docker");
    const first = box.link("current")!;
    await expectWell(first);
    await box.commit({
      "deploy.yml": dockerYml("shop", "hooks: {preDeploy: 'echo ready for $DP_RELEASE; echo $SECRET'}\n"),
    });
    const second = await box.push();
    expect(ended(second)).toBe("0");
    expect(second.text).toContain(`ready for ${box.link("current")}`);
    expect(second.text).not.toContain(SECRET);
    await expectWell(box.link("current")!);
    expect(box.link("previous")).toBe(first);
  });

  test.each(REFUSALS)("%s is refused, and the old release answers", (_, files, says) =>
    expectRefused(box, files, says),
  );

  test("rollback starts the kept image, and a one-off command runs in it with the app's settings", async () => {
    const previous = box.link("previous")!;
    expect(ended(await box.dp("rollback", "shop"))).toBe("0");
    await expectWell(previous);
    const asked = await box.dp("run", "shop", "--", "sh", "-c", 'echo "$DP_RELEASE $MULTI"; exit 7');
    expect([asked.code, asked.stdout]).toEqual([7, `${previous} one\ntwo\n`]);
  });

  test("images go with their releases, and what is not dp's runs on", async () => {
    await expectPruned(box);
    expect(await foreign(box)).toBe(others);
  });

  test("after a power cut nothing runs; dp reconcile, as a boot calls it, starts the live release and no other", async () => {
    const live = box.link("current")!;
    await box.engine.halt("cut");
    await box.engine.start();
    expect(await box.running()).toEqual([]);
    expect(ended(await box.dp("reconcile", "shop"))).toBe("0");
    await until("the live release is back", () =>
      answering(box).then(
        (id) => id === live,
        () => false,
      ),
    );
    await expectWell(live);
    expect((await box.dp("reconcile", "shop")).stdout).toContain("nothing to do");
  });

  test("no log and no run file has a value of the settings", () => {
    const kept = [join(box.base, "runs"), join(box.root, "var/log/deployments")];
    expect(kept.flatMap((folder) => readdirSync(folder)).length).toBeGreaterThan(4);
    const found = Bun.spawnSync(["grep", "-rlF", "--exclude=*.env", "--", SECRET, ...kept]);
    expect(found.stdout.toString()).toBe("");
  });

  test("destroy takes containers and images away, and nothing else", async () => {
    await box.engine.must("container", "start", "shop-1-aaaaaaa");
    const before = await foreign(box);
    await expectDestroyed(box);
    expect([await foreign(box), before.split(" ")[0]]).toEqual([before, others.split(" ")[0]]);
  });
});
