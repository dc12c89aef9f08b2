// Brings the domains and certificates of a running HAProxy to what it must have, by its runtime API and without a reload.
import { DpError } from "../../errors.ts";
import { readFileSync } from "node:fs";
import { readPair } from "../../host/pem.ts";
import type { Wanted } from "./domains.ts";
import { filesOf } from "./places.ts";
import { eachWorker, tell, type Worker } from "./runtime.ts";

/** How many certificates are asked for at once: a command line has a limit. */
const AT_ONCE = 50;

/** What a worker has. */
interface Had {
  map: Map<string, string>;
  /** Files of certificates that are in its list. */
  listed: Set<string>;
}

/** Gives every worker the wanted domains. Throws DpError "host" when HAProxy refuses a certificate, or does not run. */
export async function converge(wanted: Wanted): Promise<void> {
  await eachWorker((worker) => convergeWorker(worker, wanted));
}

// In this order, so that a name is redirected to https only once its certificate is there.
async function convergeWorker(worker: Worker, { map, certificates }: Wanted): Promise<true | null> {
  const had = await hadBy(worker);
  if (had === null) return null;
  // Left over from before the first domain: its connections have none.
  if (had === "none") return true;
  const prints = await printsOf(worker, [...certificates.keys()]);
  for (const [file, name] of certificates) {
    if (prints.get(file) !== readPair(file).print) await give(worker, file, name, prints.has(file));
    if (!had.listed.has(file)) await list(worker, file, name);
  }
  await tell(worker, mapCommands(map, had.map));
  for (const file of had.listed) {
    if (certificates.has(file)) continue;
    await tell(worker, [`del ssl crt-list ${filesOf().list} ${file}`]);
    await tell(worker, [`del ssl cert ${file}`]);
  }
  return true;
}

/** Null: the worker does not answer. "none": it knows no domains. */
async function hadBy(worker: Worker): Promise<Had | "none" | null> {
  const { map, list } = filesOf();
  const answer = await tell(worker, [`show map ${map}`, `show ssl crt-list ${list}`]);
  if (answer === null || answer === "") return null;
  if (answer.includes("Unknown map identifier")) return "none";
  const names = [...answer.matchAll(/^0x[0-9a-f]+ (\S+) (\S+)$/gm)];
  const files = [...answer.matchAll(/^(\/\S+)(?: \[.*\])? \S+$/gm)];
  return {
    map: new Map(names.map(([, name, value]) => [name!, value!])),
    listed: new Set(files.map(([, file]) => file!)),
  };
}

function mapCommands(wanted: ReadonlyMap<string, string>, had: ReadonlyMap<string, string>): string[] {
  const { map } = filesOf();
  const set = [...wanted].filter(([name, value]) => had.get(name) !== value);
  const gone = [...had.keys()].filter((name) => !wanted.has(name));
  return [
    ...set.map(([name, value]) => `${had.has(name) ? "set" : "add"} map ${map} ${name} ${value}`),
    ...gone.map((name) => `del map ${map} ${name}`),
  ];
}

/** The SHA-1 of the certificates that a worker has loaded, by file; an empty text for one that is not complete. */
async function printsOf(worker: Worker, files: readonly string[]): Promise<Map<string, string>> {
  const prints = new Map<string, string>();
  for (let from = 0; from < files.length; from += AT_ONCE) {
    const some = files.slice(from, from + AT_ONCE);
    const answer =
      (await tell(
        worker,
        some.map((file) => `show ssl cert ${file}`),
      )) ?? "";
    for (const part of answer.split("Filename: ").slice(1))
      prints.set(part.slice(0, part.indexOf("\n")), /^SHA1 FingerPrint: ([0-9A-F]+)$/m.exec(part)?.[1] ?? "");
  }
  return prints;
}

async function give(worker: Worker, file: string, name: string, isKnown: boolean): Promise<void> {
  if (!isKnown) await tell(worker, [`new ssl cert ${file}`]);
  const pem = readFileSync(file, "latin1");
  const set = await tell(worker, [`set ssl cert ${file} <<\n${pem}`]);
  const done = set?.includes("Transaction") ? await tell(worker, [`commit ssl cert ${file}`]) : set;
  if (done === null || done.includes("Success")) return;
  await tell(worker, [`abort ssl cert ${file}`]);
  if (!isKnown) await tell(worker, [`del ssl cert ${file}`]);
  throw refused(name, done);
}

async function list(worker: Worker, file: string, name: string): Promise<void> {
  const answer = await tell(worker, [`add ssl crt-list ${filesOf().list} <<\n${file} ${name}\n`]);
  if (answer !== null && !answer.includes("Success")) throw refused(name, answer);
}

const refused = (name: string, answer: string) =>
  new DpError("host", `HAProxy refuses the certificate of ${name}: ${answer.trim().split("\n")[0] || "no reason"}`);

/** The names whose certificates are in use by the current workers, as their files are. */
export async function certifiedBy({ certificates }: Wanted): Promise<string[]> {
  const files = [...certificates.keys()];
  const prints = await eachWorker(async (worker) =>
    worker.isCurrent ? printsOf(worker, files) : new Map<string, string>(),
  );
  const current = [...prints].filter(([worker]) => worker.isCurrent).map(([, found]) => found);
  const isInUse = (file: string) => current.every((found) => found.get(file) === readPair(file).print);
  return [...certificates].flatMap(([file, name]) => (isInUse(file) ? [name] : []));
}
