// What dp stop has stopped, and what does not run: a push that fails leaves it so, and says what serves.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { relayOf } from "../support/load-damage.ts";
import { deployYml, pidsWith, sandbox, until, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
const worker = (command: string) => deployYml("shop", `processes:\n  worker: ${command}\n`);
const running = () => Object.keys(box.instances()).sort();
const live = () => box.link("current")!;
const must = async (...argv: string[]) => {
  const { code, text, stdout } = await box.dp(...argv);
  expect(`${code}${code === 0 ? "" : `\n${text}`}`).toBe("0");
  return stdout;
};
/** A push that fails; what it says. The working copy is as before then. */
async function failing(files: Record<string, string>): Promise<string> {
  await box.commit(files);
  const { code, text } = await box.push();
  expect(`${code} ${text}`).toStartWith("1 ");
  await box.git("reset", "--hard", "--quiet", "HEAD~1");
  return text;
}

beforeAll(async () => {
  box = await sandbox();
  await box.release({ "deploy.yml": worker("exec sleep 1000") });
});
afterAll(() => box?.stop());

const FAILURES: [step: string, files: Record<string, string>][] = [
  ["build", { "deploy.yml": deployYml("shop", "build: exit 3\n") }],
  ["check", { mode: "crash" }],
  ["workers", { "deploy.yml": worker("exit 3") }],
];

test.each(["blue-green", "restart"])(
  "by strategy %s, what was stopped by hand stays so when a push fails",
  async (strategy) => {
    const config = join(box.base, "config.yml");
    writeFileSync(config, readFileSync(config, "utf8").replace(/^strategy: .*\n/m, ""));
    appendFileSync(config, `strategy: ${strategy}\n`);
    await must("start", "shop");
    await must("stop", "shop", "worker");
    expect(await must("status", "shop")).toContain("\n  worker.1   stopped: by dp stop\n");
    expect(JSON.parse(await must("status", "shop", "--json"))).toMatchObject({ isHealthy: true, strays: [] });
    for (const [step, files] of FAILURES) {
      const text = await failing(files);
      expect(text).toContain(`FAILED at ${step}`);
      expect(text).toMatch(new RegExp(`serving: ${live()}, (as before|started again, and healthy)`));
      expect([step, running()]).toEqual([step, [live()]]);
      expect(await box.answer()).toEndWith(live());
    }
    await must("stop", "shop");
    for (const [step, files] of FAILURES) {
      const text = await failing(files);
      expect(text).toContain(`FAILED at ${step}`);
      expect(text).toContain(`serving: nothing, as before; ${live()} was stopped by dp stop: dp start shop`);
      expect([step, running()]).toEqual([step, []]);
      expect(await must("reconcile", "shop")).toContain("nothing to do");
      expect(JSON.parse(await must("status", "shop", "--json"))).toMatchObject({
        front: { target: null, isHeld: false },
      });
    }
  },
);

test("what is stopped already is said to be, and what runs already", async () => {
  await must("stop", "shop");
  expect(await must("start", "shop")).toBe("started shop web.1\nstarted shop worker.1\n");
  expect(await must("start", "shop")).toBe("shop web.1 runs already\nshop worker.1 runs already\n");
  await relayOf(box).point("shop", null);
  expect(await must("start", "shop", "web")).toBe("started shop web.1\n");
  expect(await box.answer()).toContain(live());
  expect(await must("stop", "shop", "worker")).toBe("stopped shop worker.1\n");
  expect(await must("start", "shop")).toBe("shop web.1 runs already\nstarted shop worker.1\n");
  expect(await must("stop", "shop", "worker")).toBe("stopped shop worker.1\n");
  expect(await must("stop", "shop")).toBe("stopped shop web.1\nshop worker.1 was stopped already\n");
  expect(await must("stop", "shop")).toBe("shop web.1 was stopped already\nshop worker.1 was stopped already\n");
  expect(JSON.parse(await must("stop", "shop", "--json"))).toEqual({ app: "shop", done: ["web.1", "worker.1"] });
  expect(running()).toEqual([]);
});

test("the next deploy starts all of it, and no request was lost on what did not serve", async () => {
  await must("stop", "shop");
  writeFileSync(
    join(box.base, "config.yml"),
    `${readFileSync(join(box.base, "config.yml"), "utf8").replace(/^strategy: .*\n/m, "")}maxFailed: 0\n`,
  );
  await box.release({ say: "all again" });
  expect(running()).toEqual([live(), `${live()}.worker.1`]);
  expect(box.log(live())).toMatch(/^live: .* failed 0, /m);
  expect(await box.answer()).toBe(`all again ${live()}`);
});

test("a live release that does not run is not said to serve", async () => {
  const supervisors = () => pidsWith(join(box.base, "instances", `${live()}.json`));
  for (const pid of [...supervisors(), ...box.instances()[live()]!]) process.kill(pid, "SIGKILL");
  await until("its end", () => supervisors().length === 0 && !running().includes(live()));
  // Refused before anything is started: what fails later has started it again on its way back.
  const text = await failing({ "deploy.yml": "name: shop\n" });
  expect(text).toContain(`serving: nothing; ${live()} is live and is not running: dp doctor shop`);
  await must("reconcile", "shop");
  expect(await failing({ "deploy.yml": "name: shop\n" })).toContain(`serving: ${live()}, as before`);
});
