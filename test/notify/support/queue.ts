// A queue in a temp folder, with targets, and what came of its messages.
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Happening } from "../../../lib/contracts/notifier.ts";
import { allDone, lastLog, pathsIn, rowNames } from "../../../lib/notify/queue.ts";
import type { Posted } from "../../../lib/notify/post.ts";
import type { Target } from "../../../lib/notify/targets.ts";
import { plainEnv } from "../../../lib/host/run.ts";

export const SENDER = join(import.meta.dir, "sender.ts");
const REAL = join(import.meta.dir, "../../../lib/notify/sender.ts");
/** The options of dp's programs. */
export const BUN = [process.execPath, "--no-env-file", "--config=/dev/null", "--no-install"];

/** Something that happened. */
export const happened = (key: string, more: Partial<Happening> = {}): Happening => ({
  event: "failed",
  app: "shop",
  key,
  server: "ams-1",
  time: new Date().toISOString(),
  head: `✗ shop: deploy ${key} failed at check`,
  lines: ['"Retry" by colleague: exited with 1'],
  hint: `dp logs shop --deploy ${key}`,
  url: null,
  run: key,
  release: null,
  step: "check",
  subject: "Retry",
  by: "colleague",
  error: "exited with 1",
  since: null,
  ...more,
});

/** A target of kind webhook. */
export const hook = (url: string, more: Record<string, string> = {}): Target => ({
  kind: "webhook",
  settings: { webhook: url, ...more },
});

export interface Queue {
  folder: string;
  post(happening: Happening, ...to: string[]): void;
  target(targets: Record<string, Target>): void;
  /** Runs the sender to its end; by a fast clock unless `isReal`. Answers its exit code and what it said. */
  send(isReal?: boolean): Promise<{ code: number; text: string }>;
  /** How each message of a target ended: its ID -> "sent". */
  ends(target: string): string[];
  log(): ReturnType<typeof lastLog>;
  /** What is left: files in new, and rows. */
  left(): string[];
  remove(): void;
}

export function makeQueue(targets: Record<string, Target>): Queue {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-queue-")));
  const { posted, own } = pathsIn(folder);
  for (const each of [posted, own]) mkdirSync(each);
  let count = 0;
  const self: Queue = {
    folder,
    post(happening, ...to) {
      const name = `${(++count).toString().padStart(4, "0")}aaaa`;
      writeFileSync(join(posted, `${name}.json`), JSON.stringify({ happening, to } satisfies Posted));
    },
    target: (to) => writeFileSync(join(folder, "targets.json"), JSON.stringify({ to, events: {} })),
    async send(isReal = false) {
      const argv = [...BUN, isReal ? REAL : SENDER, folder];
      const child = Bun.spawn(argv, { cwd: "/", env: plainEnv(), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      return { code: await child.exited, text: out + err };
    },
    ends: (target) => [...allDone(folder).values()].filter((done) => done.target === target).map(({ end }) => end),
    log: () => lastLog(folder, 10_000),
    left: () => [...readdirSync(posted), ...rowNames(folder)],
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
  self.target(targets);
  return self;
}
