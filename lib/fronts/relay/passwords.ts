// Checks passwords: one at a time, because each costs a tenth of a second of a processor, and slower while they are wrong.
import type { Party } from "./addresses.ts";

/** Checks that wait, of all clients and of one; a check that finds no room is not made. */
const WAITING = 32;
const WAITING_OF_ONE = 4;
/** After a wrong password nothing is checked for so many times as long as its check took. */
const REST = 4;
/** A client with so many wrong passwords within WINDOW (ms) is not checked until it is over. */
const WRONG = 10;
const WINDOW = 60_000;
/** How many clients with wrong passwords are remembered. */
const REMEMBERED = 4096;

interface Check {
  key: string;
  password: string;
  hash: string;
  tell(isRight: boolean): void;
}

const waiting: Check[] = [];
const wrong = new Map<string, { count: number; until: number }>();
let isBusy = false;

/** Whether the password has that bcrypt hash; null: too many are being checked, or this client was wrong too often. */
export function checkPassword({ key }: Party, password: string, hash: string): Promise<boolean> | null {
  const own = waiting.filter((check) => check.key === key).length;
  if (waiting.length >= WAITING || own >= WAITING_OF_ONE || isTooWrong(key)) return null;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  waiting.push({ key, password, hash, tell: resolve });
  if (!isBusy) void work();
  return promise;
}

async function work(): Promise<void> {
  isBusy = true;
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
    const begun = performance.now();
    const isRight = await Bun.password.verify(check.password, check.hash, "bcrypt").catch(() => false);
    check.tell(isRight);
    if (isRight) continue;
    note(check.key);
    await Bun.sleep((performance.now() - begun) * REST);
  }
  isBusy = false;
}

function isTooWrong(key: string): boolean {
  const known = wrong.get(key);
  if (known === undefined || known.count < WRONG) return false;
  if (known.until > performance.now()) return true;
  wrong.delete(key);
  return false;
}

function note(key: string): void {
  const now = performance.now();
  const known = wrong.get(key);
  if (known !== undefined && known.until > now) known.count++;
  else {
    // The oldest goes first: at the end of the map is what was noted last.
    wrong.delete(key);
    if (wrong.size >= REMEMBERED) wrong.delete(wrong.keys().next().value!);
    wrong.set(key, { count: 1, until: now + WINDOW });
  }
}
