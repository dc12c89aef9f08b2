// A repository with many files: a push of one changed line, against git alone in the same run, in turns.
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Sandbox } from "../support/sandbox.ts";
import { filesOf, withApp } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { push, type Timing } from "./timing.ts";

const ms = { unit: "ms" };

const rows = {
  "push of one line": ms,
  "step clone": ms,
  "git alone: push, checkout, sync": ms,
  "git alone: checkout, sync": ms,
  "clone against git's checkout": { unit: "", below: 1.1 },
  "push: processor time, without the app": ms,
  "git alone: processor time": ms,
  "disk for one more release": { unit: "MB" },
};

type Name = keyof typeof rows;

const APP = "bench";
/** 20 kB each: half of it is text, half cannot be compressed. */
const HALF = 10_000;

function fill(code: string, files: number): void {
  for (let number = 0; number < files; number++) {
    const folder = join(code, "tree", `${Math.floor(number / 2_500)}`, `${Math.floor(number / 50) % 50}`);
    if (number % 50 === 0) mkdirSync(folder, { recursive: true });
    const text = `line ${number}\n`.repeat(HALF / 10);
    writeFileSync(join(folder, `${number}.txt`), Buffer.concat([randomBytes(HALF), Buffer.from(text)]));
  }
}

interface Plain {
  total: number;
  checkout: number;
  cpu: number;
}

/** What git takes for the same without dp: into a repository and a folder of its own. */
function gitAlone(box: Sandbox, repo: string): Plain {
  const folder = join(box.root, "plain");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  let cpu = 0;
  const run = (...argv: string[]) => {
    const begun = performance.now();
    const env = { ...box.env, GIT_INDEX_FILE: join(box.root, "plain.index") };
    const { exitCode, stderr, resourceUsage } = Bun.spawnSync(argv, { cwd: box.code, env, stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${stderr.toString()}`);
    cpu += Number(resourceUsage.cpuTime.total) / 1000;
    return performance.now() - begun;
  };
  rmSync(join(box.root, "plain.index"), { force: true });
  const pushed = run("git", "push", "--quiet", repo, "main");
  const git = ["git", "--git-dir", repo, "--work-tree", folder];
  const checkout =
    run(...git, "read-tree", "main") + run(...git, "checkout-index", "-a", "-q") + run("sync", "-f", folder);
  return { total: pushed + checkout, checkout, cpu };
}

function used(box: Sandbox): number {
  Bun.spawnSync(["sync", "-f", box.root]);
  const { blocks, bfree, bsize } = statfsSync(box.root);
  return ((blocks - bfree) * bsize) / 1e6;
}

async function measure(options: Options): Promise<Measured<Name>> {
  const { isQuick, say } = options;
  const files = isQuick ? 200 : 20_000;
  return withApp(options, APP, ["verifyTime: 0s"], async (box) => {
    // Otherwise git packs the many new objects in the background, from under the clone below.
    Bun.spawnSync(["git", "config", "gc.auto", "0"], { cwd: box.code, env: box.env });
    fill(box.code, files);
    await box.commit(filesOf(APP, "first"));
    await push(box, "first");
    const repo = join(box.root, "plain.git");
    const { exitCode, stderr } = Bun.spawnSync(["git", "clone", "--quiet", "--bare", box.code, repo], { env: box.env });
    if (exitCode !== 0) throw new Error(`git clone: ${stderr.toString()}`);
    const [pushes, plain, disk]: [Timing[], Plain[], number[]] = [[], [], []];
    for (let time = 0; time < (isQuick ? 1 : 3); time++) {
      await box.commit({ say: `turn ${time}` });
      plain.push(gitAlone(box, repo));
      const before = used(box);
      pushes.push(await push(box, `turn ${time}`));
      disk.push(used(box) - before);
    }
    say(`tree: clone ${pushes.map(({ steps }) => Math.round(steps["clone"] ?? 0)).join(", ")} ms`);
    const clones = pushes.map(({ steps }) => steps["clone"] ?? Number.NaN);
    const values = {
      "push of one line": median(pushes.map(({ total }) => total)),
      "step clone": median(clones),
      "git alone: push, checkout, sync": median(plain.map(({ total }) => total)),
      "git alone: checkout, sync": median(plain.map(({ checkout }) => checkout)),
      "clone against git's checkout": median(clones.map((clone, turn) => clone / plain[turn]!.checkout)),
      "push: processor time, without the app": median(pushes.map(({ cpu }) => cpu)),
      "git alone: processor time": median(plain.map(({ cpu }) => cpu)),
      "disk for one more release": Math.max(0, median(disk)),
    };
    return {
      values,
      notes: [
        `${files} files of 20 kB; disk: of the whole file system; without a user of its own an app shares blocks, never names`,
      ],
    };
  });
}

export default section({ name: "tree", rows, measure });
