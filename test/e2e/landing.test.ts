// Git moves the branch after the deploy: what it will not take is refused before, or goes back.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AuditLine } from "../../lib/host/audit.ts";
import { freePort } from "../support/port.ts";
import { sandbox, until, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
  await box.release({ say: "one" });
});
afterAll(() => box?.stop());

const tip = async (ref = "main") =>
  (await box.git("--git-dir", box.repo, "rev-parse", "--verify", "--quiet", ref)).stdout.trim();
const push = (...words: string[]) => box.git("push", ...words.slice(0, -1), "production", ...words.at(-1)!.split(" "));
const must = async (...words: string[]) => {
  const { code, text } = await box.git(...words);
  expect(`${words.join(" ")}: ${code} ${text}`).toStartWith(`${words.join(" ")}: 0 `);
};

/** Pushes, and sees that it is refused with these words before any run begins. */
async function expectRefused(words: RegExp, ...pushed: string[]): Promise<void> {
  const before = [await tip(), box.link("current"), box.ids().length];
  const { code, text } = await push(...pushed);
  expect([code, text]).toEqual([1, expect.stringMatching(words)]);
  expect([await tip(), box.link("current"), box.ids().length]).toEqual(before);
}

test("a tag object on the deploy branch is refused with what to push, and its commit is deployed", async () => {
  await box.commit({ say: "two" });
  await must("tag", "--annotate", "--message", "Version 2", "v2");
  await expectRefused(/non-commit object[\s\S]*git push production 'TAG\^\{commit\}:main'/, "v2:main");
  expect((await push("v2^{commit}:main")).code).toBe(0);
  expect(await box.answer()).toStartWith("two");
});

test("a branch and tags in one push are taken, and the branch is deployed", async () => {
  await box.commit({ say: "three" });
  await must("tag", "--annotate", "--message", "Version 3", "v3");
  expect((await push("--atomic", "main v3 main:side")).code).toBe(0);
  expect(await box.answer()).toStartWith("three");
  expect(await tip("side")).toBe(await tip());
});

test("an atomic push with a ref that git cannot make is refused before anything starts", async () => {
  await box.commit({ say: "never" });
  await expectRefused(
    /'refs\/heads\/side' exists; cannot create 'refs\/heads\/side\/x'/,
    "--atomic",
    "main main:side/x",
  );
  expect(await box.answer()).toStartWith("three");
});

test("a branch that cannot be written is refused before anything starts", async () => {
  const lock = join(box.repo, "refs/heads/main.lock");
  writeFileSync(lock, "");
  await expectRefused(/nothing was deployed: .*main\.lock/, "main");
  rmSync(lock);
});

const audit = async () => JSON.parse((await box.dp("audit", "shop", "--json")).stdout) as AuditLine[];

test("what is live goes back when git refuses the push after its deploy", async () => {
  await must("--git-dir", box.repo, "config", "receive.denyNonFastForwards", "true");
  await must("push", "production", "HEAD~1:refs/heads/zz");
  await must("checkout", "--quiet", "--orphan", "other");
  await must("commit", "--quiet", "--message", "Another history");
  await must("checkout", "--quiet", "main");
  await box.commit({ say: "four" });
  const [before, branch] = [box.link("current"), await tip()];
  const { code, text } = await push("--atomic", "--force", "main other:zz");
  expect([code, text]).toEqual([1, expect.stringContaining("non-fast-forward")]);
  expect(text).toContain("live: shop");
  await until("the release before", () => box.link("current") === before);
  expect(await until("its answer", async () => (await box.answer()).startsWith("three"))).toBe(true);
  expect(await tip()).toBe(branch);
  await until("the audit log", async () => (await audit()).some(({ what }) => what === "git did not move the branch"));
});

test("the same commit is deployed when it is pushed alone, and goes forward after a rollback by dp deploy", async () => {
  expect((await push("main")).code).toBe(0);
  expect(await box.answer()).toStartWith("four");
  const back = await box.dp("rollback", "shop");
  expect([back.code, back.text]).toEqual([0, expect.stringMatching(/main is still at [0-9a-f]{7}, which is not live/)]);
  const doctor = await box.dp("doctor", "shop");
  expect([doctor.code, doctor.text]).toEqual([0, expect.stringMatching(/main is at [0-9a-f]{7}, and \S+ is live/)]);
  expect((await box.dp("deploy", "shop")).code).toBe(0);
  expect(await box.answer()).toStartWith("four");
  expect((await box.dp("doctor", "shop")).text).not.toContain("main is at");
});

test("a push from a shallow clone is deployed, over older commits and into an empty repository", async () => {
  await box.commit({ say: "five" });
  await box.commit({ say: "six" });
  const clone = join(box.root, "../shallow");
  await must("clone", "--quiet", "--depth", "1", `file://${box.code}`, clone);
  const from = (...words: string[]) => box.git("-C", clone, ...words);
  await must("--git-dir", box.repo, "config", "receive.denyNonFastForwards", "false");
  const { code, text } = await from("push", "--force", box.repo, "HEAD:main");
  expect(`${code} ${text}`).toStartWith("0 ");
  expect(await box.answer()).toStartWith("six");
  await box.commit({ say: "seven" });
  expect((await push("main")).code).toBe(0);
  expect(await box.answer()).toStartWith("seven");
});

test("the same commit runs as an app of another name that is set up for it, and as no other", async () => {
  const port = String(await freePort());
  const setup = await box.dp("setup", "shop-staging", "--for", "shop", "--manager", "builtin", "--port", port);
  expect(`${setup.code} ${setup.text}`).toStartWith("0 ");
  const repo = box.repo.replace("shop.git", "shop-staging.git");
  const { code, text } = await box.git("push", repo, "main");
  expect(`${code} ${text}`).toStartWith("0 ");
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toStartWith("seven");
  const status = JSON.parse((await box.dp("status", "shop-staging", "--json")).stdout) as { live: string };
  expect(status.live).toEndWith((await tip()).slice(0, 7));
  const other = await box.dp("setup", "other", "--manager", "builtin", "--port", String(await freePort()));
  expect(other.code).toBe(0);
  const refused = await box.git("push", box.repo.replace("shop.git", "other.git"), "main");
  expect([refused.code, refused.text]).toEqual([1, expect.stringContaining("dp setup APP --for shop")]);
});
