// A message now, in the foreground: whether a target can be reached.
import type { Attempt } from "../contracts/notifier.ts";
import { DpError } from "../errors.ts";
import { notifier } from "../registry.ts";
import { messageOf } from "./deliver.ts";
import { happening } from "./happening.ts";
import { idOf, senderUser } from "./post.ts";
import { serverName } from "./text.ts";
import type { Target } from "./targets.ts";

const LIMIT = 10_000;

/** A try, how it ended, and how long it took in ms. */
export interface Tried {
  name: string;
  kind: string;
  attempt: Attempt;
  took: number;
}

/** Sends a test to a target. */
export async function sendTest(name: string, target: Target): Promise<Tried> {
  const now = Date.now();
  const test = happening("test", now, {
    key: String(now),
    head: `dp on ${serverName()} reaches you: this is a test`,
    hint: "dp notify",
  });
  const kind = await notifier(target.kind);
  const begun = performance.now();
  const message = messageOf(idOf(test, name), test, now);
  const attempt = await kind.send(target.settings, message, { limit: LIMIT, user: senderUser(), now });
  return { name, kind: target.kind, attempt, took: Math.round(performance.now() - begun) };
}

/** `slack "team" answered 404`. */
export function describeAttempt({ kind, name }: { kind: string; name: string }, said: string): string {
  const target = `${kind} "${name}"`;
  if (/^(?:SMTP )?\d{3}$/.test(said)) return `${target} answered ${said}`;
  if (said === "timeout") return `${target} did not answer in time`;
  if (said.startsWith("exit code")) return `${target} ended with ${said}`;
  return /^[A-Z][A-Za-z0-9_]+$/.test(said) ? `${target} cannot be reached: ${said}` : `${target}: ${said}`;
}

/** The error for a test that did not arrive, with what may be wrong. */
export function notReached(tried: Tried): DpError {
  const { said } = tried.attempt;
  const isRefused = /^(?:40[0134]|410|SMTP 5\d\d)$/.test(said);
  const hint = isRefused
    ? "the address or the secret is wrong, or no longer valid"
    : "see whether this server reaches it: firewall, name, proxy";
  return new DpError("command", describeAttempt(tried, said), { hint });
}
