// `dp promote FROM TO`: what is live on one app goes live on another, here, on another server, or from one to another.
import { closeSync } from "node:fs";
import { offered, readOffer, readReady, type Offer, type PromotionOrder } from "../deploy/promotion.ts";
import { DpError, EXIT, type ExitName } from "../errors.ts";
import { lastText, textWithin } from "../host/bounded.ts";
import { pipe } from "../host/process/libc.ts";
import { SELF, selfEnv } from "../host/self.ts";
import { loginEnv } from "../host/who.ts";
import { isCut, lineOf, sshTo, type Ssh } from "../remote/ssh.ts";
import { print, printJson } from "../text/say.ts";
import { shown } from "../text/text.ts";
import { placesOf, type Spot } from "./promote-places.ts";

export interface PromoteOptions {
  /** Build the commit anew, with the settings of the other app. */
  isBuilt: boolean;
  /** Move the deploy branch also where that is no fast-forward. */
  isForced: boolean;
  skipHooks: boolean;
  json: boolean;
  wait?: number;
  /** The servers of the other app that are left out on purpose. */
  without?: string[];
}

/** Promotes; answers the exit code. Throws DpError. */
export async function promote(fromWord: string, toWord: string, options: PromoteOptions): Promise<number> {
  const [from, to] = await placesOf(fromWord, toWord);
  if (from.server !== null && to.server !== null && from.address === to.address)
    return (await sshTo(from.server)).attach(lineOf(["dp", "promote", from.app, to.app, ...wordsOf(options)]));
  const [source, target] = [await endOf(from), await endOf(to)];
  const offer = readOffer(await ask(source, ["offer"]));
  const origin = from.address === to.address ? null : from.name;
  const { live, why } = readReady(await ask(target, ["ready"], JSON.stringify(offer)));
  if (live !== null) return alreadyLive(to, live, offered(offer, origin), options);
  await join(source, ["commit"], target, ["take-commit", offer.sha], true);
  const reason = options.isBuilt ? "as --build says" : why;
  const files = reason === null ? await join(source, ["files", offer.id], target, ["take-files", offer.sha]) : null;
  return begin(target, orderOf(offer, origin, files, reason, options));
}

function alreadyLive({ app }: Spot, id: string, from: string, { json }: PromoteOptions): number {
  if (json) printJson({ app, id, live: id, state: "good", code: EXIT.ok }, 2);
  else print(`${app} ${id} is live with the commit of ${from} already; nothing to promote`);
  return EXIT.ok;
}

const orderOf = (
  offer: Offer,
  server: string | null,
  files: string | null,
  why: string | null,
  { isForced, skipHooks, json, wait, without }: PromoteOptions,
): PromotionOrder => ({
  offer,
  server,
  files,
  why,
  isForced,
  skipHooks,
  json,
  ...(wait === undefined ? {} : { wait }),
  ...(without === undefined ? {} : { without }),
});

const wordsOf = ({ isBuilt, isForced, skipHooks, json, wait, without }: PromoteOptions): string[] => [
  ...(isBuilt ? ["--build"] : []),
  ...(isForced ? ["--force"] : []),
  ...(skipHooks ? ["--skip-hooks"] : []),
  ...(json ? ["--json"] : []),
  ...(wait === undefined ? [] : ["--wait", String(wait / 1000)]),
  ...(without === undefined ? [] : ["--without", without.join(",")]),
];

/** One of the two apps, and how dp is started where it is. */
interface End {
  spot: Spot;
  /** Null: here. */
  ssh: Ssh | null;
  argv(words: readonly string[]): string[];
}

async function endOf(spot: Spot): Promise<End> {
  const words = (own: readonly string[]) => ["handover", spot.app, ...own];
  if (spot.server === null) return { spot, ssh: null, argv: (own) => [...SELF, ...words(own)] };
  const ssh = await sshTo(spot.server);
  return { spot, ssh, argv: (own) => ssh.argv(lineOf(["dp", ...words(own)]), "-T") };
}

// ssh needs all of the user's environment, dp itself only who somebody is.
const envOf = ({ ssh }: End) =>
  (ssh === null ? { ...selfEnv(), ...loginEnv() } : { ...process.env }) as Record<string, string>;

