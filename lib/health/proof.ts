// The watch over a release that has just gone live: how long it lasts, and what ends it sooner.
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { family, residentMemory } from "../host/process/process.ts";
import { stillHealthy, type Candidate } from "./health.ts";
import { harmText, startProber, type Probes } from "./prober.ts";
import { watched } from "./watched.ts";

/** Milliseconds between two checks of the process. */
const LOOK = 250;
/** The share of the time that is always watched: what crashes a moment after the switch is seen in it. */
const LEAST = 0.5;
/** Requests through the public port that must have been answered well: of an app that fails one in twenty, some have not. */
const ENOUGH = 80;
/** Memory that a release may still take during the last quarter of the time without counting as one that leaks. */
const GROWTH = { share: 0.05, bytes: 8 * 2 ** 20 };

/** How a watch went. */
export interface Watch {
  probes: Probes;
  /** How long it lasted, in ms. */
  took: number;
}

/**
 * Watches a live release for `time` ms at most; with `isWhole` for all of it, whatever is seen. Throws DpError
 * "unhealthy" when its process or an answer fails.
 */
export async function watchRelease(
  app: App,
  candidate: Candidate,
  pid: number,
  { time, isWhole = false }: { time: number; isWhole?: boolean },
  io: Io,
): Promise<Watch> {
  const prober = startProber(app, candidate.check);
  const statusOf = watched(candidate.manager, candidate.name);
  const isProven = proofOf(time);
  const begun = performance.now();
  const passed = () => performance.now() - begun;
  try {
    for (let left = time; left > 0; left = time - passed()) {
      await stillHealthy(candidate, pid, io, statusOf);
      if (isProven(passed(), prober.seen(), residentMemory(family(pid))) && !isWhole) break;
      await io.sleep(Math.min(LOOK, left));
    }
    await stillHealthy(candidate, pid, io);
  } catch (error) {
    // Its request may wait until somebody answers again: that must not keep the old release waiting.
    const { probes, unanswered } = await prober.cut();
    if (error instanceof DpError && error.exit === "unhealthy") io.warn(harmText(passed(), probes, unanswered));
    throw error;
  }
  await prober.stop();
  return { probes: prober.seen(), took: Math.min(passed(), time) };
}

/**
 * Answers, look by look, whether a release has proved itself before the whole time is over: after half of it, when many
 * requests were answered and none failed, and its memory does not grow.
 */
export function proofOf(time: number): (passed: number, probes: Probes, memory: number) => boolean {
  const looks: { passed: number; memory: number }[] = [];
  return (passed, { requests, failed }, memory) => {
    looks.push({ passed, memory });
    if (passed < time * LEAST || requests < ENOUGH || failed > 0) return false;
    const before = looks.findLast((look) => look.passed <= passed - time / 4)?.memory ?? 0;
    return memory - before <= Math.max(GROWTH.bytes, before * GROWTH.share);
  };
}
