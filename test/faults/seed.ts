// The choice that a test makes by chance: printed, and the same again with DP_SEED.

/** The seed of a test: DP_SEED, or a new one, which is printed. */
export function seedOf(what: string): number {
  const seed = Number(process.env["DP_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${what}: DP_SEED=${seed}`);
  return seed;
}

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same things in an order in which any first part of them is spread over the whole. */
export function spread<T>(things: readonly T[], seed: number): T[] {
  const start = random(seed)();
  const place = (index: number) => (start + index * 0.6180339887498949) % 1;
  const order = things.map((thing, index) => ({ thing, at: index }));
  const taken: T[] = [];
  for (let index = 0; order.length > 0; index++) {
    const wanted = place(index) * things.length;
    order.sort((a, b) => Math.abs(a.at - wanted) - Math.abs(b.at - wanted));
    taken.push(order.shift()!.thing);
  }
  return taken;
}
