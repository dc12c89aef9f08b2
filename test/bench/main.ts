// The bench: `bun run bench`, with the options of USAGE. Prints a table, and writes JSON. What is measured is dp as
// install.sh leaves it; with --source, dp as it runs out of this folder. With --peers, what others make of the same.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import boot from "./boot.ts";
import cores from "./cores.ts";
import deploys from "./deploys.ts";
import fronts from "./fronts.ts";
import https from "./https.ts";
import idle from "./idle.ts";
import { withInstalled } from "../support/installed.ts";
import laptop from "./laptop.ts";
import managers from "./managers.ts";
import memory from "./memory.ts";
import peers from "./peers.ts";
import proxies from "./proxies.ts";
import push from "./push.ts";
import { machine, markdownLines, rowsOf, tableLines, type Row } from "./report.ts";
import rollback from "./rollback.ts";
import type { Measured, Options, Section } from "./section.ts";
import { project } from "../support/sandbox.ts";
import status from "./status.ts";
import tree from "./tree.ts";

/** Every section, in the order in which they are measured. */
export const SECTIONS: readonly Section[] = [
  push,
  managers,
  rollback,
  deploys,
  fronts,
  https,
  memory,
  status,
  tree,
  boot,
  laptop,
];

/** The sections of --peers, which install others' programs: on a booted server, or with apt-get. */
export const PEERS: readonly Section[] = [peers, proxies, idle, cores];

const USAGE = `usage: bun run bench [--quick] [--deploys N] [--only NAME] [--source] [--json FILE] [--markdown]
       bun run bench --peers [--cores N] [--kamal-proxy FILE] [--piku REPOSITORY], and the options above`;

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
    const measured = await attempt(section, options);
    answer.rows.push(...rowsOf(section, measured));
    answer.notes[section.name] = measured.notes;
  }
  return answer;
}

/**
 * What a section measures. Its failure is told, and the next section is measured: nobody waits for minutes in vain.
 * Others' programs may fail in their own ways; where dp itself does, the exit code tells.
 */
async function attempt(section: Section, options: Options): Promise<Measured> {
  try {
    return await section.measure(options);
  } catch (error) {
    if (!PEERS.includes(section)) process.exitCode = 1;
    const note = `not measured: ${(error as Error).message}`;
    options.say(`${section.name}: ${note}`);
    return { values: {}, notes: [note] };
  }
}

function answerLines({ at, machine: of, rows, notes }: Answer, lines: typeof tableLines): string[] {
  const remarks = Object.entries(notes).flatMap(([name, lines]) => lines.map((line) => `${name}: ${line}`));
  const described = Object.entries(of).map(([name, value]) => `${name} ${value}`);
  return [...lines(rows), "", ...remarks, "", `${at}, ${described.join(", ")}`];
}

/** What was typed; throws on an option that there is not. */
const typed = () =>
  parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      deploys: { type: "string" },
      only: { type: "string", multiple: true },
      source: { type: "boolean", default: false },
      json: { type: "string" },
      markdown: { type: "boolean", default: false },
      peers: { type: "boolean", default: false },
      cores: { type: "string", default: "2" },
      "kamal-proxy": { type: "string" },
      piku: { type: "string", default: "https://github.com/piku/piku.git" },
    },
  }).values;

async function main(): Promise<void> {
  const values = typed();
  const all = values.peers ? PEERS : SECTIONS;
  const wanted = all.filter(({ name }) => values.only?.includes(name) ?? true);
  const unknown = values.only?.filter((name) => !all.some((section) => section.name === name)) ?? [];
  const count = Number(values.deploys ?? (values.quick ? 3 : 200));
  const cores = Number(values.cores);
  const isWhole = (number: number, least: number) => Number.isInteger(number) && number >= least;
  if (unknown.length > 0 || !isWhole(count, 1) || !isWhole(cores, 2)) {
    console.error(USAGE);
    console.error(`NAME is one of ${all.map(({ name }) => name).join(", ")}; N of --cores is at least 2`);
    process.exitCode = 2;
    return;
  }
  const options = {
    ...{ isQuick: values.quick, deploys: count, cores, piku: values.piku, kamalProxy: values["kamal-proxy"] },
    say: (line: string) => console.error(line),
  };
  const answer = values.source
    ? await measureAll(wanted, { ...options, dp: join(project, "bin/dp") })
    : await withInstalled((dp) => measureAll(wanted, { ...options, dp }));
  answer.machine["dp"] = values.source ? "from its sources" : "installed";
  console.log(answerLines(answer, values.markdown ? markdownLines : tableLines).join("\n"));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(answer, null, 2)}\n`);
}

if (import.meta.main) await main();
