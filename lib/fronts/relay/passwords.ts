// Checks passwords: one at a time, because each costs a tenth of a second of a processor, and slower while they are wrong.
import type { Party } from "./addresses.ts";

/** Checks that wait, for one app and of one client there; a check that finds no room is not made. */
const WAITING = 32;
const WAITING_OF_ONE = 4;
/** After a wrong password nothing is checked for so many times as long as its check took. */
const REST = 4;
/** While all rest, how often (ms) it is looked whether another app has a check to make. */
const LOOK = 50;
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

/** The checks of one app that wait, and when it may have its next one: guesses at one app hold up no other. */
interface Line {
  waiting: Check[];
  rest: number;
}

/** By app, the one that was served last at the end. */
const lines = new Map<string, Line>();
const wrong = new Map<string, { count: number; until: number }>();
let isBusy = false;

/** Whether the password has that bcrypt hash; null: too many are being checked, or this client was wrong too often. */
export function checkPassword(app: string, { key }: Party, password: string, hash: string): Promise<boolean> | null {
  const line = lines.get(app) ?? { waiting: [], rest: 0 };
  const own = line.waiting.filter((check) => check.key === key).length;
  if (line.waiting.length >= WAITING || own >= WAITING_OF_ONE || isTooWrong(key)) return null;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  line.waiting.push({ key, password, hash, tell: resolve });
  lines.set(app, line);
  if (!isBusy) void work();
  return promise;
}

async function work(): Promise<void> {
  isBusy = true;
  for (let turn = nextTurn(); turn !== null; turn = nextTurn()) {
    const [app, line] = turn;
    const pause = line.rest - performance.now();
    if (pause > 0) {
      await Bun.sleep(Math.min(pause, LOOK));
      continue;
    }
    lines.delete(app);
    lines.set(app, line);
    await checkFirst(line);
  }
  isBusy = false;
}

/** The app that waits longest among those without a rest, or else the one whose rest ends first; null: none waits. */
function nextTurn(): [app: string, line: Line] | null {
  const now = performance.now();
  let soonest: [string, Line] | null = null;
  for (const [app, line] of lines) {
    if (line.waiting.length === 0 && line.rest <= now) lines.delete(app);
    if (line.waiting.length === 0) continue;
    if (line.rest <= now) return [app, line];
    if (soonest === null || line.rest < soonest[1].rest) soonest = [app, line];
  }
  return soonest;
}

async function checkFirst(line: Line): Promise<void> {
  const check = line.waiting.shift()!;
  const begun = performance.now();
  const isRight = await Bun.password.verify(check.password, check.hash, "bcrypt").catch(() => false);
  check.tell(isRight);
  if (isRight) return;
  note(check.key);
  line.rest = performance.now() + (performance.now() - begun) * REST;
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
