// The command about notifications: notify.
import type { CAC } from "cac";
import { answer, byKey, given, textOf, whole, type Options } from "./arguments.ts";
import { notifierNames } from "../config/kinds.ts";
import { DpError, EXIT } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";

const VERBS = ["add", "test", "remove", "set", "mute", "unmute", "log"] as const;
type Verb = (typeof VERBS)[number];
const LINES = 50;
const MOST = 1_000_000;

export function declareNotifyCommand(cli: CAC): void {
  cli
    .command(
      "notify [action] [...words]",
      "Show or change who is told when a deploy fails or an app is down",
      byKey(null),
    )
    .option("--untested", "With add: keep the target without a test")
    .option("-m, --message <reason>", "With mute: the reason, shown by dp notify")
    .option("-n, --lines <count>", `With log: how many lines; default: the last ${LINES}`)
    .option("--json", "As JSON; secrets are left out")
    .usage(
      `notify                                  targets, last message, what waits, what is muted
  $ dp notify add NAME ${notifierNames().join("|")}
                                          asks for what it needs; NAME=VALUE lines on stdin without a terminal
  $ dp notify test [NAME]                 sends a message now; exit code 6 when it does not arrive
  $ dp notify remove NAME
  $ dp notify set EVENT=NAME,...          tells an event to more than the usual targets; deployed=team
  $ dp notify mute [APP] 2h [-m REASON]   tells nothing for so long, and then what is still so
  $ dp notify unmute [APP]
  $ dp notify log [-n N]                  time, event, target, result`,
    )
    .action(async (action: string | undefined, words: string[], options: Options) => {
      if (action === undefined) return listed(options);
      if ((VERBS as readonly string[]).includes(action)) return DO[action as Verb](words, options);
      throw new DpError("usage", `unknown action ${JSON.stringify(action)}; the actions are ${VERBS.join(", ")}`, {
        hint: "dp notify --help",
        ...didYouMean(action, VERBS),
      });
    });
}

const commands = () => import("../commands/notify.ts");

const DO: Record<Verb, (words: string[], options: Options) => Promise<number | void>> = {
  add: added,
  test: tested,
  async remove(words, options) {
    const [name = ""] = exactly(words, 1, "which target? dp notify remove NAME");
    await (await commands()).removeTarget(name);
    answer(options, { removed: name }, () => [`${name} is told nothing any more`]);
  },
  async set(words, options) {
    const { parseSetting, setEvent } = await commands();
    const { event, names } = parseSetting(exactly(words, 1, "which event? dp notify set deployed=team")[0]!);
    await setEvent(event, names);
    const who = names.length === 0 ? "the usual targets" : `${names.join(", ")}, besides the usual targets`;
    answer(options, { event, names }, () => [`${event} is told to ${who}`]);
  },
  async mute(words, options) {
    const { mute, parseMute } = await commands();
    const { app, ms } = parseMute(words);
    const made = await mute(app, ms, textOf(options, "message") ?? null);
    const { clockText } = await import("../notify/text.ts");
    const until = clockText(made.until, Date.now());
    const end = `dp notify unmute${app === null ? "" : ` ${app}`}`;
    answer(options, { app, ...made }, () => [`${app ?? "everything"} is muted until ${until}: ${end} ends it`]);
  },
  async unmute(words, options) {
    const app = words.length === 0 ? null : exactly(words, 1, "dp notify unmute takes one app")[0]!;
    const was = await (await commands()).unmute(app);
    const what = app ?? "the server";
    answer(options, { app, was }, () => [was ? `${what} is no longer muted` : `${what} was not muted`]);
  },
  async log(words, options) {
    exactly(words, 0, "dp notify log takes no words");
    const { logLines, notifyLog } = await commands();
    const lines = notifyLog(whole(textOf(options, "lines"), "--lines", MOST) ?? LINES);
    answer(options, lines, () => logLines(lines));
  },
};

async function listed(options: Options): Promise<void> {
  const { notifying, notifyLines } = await commands();
  const now = await notifying();
  answer(options, now, () => notifyLines(now));
}

function exactly(words: readonly string[], count: number, question: string): readonly string[] {
  if (words.length === count) return words;
  throw new DpError("usage", question, { hint: "dp notify --help" });
}

async function added(words: string[], options: Options): Promise<void> {
  const [name = "", kind = ""] = exactly(words, 2, "dp notify add NAME KIND");
  const { addTarget, triedText } = await commands();
  const tried = await addTarget(name, kind, await valuesOf(kind), options["untested"] === true);
  answer(options, { name, kind, ...given("test", tried?.attempt) }, () => [
    ...(tried === null ? [] : [triedText(tried)]),
    `dp tells ${name} when a deploy fails or an app is down, and when it is well again; successful deploys: dp notify set deployed=${name}`,
  ]);
}

async function tested(words: string[], options: Options): Promise<number> {
  const { testTargets, triedText } = await commands();
  const name = words.length === 0 ? undefined : exactly(words, 1, "dp notify test takes one target")[0];
  const all = await testTargets(name);
  answer(
    options,
    all.map(({ name, kind, attempt, took }) => ({ name, kind, took, ...attempt })),
    () => all.map(triedText),
  );
  return all.every(({ attempt }) => attempt.end === "sent") ? EXIT.ok : EXIT.command;
}

/** The values of a new target: asked for at a terminal, otherwise lines on stdin. */
async function valuesOf(kind: string): Promise<Record<string, string>> {
  const { notifier } = await import("../registry.ts");
  const { asks, secrets } = await notifier(kind);
  if (!process.stdin.isTTY) return valuesIn(await Bun.stdin.text(), kind);
  const { ask } = await import("./ask.ts");
  const values: Record<string, string> = {};
  for (const [key, { question, isOptional }] of Object.entries(asks)) {
    const words = isOptional === true && !/empty/.test(question) ? `${question} (may be empty)` : question;
    const value = (await ask(`${words}: `, secrets.includes(key))).trim();
    if (value !== "") values[key] = value;
  }
  return values;
}

/** The values in lines of NAME=VALUE: the keys of notify.yml in any case; url and to mean the key of the kind. */
function valuesIn(text: string, kind: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const line of text
    .split("\n")
    .map((each) => each.trim())
    .filter(Boolean)) {
    const at = line.indexOf("=");
    // The line itself may be a secret.
    if (at <= 0)
      throw new DpError("usage", "stdin must be lines of NAME=VALUE", {
        hint: `echo URL=… | dp notify add NAME ${kind}`,
      });
    const name = line.slice(0, at).trim().toLowerCase();
    values[["url", "to"].includes(name) ? kind : name] = line.slice(at + 1).trim();
  }
  if (Object.keys(values).length === 0)
    throw new DpError("usage", `stdin is empty, so it is not known where ${kind} leads`, {
      hint: `echo URL=… | dp notify add NAME ${kind}, or in a terminal, where dp asks`,
    });
  return values;
}
