// The contract of a step: facts in, one change to the host, facts out.
import { basename, parse } from "node:path";
import type * as v from "valibot";
import type { Io } from "../host/io.ts";

/** Fact name -> schema; the schemas are those of facts.ts. */
export type Facts = Record<string, v.GenericSchema>;
export type In<F extends Facts> = { [K in keyof F]: v.InferOutput<F[K]> };
export type Out<F extends Facts> = { [K in keyof F]: v.InferInput<F[K]> };

/** One unit of deployment work. */
export interface Step<N extends Facts = Facts, P extends Facts = Facts> {
  /** The file's own name: steps/swap.ts is "swap" everywhere. */
  readonly name: string;
  /** One imperative line, shown by `dp step`. */
  readonly summary: string;
  /** Fact name -> schema; parsed before run; no other fact is passed in. */
  readonly needs: N;
  /** run returns exactly these; parsed, merged, saved. */
  readonly provides: P;
  /** Must be repeatable: a second run with the same facts ends in the same state. */
  run(facts: In<N>, io: Io): Promise<Out<P>>;
  /** Restores the host as it was before run, even if run stopped half-way. It asks the host, not saved facts. */
  undo?(facts: In<N> & Partial<In<P>>, io: Io): Promise<void>;
}

/** Declares a step; its name is the file's. */
export function defineStep<N extends Facts, P extends Facts>(file: string, step: Omit<Step<N, P>, "name">): Step<N, P> {
  return { name: parse(basename(file)).name, ...step };
}