/** What one part prints. Throws its error as its own. */
async function ask(end: End, words: readonly string[], stdin?: string): Promise<string> {
  const child = Bun.spawn(end.argv(words), {
    env: envOf(end),
    stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([within(child), lastText(child.stderr)]);
  const code = await child.exited;
  if (stdout === null) throw tooMuch(end);
  if (code !== EXIT.ok) throw failureOf(end, code, stderr);
  return stdout.trim();
}

/** What a part prints, or null: it is more than an answer has, and the part is ended. */
async function within(child: { stdout?: unknown; kill(): void }): Promise<string | null> {
  if (!(child.stdout instanceof ReadableStream)) return "";
  const text = await textWithin(child.stdout as ReadableStream<Uint8Array>);
  if (text === null) child.kill();
  return text;
}

const tooMuch = ({ spot }: End) => new DpError("host", `dp on ${spot.name} answered with more than 1 MiB`);

/**
 * Joins a part of one side to a part of the other, stdout to stdin, and with `isMutual` the other way as well. Answers
 * what the second one printed elsewhere.
 */
async function join(
  one: End,
  sends: readonly string[],
  other: End,
  takes: readonly string[],
  isMutual = false,
): Promise<string> {
  const [takeIn, sendOut] = pipe();
  const [sendIn, takeOut] = isMutual ? pipe() : [undefined, undefined];
  const sending = Bun.spawn(one.argv(sends), {
    env: envOf(one),
    stdin: sendIn ?? "ignore",
    stdout: sendOut,
    stderr: "pipe",
  });
  const taking = Bun.spawn(other.argv(takes), {
    env: envOf(other),
    stdin: takeIn,
    stdout: takeOut ?? "pipe",
    stderr: "pipe",
  });
  for (const fd of [takeIn, sendOut, sendIn, takeOut]) if (fd !== undefined) closeSync(fd);
  const texts = [lastText(sending.stderr), lastText(taking.stderr), within(taking)] as const;
  const [said, error, name] = await Promise.all(texts);
  const [sent, taken] = [await sending.exited, await taking.exited];
  if (name === null) throw tooMuch(other);
  // Who takes fails as well when nothing more comes: the cause is the other side's.
  if (taken !== EXIT.ok && sent !== EXIT.ok && said.trim() !== "") throw failureOf(one, sent, said);
  if (taken !== EXIT.ok) throw failureOf(other, taken, error);
  // Git that has all it wants hangs up.
  if (sent !== EXIT.ok && !isMutual) throw failureOf(one, sent, said);
  return name.trim();
}

/** Puts it live, with the log of the deploy on the screen; answers the exit code. */
async function begin(end: End, order: PromotionOrder): Promise<number> {
  const stdin = new Blob([JSON.stringify(order)]);
  if (end.ssh !== null) return end.ssh.attach(lineOf(["dp", "handover", end.spot.app, "begin"]), { stdin });
  const child = Bun.spawn(end.argv(["begin"]), { env: envOf(end), stdin, stdout: "inherit", stderr: "inherit" });
  return child.exited;
}

/** The error of a part, as that part said it. */
function failureOf({ ssh, spot }: End, code: number, stderr: string): DpError {
  const lines = stderr.trimEnd().split("\n").map(shown);
  const at = lines.findIndex((line) => line.startsWith("dp: "));
  if (ssh !== null && (isCut(code) || at < 0))
    return new DpError("host", `ssh to ${ssh.name} failed or was cut`, { lines: lines.filter(Boolean).slice(-5) });
  const message = at < 0 ? `handing over ${spot.app} exited with code ${code}` : lines[at]!.slice(4);
  if (/^unknown command "handover"/.test(message))
    return new DpError("host", `the dp on ${spot.name} is older and cannot promote`, { hint: "dp upgrade there" });
  const hint = lines.findLast((line) => line.startsWith("  → "))?.slice(4);
  const more = lines.slice(at + 1).filter((line) => line.startsWith("  ") && !line.startsWith("  → "));
  const details = { lines: more.map((line) => line.slice(2)), ...(hint === undefined ? {} : { hint }) };
  return new DpError(nameOf(code), message, details);
}

const nameOf = (code: number): ExitName =>
  (Object.entries(EXIT).find(([name, own]) => own === code && name !== "ok")?.[0] as ExitName | undefined) ?? "command";
