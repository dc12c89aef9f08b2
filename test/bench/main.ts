// The bench: `bun run bench [--quick] [--deploys N] [--only NAME] [--source] [--json FILE]`. Prints a table, and writes
// JSON. What is measured is dp as install.sh leaves it; with --source, dp as it runs out of this folder.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import boot from "./boot.ts";
import deploys from "./deploys.ts";
import fronts from "./fronts.ts";
import https from "./https.ts";
import { withInstalled } from "../support/installed.ts";
import laptop from "./laptop.ts";
import memory from "./memory.ts";
import push from "./push.ts";
import { machine, rowsOf, tableLines, type Row } from "./report.ts";
import rollback from "./rollback.ts";
import type { Options, Section } from "./section.ts";
import { project } from "../support/sandbox.ts";
import status from "./status.ts";

/** Every section, in the order in which they are measured. */
export const SECTIONS: readonly Section[] = [push, rollback, deploys, fronts, https, memory, status, boot, laptop];

interface Answer {
  at: string;
  machine: Record<string, string>;
  rows: Row[];
  notes: Record<string, string[]>;
}

/** Measures sections one after the other. */
async function measureAll(sections: readonly Section[], options: Options): Promise<Answer> {
  const answer: Answer = { at: new Date().toISOString(), machine: machine(), rows: [], notes: {} };
  for (const section of sections) {
    options.say(`${section.name} …`);
    const measured = await section.measure(options);
    answer.rows.push(...rowsOf(section, measured));
    answer.notes[section.name] = measured.notes;
  }
  return answer;
}

function answerLines({ at, machine: of, rows, notes }: Answer): string[] {
  const remarks = Object.entries(notes).flatMap(([name, lines]) => lines.map((line) => `${name}: ${line}`));
  const described = Object.entries(of).map(([name, value]) => `${name} ${value}`);
  return [...tableLines(rows), "", ...remarks, "", `${at}, ${described.join(", ")}`];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      deploys: { type: "string" },
      only: { type: "string", multiple: true },
      source: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  const wanted = SECTIONS.filter(({ name }) => values.only?.includes(name) ?? true);
  const unknown = values.only?.filter((name) => !SECTIONS.some((section) => section.name === name)) ?? [];
  const count = Number(values.deploys ?? (values.quick ? 3 : 200));
  if (unknown.length > 0 || !Number.isInteger(count) || count < 1) {
    console.error(`usage: bun run bench [--quick] [--deploys N] [--only NAME] [--source] [--json FILE]`);
    console.error(`NAME is one of ${SECTIONS.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const options = { isQuick: values.quick, deploys: count, say: (line: string) => console.error(line) };
  const answer = values.source
    ? await measureAll(wanted, { ...options, dp: join(project, "bin/dp") })
    : await withInstalled((dp) => measureAll(wanted, { ...options, dp }));
  answer.machine["dp"] = values.source ? "from its sources" : "installed";
  console.log(answerLines(answer).join("\n"));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(answer, null, 2)}\n`);
  return 0;
}

if (import.meta.main) process.exitCode = await main();
