// Where `dp rollback` leads: what the quick look says is what all run files say.
import { expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../../lib/contracts/app.ts";
import { treeOf } from "../../lib/host/release-folder.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { goodReleases, runFile } from "../../lib/release/history.ts";
import { rollbackTarget, targetsOf } from "../../lib/release/rollback-target.ts";
import { sequenceOf } from "../../lib/text/ids.ts";
import { useServer } from "../support/core-server.ts";

useServer();

const id = (number: number) => `${number}-aaaaaaa`;
const IDS = [1, 2, 3].map(id);
/** What a release may be: good with files of its own, a restart of the one before it, without files, failed. */
const KINDS = ["own", "restart", "pruned", "failed"] as const;
type Kind = (typeof KINDS)[number];

function make(app: NamedApp, kinds: readonly Kind[]): void {
  const { base, releases, runs } = app.places;
  rmSync(base, { recursive: true, force: true });
  for (const folder of [releases, runs]) mkdirSync(folder, { recursive: true });
  for (const [at, kind] of kinds.entries()) {
    const own = IDS[at]!;
    if (kind === "restart" && at > 0) symlinkSync(treeOf(releases, IDS[at - 1]!), join(releases, own));
    else if (kind !== "pruned") mkdirSync(join(releases, own));
    const result = { state: kind === "failed" ? "failed" : "good", code: 0, endedAt: "2026-03-01T12:00:00Z" };
    const run = { version: 1, facts: { kind: "deploy" }, journal: {}, result };
    writeFileSync(runFile(app, own), JSON.stringify(run), { mode: 0o600 });
  }
}

/** Both targets by the rule as the documents have it, over all good releases. */
async function byRule(app: NamedApp, live: string, previous: string | null) {
  const tree = (each: string) => sequenceOf(treeOf(app.places.releases, each));
  const good = (await goodReleases(app)).map((past) => past.id);
  const pick = (isOlder: (each: string) => boolean) => {
    const older = good.filter(isOlder).sort((a, b) => tree(a) - tree(b) || sequenceOf(a) - sequenceOf(b));
    return previous !== null && older.includes(previous) ? previous : (older.at(-1) ?? null);
  };
  const back = pick((each) => tree(each) < tree(live));
  const env = pick(
    (each) => tree(each) < tree(live) || (tree(each) === tree(live) && sequenceOf(each) < sequenceOf(live)),
  );
  return { previous, rollbackTarget: back, settingsTarget: env !== null && tree(env) === tree(live) ? env : null };
}

test("from a commit that was deployed again and restarted it leads to another one, if there is one", async () => {
  const app = namedApp("again");
  const { base, releases, runs, previous } = app.places;
  const make = (ids: readonly string[]) => {
    rmSync(base, { recursive: true, force: true });
    for (const folder of [releases, runs]) mkdirSync(folder, { recursive: true });
    for (const own of ids) {
      if (own === ids.at(-1)) symlinkSync(ids.at(-2)!, join(releases, own));
      else mkdirSync(join(releases, own));
      const result = { state: "good", code: 0, endedAt: "2026-03-01T12:00:00Z" };
      writeFileSync(runFile(app, own), JSON.stringify({ version: 1, facts: { kind: "deploy" }, journal: {}, result }), {
        mode: 0o600,
      });
    }
    symlinkSync(`releases/${ids.at(-2)}`, previous);
  };
  const [a, b] = ["aaaaaaa", "bbbbbbb"];
  make([`1-${a}`, `2-${b}`, `4-${b}`, `5-${b}`]);
  expect(await rollbackTarget(app, `5-${b}`)).toBe(`1-${a}`);
  expect(await rollbackTarget(app, `5-${b}`, true)).toBe(`4-${b}`);
  expect(await targetsOf(app, `5-${b}`)).toEqual({
    previous: `4-${b}`,
    rollbackTarget: `1-${a}`,
    settingsTarget: `4-${b}`,
  });
  // A build that was done again may be what is to be taken back.
  make([`2-${b}`, `4-${b}`, `5-${b}`]);
  expect(await rollbackTarget(app, `5-${b}`)).toBe(`2-${b}`);
});

test("the targets are those of the rule, whatever the releases are and whichever was live before", async () => {
  const app = namedApp("targets");
  let found = 0;
  for (const first of KINDS)
    for (const second of KINDS)
      for (const third of KINDS) {
        make(app, [first, second, third]);
        for (const live of IDS)
          for (const previous of [null, ...IDS]) {
            rmSync(app.places.previous, { force: true });
            if (previous !== null) symlinkSync(`releases/${previous}`, app.places.previous);
            const targets = await targetsOf(app, live);
            const what = `${first} ${second} ${third}, live ${live}, previous ${previous}`;
            expect([what, targets]).toEqual([what, await byRule(app, live, previous)]);
            expect([what, await rollbackTarget(app, live)]).toEqual([what, targets.rollbackTarget]);
            if (targets.settingsTarget !== null) found++;
          }
      }
  expect(found).toBeGreaterThan(0);
  expect(await targetsOf(app, null)).toEqual({ previous: id(3), rollbackTarget: null, settingsTarget: null });
});
