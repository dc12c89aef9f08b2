// The option `--on`: a command about one app that is for several of its servers.
import type { Command } from "cac";
import { accessOf, textOf, type Options } from "./arguments.ts";
import type { Line } from "./argv.ts";
import { appIn } from "../access/role.ts";
import type { Showing } from "../commands/spread-screen.ts";
import { DpError } from "../errors.ts";

/** Whether the line is for several servers. */
export const isSpread = ({ options }: Line): boolean => options["on"] !== undefined;

/** Runs such a line; answers its exit code. What it changes each server notes by itself. */
export async function runSpread(line: Line): Promise<number> {
  const { command, options } = line;
  const app = appIn(accessOf(command!), line);
  if (app === undefined) throw new DpError("usage", `which app? dp ${command!.name} APP`);
  const { spread } = await import("../commands/spread.ts");
  const how = await showing(command!.name, options);
  return spread({ app, on: textOf(options, "on") ?? "", words: wordsOf(command!, line), ...how });
}

async function showing(name: string, options: Options): Promise<Showing> {
  const how = { json: options["json"] === true, isStream: name === "run", isTimed: false, count: 0 };
  if (name !== "logs") return how;
  const { countOf, grepOf } = await import("./logs.ts");
  // A server that lets root in searches for anything: what a key may not search for stops here.
  grepOf(options);
  const isDeploy = options["deploy"] !== undefined;
  return { ...how, isStream: isDeploy || options["follow"] === true, isTimed: !isDeploy, count: countOf(options) };
}

/** The line again, as words for another dp: what was typed after `--` stays behind it. */
function wordsOf(command: Command, { words, options }: Line): string[] {
  const isTimed = command.name === "logs" && options["deploy"] === undefined;
  const typed: Options = isTimed ? { ...options, json: true } : options;
  const flags = command.options.flatMap(({ name, rawName }) => {
    const value = typed[name];
    const flag = /--[\w-]+/.exec(rawName)?.[0];
    if (value === undefined || flag === undefined || OWN.includes(name)) return [];
    return [typeof value === "string" ? `${flag}=${value}` : flag];
  });
  return [command.name, ...flags, "--", ...words];
}

/** Options that say what this dp is to do. */
const OWN: readonly string[] = ["on", "only", "remote"];
