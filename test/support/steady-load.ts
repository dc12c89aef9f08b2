// A steady load from inside another network: steady-load.ts URL RATE, until stdin ends; half of it on connections of its
// own. Prints at each "look" of stdin what happened since the last one, at each "count" what did so far.
const [url = "", rate = "50"] = process.argv.slice(2);
const LIMIT = 10_000;

interface Seen {
  sent: number;
  failed: number;
  /** The longest time without a good answer, and the slowest good answer, in ms. */
  gap: number;
  slowest: number;
  bad: Record<string, number>;
  answers: Record<string, number>;
}
const fresh = (): Seen => ({ sent: 0, failed: 0, gap: 0, slowest: 0, bad: {}, answers: {} });
let seen = fresh();
let last = performance.now();
let sent = 0;

async function ask(): Promise<void> {
  const begun = performance.now();
  const count = (what: Record<string, number>, word: string) => (what[word] = (what[word] ?? 0) + 1);
  try {
    const response = await fetch(url, { keepalive: sent++ % 2 === 0, signal: AbortSignal.timeout(LIMIT) });
    const text = (await response.text()).trim();
    if (response.status !== 200) throw new Error(String(response.status));
    const now = performance.now();
    seen.gap = Math.max(seen.gap, now - last);
    seen.slowest = Math.max(seen.slowest, now - begun);
    count(seen.answers, text);
    last = now;
  } catch (error) {
    seen.failed += 1;
    count(seen.bad, (error as Error).message.slice(0, 80));
  }
  seen.sent += 1;
}

const open = new Set<Promise<void>>();
const timer = setInterval(
  () => {
    const one = ask().finally(() => open.delete(one));
    open.add(one);
  },
  1000 / Number(rate),
);

for await (const line of console) {
  if (line === "count") console.log(JSON.stringify(seen));
  if (line === "look") {
    await Promise.all(open);
    console.log(JSON.stringify(seen));
    seen = fresh();
    last = performance.now();
  }
}
clearInterval(timer);
