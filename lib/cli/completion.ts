// Commands for shells: completion, and complete, which the scripts call.
import type { CAC } from "cac";
import { byKey, print, HIDDEN } from "./arguments.ts";
import type { Candidate, Described } from "../commands/complete.ts";
import { DpError } from "../errors.ts";
import { awaitsRemote, commandIn, withoutRemote } from "../remote/words.ts";
import { printExact } from "../text/say.ts";
import { didYouMean } from "../text/suggestion.ts";
import { ALIASES, inDpsWords } from "./alias.ts";
import { isHere, REMOTE } from "./elsewhere.ts";

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
    try {
      const found = await possible(cli, words);
      for (const [word, meaning] of found) print(meaning === undefined ? word : `${word}\t${meaning}`);
    } catch (error) {
      // No candidates: the command itself will report the error.
      if (!(error instanceof DpError)) throw error;
    }
  });
}

/** What may stand in place of the last word. `-r NAME` is left out of what is read, where it is not a command's own. */
async function possible(cli: CAC, words: readonly string[]): Promise<Candidate[]> {
  const { candidates } = await import("../commands/complete.ts");
  const before = words.slice(0, -1);
  const isOwn = isHere(cli, commandIn(before) ?? "");
  if (!isOwn && awaitsRemote(before)) return remotes(words);
  const read = isOwn ? words : [...withoutRemote(before).words, ...words.slice(-1)];
  return candidates(meant(read), described(cli), Object.keys(ALIASES));
}

/** The remotes that lead to an app, and where. */
async function remotes(words: readonly string[]): Promise<Candidate[]> {
  const { appRemotes } = await import("../remote/remotes.ts");
  const found = (await appRemotes()).filter(({ name }) => /^[\w.@+-]+$/.test(name) && name.startsWith(words.at(-1)!));
  return found.map(({ name, app, server }): Candidate => [name, `${app} on ${server.host}`]);
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
        .map((option) => ({ declared: option.rawName, description: option.description }))
        .concat(isHere(cli, name) ? [] : [{ declared: REMOTE[0], description: REMOTE[1] }]),
    }));
}
