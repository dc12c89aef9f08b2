// A scheduled job that fails: told once, and again only after it was good; run by hand it is told to nobody.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { receiver, type Receiver } from "../notify/support/receivers.ts";
import { FAR } from "../support/far-schedule.ts";
import { deployYml, sandbox, until, type Sandbox } from "../support/sandbox.ts";

const LIMIT = 120_000;
const CRON = `cron:\n  - {schedule: "${FAR}", command: "exit $(cat ../../shared/code)", name: bad}\n`;

let box: Sandbox;
let team: Receiver;
beforeAll(async () => {
  team = receiver();
  box = await sandbox();
  await box.release({ "deploy.yml": deployYml("shop", CRON) });
  const argv = [box.program, "notify", "add", "team", "webhook"];
  const child = Bun.spawn(argv, { env: box.env, stdin: Buffer.from(`url=${team.url}\n`), stdout: "ignore" });
  expect(await child.exited).toBe(0);
}, LIMIT);
afterAll(async () => {
  team?.stop();
  await box?.stop();
});

const told = () => team.got.filter(({ body }) => (JSON.parse(body) as { event: string }).event === "cron");

/** How much is in a folder of the queue. */
function left(folder: string): number {
  const path = join(box.root, "var/lib/dp/notify", folder);
  return existsSync(path) ? readdirSync(path).length : 0;
}

/** Runs the job with this exit code, as its timer does. */
async function fires(code: number, ...more: string[]): Promise<void> {
  await Bun.write(join(box.base, "shared/code"), String(code));
  expect((await box.dp("cron", "run", "shop", "bad", ...more)).code).toBe(code === 0 ? 0 : 6);
  await until("the end of the sender", () => left("new") + left("own/rows") === 0);
}

test(
  "is told once in a row",
  async () => {
    await fires(3);
    expect(told().length).toBe(0);
    for (const code of [0, 3, 4, 0, 0, 5]) await fires(code, "--scheduled");
    expect(told().map(({ body }) => (JSON.parse(body) as { text: string }).text)).toEqual([
      expect.stringMatching(/^● cron bad of shop failed on \S+: exited with code 3: dp logs shop cron.bad$/),
      expect.stringMatching(/^● cron bad of shop failed on \S+: exited with code 5: dp logs shop cron.bad$/),
    ]);
  },
  LIMIT,
);

test(
  "by hand it silences no scheduled failure, and repeats none",
  async () => {
    const before = told().length;
    const since = () => told().length - before;
    await fires(0, "--scheduled");
    for (const code of [3, 3]) await fires(code);
    expect(since()).toBe(0);
    await fires(3, "--scheduled");
    expect(since()).toBe(1);
    await fires(3);
    await fires(3, "--scheduled");
    expect(since()).toBe(1);
    await fires(0);
    await fires(3);
    await fires(3, "--scheduled");
    expect(since()).toBe(2);
  },
  LIMIT,
);
