// The relay's own reading of a client's bytes, without a socket: the requests in them, and where they stop being sound.
import { inOriginForm } from "../../../../lib/fronts/relay/absolute.ts";
import { CHUNKED, LENGTH, NONE, makeBody, startBody, takeBody } from "../../../../lib/fronts/relay/body.ts";
import { INCOMPLETE, REFUSED } from "../../../../lib/fronts/relay/field.ts";
import { readRequest, request } from "../../../../lib/fronts/relay/request-head.ts";
import { originOf, requestFor } from "../../../../lib/fronts/relay/rewrite.ts";

const origin = originOf("127.0.0.1", []);

/** What a stream of requests came to. */
export interface Reading {
  /** The heads and bodies as they would go to the app. */
  passed: string[];
  /** 0, or the status with which the stream is refused. */
  refused: number;
  /** Whether it stops in the middle of a request. */
  isPartial: boolean;
}

/** Reads bytes that come in the given pieces. */
export function readStream(pieces: readonly Buffer[]): Reading {
  const reading: Reading = { passed: [], refused: 0, isPartial: false };
  const body = makeBody();
  let pending: Buffer = Buffer.alloc(0);
  for (const piece of pieces) {
    pending = pending.length === 0 ? piece : Buffer.concat([pending, piece]);
    while (pending.length > 0) {
      if (!body.isDone) {
        const to = takeBody(body, pending, 0, pending.length);
        if (to === REFUSED) return { ...reading, refused: 400 };
        reading.passed[reading.passed.length - 1] += pending.toString("latin1", 0, to);
        pending = pending.subarray(to);
        continue;
      }
      let at = readRequest(pending, 0, pending.length);
      if (at > 0 && request.isAbsolute) {
        pending = inOriginForm(request, pending, at);
        at = readRequest(pending, 0, pending.length);
      }
      if (at === INCOMPLETE) break;
      if (at === REFUSED) return { ...reading, refused: request.status };
      reading.passed.push(requestFor(pending, origin).toString("latin1"));
      startBody(body, request.isChunked ? CHUNKED : request.length > 0 ? LENGTH : NONE, request.length);
      pending = pending.subarray(at);
    }
  }
  return { ...reading, isPartial: pending.length > 0 || !body.isDone };
}
