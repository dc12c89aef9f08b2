// Power cuts in every step of a deploy, on a real server: after the boot one release serves, one that was healthy, and
// the next push ends well. Every test begins with one healthy release that is live, and leaves one.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";
import { boxUnavailable, until } from "../support/box.ts";
import { PATIENT_BUILD, plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { HOME, openShop, RUN, sha7, type Shop } from "../support/server-shop.ts";

const why = boxUnavailable();
/** dp from its sources, whose deploying process stands still at a place: see failpoint.ts. */
const STILL = [
  ...["/usr/local/lib/bun", "--no-env-file", "--config=/dev/null", "--tsconfig-override=/dev/null", "--no-install"],
  ...["--preload", "/srv/dp/test/support/failpoint.ts", "/srv/dp/bin/dp"],
].join(" ");

/** A deploy that is under way when the power goes. */
interface Cut {
  sha: string;
  /** Ends with the connection. */
  push: { exited: Promise<unknown> };
}

describe.skipIf(why !== null)(`power cuts on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Shop;

  beforeAll(async () => {
    box = await startServer("cuts");
    shop = await openShop(box);
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });
  beforeEach(() => shop.calm());

  /** Pushes a commit and waits for the step; answers the commit and the push. */
  const pushUntil = async (step: string, more = "", files: Record<string, string | null> = {}): Promise<Cut> => {
    const sha = await shop.commit({ ...plainApp("shop", more), ...files }, `cut in ${step}`);
    const push = shop.startPush();
    await shop.stepIs(step, "running", sha);
    return { sha, push };
  };
  const untilMoved = (old: string) => until("current has moved", async () => (await box.live("shop")) !== old);

  /** Cuts the power, boots, and sees that all is well already when the server says that it is up; answers what is live. */
  const cut = async ({ push }: Cut): Promise<string> => {
    try {
      await box.powerCut();
    } finally {
      await push.exited;
    }
    await box.boot();
    const live = await box.live("shop");
    expect(await box.get(shop.port, "/health")).toBe(live);
    await shop.expectOne(live);
    const shown = "systemctl show -P ActiveState -P Result -P ExecMainStatus dp-reconcile";
    expect((await box.must(shown)).split("\n").toSorted()).toEqual(["0", "inactive", "success"]);
    return live;
  };
  const pushWell = async (sha: string): Promise<string> => {
    const { text } = await shop.push();
    const live = await box.live("shop");
    await shop.expectOne(live);
    expect([sha7(live), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
    expect(await box.must("ls -A /opt/deployments/shop/queue; systemctl list-units --no-legend 'dp-build.*'")).toBe("");
    return text;
  };

  const cuts: [when: string, serves: "old" | "new", ends: "push" | "resume", begin: (old: string) => Promise<Cut>][] = [
    [
      "a power cut while it installs",
      "old",
      "push",
      () => pushUntil("install", "", { "requirements.txt": "Flask==3.1.3\ngunicorn==27.0.1\n" }),
    ],
    [
      "a power cut while it starts",
      "old",
      "resume",
      async () => {
        await box.must(`touch ${RUN}/late`);
        return pushUntil("start", "", { "requirements.txt": null });
      },
    ],
    [
      "a power cut while it waits for the new release to be healthy",
      "old",
      "push",
      async () => {
        await box.must(`touch ${RUN}/slow`);
        return pushUntil("check");
      },
    ],
    [
      "a power cut between current and the front",
      "new",
      "resume",
      async (old) => {
        await box.must(`touch ${RUN}/slow`);
        const begun = await pushUntil("check");
        // A relay that does not hear: the switch stays half done.
        await box.must(`systemctl kill --signal=STOP dp-relay && rm ${RUN}/slow`);
        await untilMoved(old);
        await shop.stepIs("swap", "running", begun.sha);
        expect(await box.must("cat /var/lib/dp/relay/routes.json")).toContain(old);
        return begun;
      },
    ],
    [
      "a power cut while it watches the new release",
      "new",
      "push",
      async () => {
        await box.must(`touch ${RUN}/hold`);
        return pushUntil("verify");
      },
    ],
    [
      "a power cut while the old release ends its requests",
      "new",
      "resume",
      async (old) => {
        await box.must(`touch ${RUN}/long`);
        // It ends with the power.
        await box.must(`curl -s http://127.0.0.1:${shop.port}/long >/dev/null 2>&1 &`);
        const begun = await pushUntil("retire");
        expect(await box.instances("shop")).toHaveLength(2);
        expect(await box.get(shop.port)).not.toBe(old);
        return begun;
      },
    ],
    [
      "a power cut in postDeploy",
      "new",
      "push",
      () => pushUntil("post-deploy", `hooks:\n  postDeploy: ${JSON.stringify(PATIENT_BUILD)}\n`),
    ],
  ];
  test.each(cuts)(
    "%s: after the boot the %s release serves, and dp %s ends it well",
    async (_when, serves, ends, begin) => {
      const old = await box.live("shop");
      const begun = await begin(old);
      const live = await cut(begun);
      expect(sha7(live)).toBe(serves === "old" ? sha7(old) : begun.sha.slice(0, 7));
      expect(await box.mustDp("status", "shop")).toContain("dp resume");
      await box.must(`touch ${HOME}/go`);
      // What is done is not done again.
      if (ends === "resume") expect(await box.mustDp("resume", "shop")).not.toContain("\nclone ");
      const text = await pushWell(begun.sha);
      if (ends === "push") expect(text).toMatch(/deploy \d+-\w+ was interrupted and is (taken back|finished) first/);
    },
  );

  /** Deploys by a process that stands still at a place, see failpoint.ts. The commit is there already, by another branch. */
  const standStill = async (place: string): Promise<Cut> => {
    const hooks = "build: echo built\nhooks: {preDeploy: echo before, postDeploy: echo after}\n";
    const sha = await shop.commit(plainApp("shop", hooks), `cut at ${place}`);
    await shop.git("push", "production", "HEAD:refs/heads/next");
    const still = `DP_TEST_HANG=${RUN}/still DP_TEST_FAILPOINT=${place} ${STILL} deploy shop next`;
    // Not as the leader of a session, which would do the work itself.
    const push = { exited: box.ssh(`cd / && ${still}; exit $?`) };
    await until(`it stands still at ${place}`, async () => (await box.ssh(`test -e ${RUN}/still`)).code === 0);
    return { sha, push };
  };

  const places = [
    ...[
      "preflight:begun",
      "read:begun",
      "clone:spawned",
      "link:begun",
      "build:spawned",
      "pre-deploy:spawned",
      "start:done",
      "swap:1",
    ].map((place) => [place, "old"] as const),
    ...["swap:done", "workers:begun", "prune:begun"].map((place) => [place, "new"] as const),
  ];
  test.each(places)(
    "at %s: after the boot the %s release serves, and the next push ends well",
    async (place, serves) => {
      const old = await box.live("shop");
      const begun = await standStill(place);
      const live = await cut(begun);
      expect(sha7(live)).toBe(serves === "old" ? sha7(old) : begun.sha.slice(0, 7));
      const how = serves === "old" ? "taken back" : "finished";
      expect(await pushWell(begun.sha)).toMatch(new RegExp(`deploy \\d+-\\w+ was interrupted and is ${how} first`));
    },
  );

  test("every step of a deploy is among them", () => {
    const named = [
      ...places.map(([place]) => place.split(":")[0]!),
      ...["install", "check", "verify", "retire", "post-deploy"],
    ];
    expect(PIPELINES.deploy.filter((step) => !named.includes(step))).toEqual([]);
  });

  test("a damaged app does not keep the others from coming up, nor a relay that is killed", async () => {
    await box.mustDp("setup", "aaa");
    await box.must("echo 'no config' > /opt/deployments/aaa/config.yml");
    await box.powerCut();
    await box.boot();
    const live = await box.live("shop");
    await shop.expectOne(live);
    await box.must("systemctl kill --signal=KILL dp-relay");
    await shop.expectOne(live);
    await box.must("rm -r /opt/deployments/aaa && systemctl reset-failed");
    await shop.commit({}, "after all");
    await shop.push();
    await shop.expectOne(await box.live("shop"));
  });
});
