// The command about the passwords of an app's clients: auth.
import type { CAC } from "cac";
import { answer, byKey, print, warn, type Options } from "./arguments.ts";
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";

const ACTIONS = ["list", "add", "remove", "clear"] as const;

export function declareAuthCommand(cli: CAC): void {
  cli
    .command(
      "auth <app> [action] [...users]",
      "Show or change who may use an app with a password (HTTP basic auth): list, add, remove, clear",
      byKey(({ words: [, action = "list"] }) => (action === "list" ? "view" : "operate")),
    )
    .option("--json", "The users, as JSON")
    .usage(
      `auth <app>                          the users
  $ dp auth <app> add USER                the password is typed without echo, or on stdin
  $ dp auth <app> remove USER ...         clear removes all: nobody needs a password any more`,
    )
    .action(async (app: string, action: string | undefined, users: string[], options: Options) => {
      const { authLines } = await import("../commands/auth.ts");
      const [now, line] = await changed(app, action ?? "list", users);
      answer(options, now, () => (line === null ? authLines(now) : [line]));
    });
}

async function changed(app: string, action: string, typed: string[]) {
  const commands = await import("../commands/auth.ts");
  const { makeIo } = await import("../host/io.ts");
  const io = makeIo({ info: print, warn, output: (line) => warn(`| ${line}`) });
  switch (action) {
    case "list":
      return [await commands.auth(app), null] as const;
    case "add": {
      const user = commands.oneUser(app, typed);
      // An app that there is not, before the password.
      await commands.auth(app);
      return [await commands.addUser(app, user, await passwordOf(user), io), `${app} has the user ${user}`] as const;
    }
    case "remove":
      return [await commands.removeUsers(app, typed, io), `removed ${typed.join(", ")} from ${app}`] as const;
    case "clear": {
      const { users } = await commands.auth(app);
      if (users.length > 0) await commands.removeUsers(app, users, io);
      return [await commands.auth(app), `${app} needs no password`] as const;
    }
  }
  throw new DpError("usage", `unknown action ${JSON.stringify(action)}; the actions are ${ACTIONS.join(", ")}`, {
    hint: "dp auth --help",
    ...didYouMean(action, ACTIONS),
  });
}

/** Typed without echo, or all of stdin without its last line end: never an argument, which others can see. */
async function passwordOf(user: string): Promise<string> {
  if (!process.stdin.isTTY) return (await Bun.stdin.text()).replace(/\r?\n$/, "");
  const { ask } = await import("./ask.ts");
  return ask(`password of ${user} (what you type is not shown): `, true);
}
