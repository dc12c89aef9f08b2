// Commands for shells: completion, and complete, which the scripts call.
import type { CAC } from "cac";
import { byKey, print, HIDDEN } from "./arguments.ts";
import type { Described } from "../commands/complete.ts";
import { DpError } from "../errors.ts";
import { printExact } from "../text/say.ts";
import { didYouMean } from "../text/suggestion.ts";
import { ALIASES, inDpsWords } from "./alias.ts";

/** Shell -> the name of its script. */
const SCRIPTS = { bash: "dp.bash", zsh: "_dp", fish: "dp.fish" } as const;

export function declareCompletionCommands(cli: CAC): void {
  cli
    .command("completion <shell>", "Print the completion script of a shell: bash, zsh, fish", byKey(null))
    .action(async (shell: string) => {
      const names = Object.keys(SCRIPTS);
      if (!names.includes(shell)) {
        const hint = didYouMean(shell, names);
        throw new DpError(
          "usage",
          `unknown shell ${JSON.stringify(shell)}; completion exists for ${names.join(", ")}`,
          hint,
        );
      }
      const { template } = await import("../host/template.ts");
      printExact((await template(`completion/${SCRIPTS[shell as keyof typeof SCRIPTS]}`)).trimEnd());
    });

  cli.command("complete [...words]", HIDDEN, byKey(null)).action(async (words: string[]) => {
    const { candidates } = await import("../commands/complete.ts");
    try {
      const found = await candidates(meant(words), described(cli), Object.keys(ALIASES));
      for (const [word, meaning] of found) print(meaning === undefined ? word : `${word}\t${meaning}`);
    } catch (error) {
      // No candidates: the command itself will report the error.
      if (!(error instanceof DpError)) throw error;
    }
  });
}

// The words before the half-typed one, with aliases replaced.
const meant = (words: readonly string[]) => {
  const before = words.slice(0, -1);
  return [...(before[0] === "help" ? before : inDpsWords(before)), ...words.slice(-1)];
};

function described(cli: CAC): Described[] {
  return cli.commands
    .filter(({ description }) => description !== HIDDEN)
    .map(({ name, description, args, options }) => ({
      name,
      description,
      words: args.map(({ value, variadic }) => ({ name: value, isVariadic: variadic })),
      options: options
        .filter(({ description }) => description !== HIDDEN)
        .map((option) => ({ declared: option.rawName, description: option.description })),
    }));
}
