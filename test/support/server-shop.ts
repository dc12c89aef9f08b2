// The app of the tests of faults, live on a test server, and pushes of it that somebody steps in on.
import { expect } from "bun:test";
import { freePort, until } from "./box.ts";
import { plainApp } from "./server-apps.ts";
import type { Run, Server } from "./server-box.ts";
import { type Laptop, openLaptop } from "./server-laptop.ts";

/** The home of the app's user. */
export const HOME = "/opt/deployments/shop/home";
/** What steers the app until the power is cut. */
export const RUN = "/run/test";
/** Lets every start of the app wait while there is a file. */
const LATE = `[Service]\nExecStartPre=/bin/sh -c 'while [ -e ${RUN}/late ]; do sleep 0.05; done'\n`;

export const sha7 = (id: string) => id.split("-")[1]!;

/** The laptop that shop is pushed from, and what tests ask of both sides. */
export interface Shop extends Laptop {
  /** The public port. */
  port: number;
  /** Takes away what steered the app. */
  calm(): Promise<string>;
  /** Exactly one release serves, it is the one that current names, comes up at boot, and nothing else runs. */
  expectOne(id: string): Promise<void>;
  /** Starts a push that nobody waits for; its group is its own, and SIGINT reaches it as it does in a terminal. */
  startPush(): Bun.Subprocess;
  /** Waits until a step of the deploy of that commit is in a state. */
  stepIs(name: string, state: string, sha: string): Promise<Run>;
  untilEnded(sha: string): Promise<Run>;
}

/** Sets shop up, with two releases. */
export async function openShop(box: Server): Promise<Shop> {
  const laptop = await openLaptop(box, "shop");
  const port = await freePort();
  await box.mustDp("setup", "shop", "--port", `${port}`);
  await box.hurry("shop");
  await box.write("/etc/systemd/system/shop@.service.d/late.conf", LATE);
  await box.must("mkdir -p /var/log/journal && systemctl daemon-reload");
  for (const message of ["first", "second"]) {
    await laptop.commit(plainApp("shop"), message);
    await laptop.push();
  }
  const runOf = (what: string, sha: string, probe: (run: Run) => boolean) =>
    box.untilRun("shop", what, (run) => run.facts.sha === sha && probe(run));
  return {
    ...laptop,
    port,
    calm: () => box.must(`rm -rf ${HOME}/go ${HOME}/die ${RUN} && mkdir ${RUN}`),
    async expectOne(id) {
      const asked = `curl -sSf --retry 60 --retry-delay 1 --retry-connrefused -o /dev/null http://127.0.0.1:${port}`;
      await box.must(`${asked}/health`);
      expect(await box.get(port)).toBe(id);
      expect([await box.live("shop"), await box.instances("shop")]).toEqual([id, [id]]);
      expect(await box.must("ls /etc/systemd/system/multi-user.target.wants | grep shop@")).toBe(`shop@${id}.service`);
      await until("nothing else of the app runs", async () => {
        const own = await box.must(`pgrep -u dp-shop | sort; echo; systemctl show -P MainPID shop@${id}`);
        const [pids = "", main] = own.split("\n\n");
        return pids === main;
      });
    },
    startPush: () =>
      Bun.spawn(["env", "--default-signal=INT", ...laptop.pushArgv()], {
        cwd: laptop.dir,
        env: laptop.env,
        detached: true,
        stdio: ["ignore", "ignore", "ignore"],
      }),
    stepIs: (name, state, sha) => runOf(`${name} is ${state}`, sha, ({ journal }) => journal[name]?.state === state),
    untilEnded: (sha) => runOf(`the deploy of ${sha} ends`, sha, ({ result }) => result !== undefined),
  };
}
