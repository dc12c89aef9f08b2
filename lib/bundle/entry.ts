// Where the program begins that an installation makes of dp and Bun: the command line, git's side of a push or fetch, or with
// `program PATH ARGUMENT...` one of dp's other programs by the path of its source.

interface Program {
  main(...args: string[]): unknown;
}

const PROGRAMS: Readonly<Record<string, () => Promise<Program>>> = {
  "lib/apps/static/process.ts": () => import("../apps/static/process.ts"),
  "lib/commands/some-apps.ts": () => import("../commands/some-apps.ts"),
  "lib/cron/scheduler.ts": () => import("../cron/scheduler.ts"),
  "lib/domains/scheduler.ts": () => import("../domains/scheduler.ts"),
  "lib/fronts/relay/process.ts": () => import("../fronts/relay/process.ts"),
  "lib/host/supervisor/supervisor.ts": () => import("../host/supervisor/supervisor.ts"),
  "lib/notify/sender.ts": () => import("../notify/sender.ts"),
  "lib/watch/clock.ts": () => import("../watch/clock.ts"),
};

const [, , ...words] = process.argv;
const [first, path = "", ...args] = words;
const load = first === "program" ? PROGRAMS[path] : undefined;
// As git's commands write it: anything else is the command line's to judge.
const isServing = first === "serve-git" && words.length === 3 && words.every((word) => /^\w/.test(word));
if (load !== undefined) (await load()).main(...args);
else if (isServing) await (await import("../access/serve.ts")).main(path, args[0]!);
else await (await import("../cli.ts")).main(words);
