// For modules that are loaded before dp: how dp's next process gets them, too. An installed dp starts a program of its own,
// into which nothing can be loaded.

/** The argv of `dp work ...` by this Bun, with a module that is loaded first. */
export const workerWith = (module: string, argv: readonly string[]): string[] => [
  process.execPath,
  "--no-env-file",
  "--config=/dev/null",
  "--tsconfig-override=/dev/null",
  "--no-install",
  "--preload",
  module,
  process.argv[1]!,
  ...argv.slice(argv.indexOf("work")),
];
