// A step in any language: it gets the path of the run file, and prints its facts as one JSON object.
import { closeSync, openSync, readFileSync, unlinkSync } from "node:fs";
import * as v from "valibot";
import { durationText } from "../config/duration.ts";
import { factOf, type Run } from "./run-file.ts";
import { DpError, EXIT } from "../errors.ts";
import { fact } from "./facts.ts";
import type { Io } from "../host/io.ts";
import { tail } from "../host/process/output.ts";
import { selfEnv } from "../host/self.ts";
import type { StepFile } from "./step-files.ts";

/** Runs the program; answers the facts that it printed. Throws DpError "command" when it fails or prints something else. */
export async function runProgram(file: StepFile, runFile: string, run: Run, io: Io): Promise<Record<string, unknown>> {
  // A file instead of a pipe: a daemon left behind by the step would keep a pipe open for ever.
  const path = `${runFile}.out.${process.pid}`;
  const stdout = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  try {
    const { stepTimeout: timeout } = factOf(run, "server", fact.server);
    const result = await io.run([file.path, runFile], { env: selfEnv(), stdout, timeout, check: false });
    if (result.code !== EXIT.ok || result.timedOut) {
      const how = result.timedOut ? `did not end within ${durationText(timeout)}` : `exited with code ${result.code}`;
      throw new DpError("command", `step ${file.name} (${file.path}) ${how}`, { lines: tail(result.text, 25) });
    }
    return parseFacts(file, readFileSync(`/proc/self/fd/${stdout}`, "utf8"));
  } finally {
    closeSync(stdout);
  }
}

function parseFacts(file: StepFile, text: string): Record<string, unknown> {
  if (text.trim() === "") return {};
  let facts: unknown;
  try {
    facts = JSON.parse(text);
  } catch (cause) {
    throw new DpError("command", `step ${file.name} did not print exactly one JSON object`, {
      lines: text.trimEnd().split("\n").slice(0, 5),
      hint: "facts go to stdout, messages go to stderr",
      cause,
    });
  }
  if (typeof facts !== "object" || facts === null || Array.isArray(facts)) {
    throw new DpError("command", `step ${file.name} printed ${JSON.stringify(facts)}, not a JSON object of facts`);
  }
  for (const [name, value] of Object.entries(facts)) check(file, name, value);
  return facts as Record<string, unknown>;
}

function check(file: StepFile, name: string, value: unknown): void {
  if (!/^[a-z][A-Za-z0-9]*$/.test(name))
    throw new DpError("command", `step ${file.name}: ${JSON.stringify(name)} cannot be the name of a fact`);
  const schema = Object.hasOwn(fact, name) ? (fact as Record<string, v.GenericSchema>)[name] : undefined;
  if (schema && !v.is(schema, value))
    throw new DpError("command", `step ${file.name}: fact "${name}" cannot be ${JSON.stringify(value)}`);
}
