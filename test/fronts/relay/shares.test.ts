// Who is cut off when memory is short, and whose buffers are kept small.
import { expect, test } from "bun:test";
import { CONNECTIONS, MEMORY, REST, REST_SECURE } from "../../../lib/fronts/relay/limits.ts";
import { aboveShare, inOrder } from "../../../lib/fronts/relay/shares.ts";

const KB = 1024;
const [ATTACKER, SLOW, OTHER] = [{ name: "attacker" }, { name: "slow" }, { name: "other" }];
const held = (party: object, own: number, kernel: number, isIdle = kernel === 0) => ({ party, own, kernel, isIdle });

/** Connections that wait, by the hundred. */
const crowd = Array.from({ length: 300 }, () => held(ATTACKER, REST_SECURE, 0));
const transfer = held(SLOW, REST_SECURE + 500 * KB, 900 * KB);

test("idle connections of one client go before the transfer of another", () => {
  expect(inOrder([transfer, ...crowd], "own")).toEqual([...crowd, transfer]);
});

test("of the client with most, idle connections go first, and then the largest", () => {
  const [small, large] = [held(ATTACKER, REST, 10 * KB), held(ATTACKER, REST + 64 * KB, 20 * KB)];
  const [head, bare] = [held(ATTACKER, REST + 30 * KB, 0), held(ATTACKER, REST, 0)];
  const other = held(OTHER, REST, 0);
  expect(inOrder([other, small, bare, large, head], "own")).toEqual([head, bare, large, small, other]);
});

test("a connection that frees nothing of what is short stays", () => {
  expect(inOrder([...crowd, transfer], "kernel")).toEqual([transfer]);
});

test("as many idle connections as there may be leave room for others' bytes", () => {
  expect(CONNECTIONS * REST_SECURE).toBeLessThanOrEqual((MEMORY * 3) / 4);
});

test("only a client with more than an equal share of the room is above its share", () => {
  const many = Array.from({ length: 80 }, () => held(ATTACKER, REST, 900 * KB));
  expect([...aboveShare([...many, transfer, held(OTHER, REST, 0)], "kernel", 64 * KB * KB)]).toEqual([ATTACKER]);
  expect([...aboveShare([transfer], "kernel", 64 * KB * KB)]).toEqual([]);
});
