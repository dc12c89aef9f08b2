// Whether an instance is healthy, and whether it is the one that answered.
import { died as diedOf, lastWords as lastWordsOf } from "./death.ts";
import { DpError } from "../errors.ts";
import type { Front } from "../contracts/front.ts";
import type { Io } from "../host/io.ts";
import type { Manager } from "../contracts/manager.ts";
import { hintForAnswer, hintForLines, hintForTables } from "./hints.ts";
import { ownCheck } from "./own-check.ts";
import { probe, REFUSED, type Answer } from "./probe.ts";
import { harmText } from "./prober.ts";
import { isWord, watchSteady } from "./steady.ts";
import { isUnheard } from "./unheard.ts";
import { watched } from "./watched.ts";
import { watchElsewhere, wrongPort } from "./wrong-port.ts";
import { pace } from "../host/pace.ts";
import { describeOwners } from "../host/process/port-owners.ts";
import { isListening, listener } from "../host/process/process.ts";
import { listenerInode } from "../host/process/socket-owner.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";
import { places, publicAddress } from "../paths.ts";
import type { HealthCheck, ServerConfig } from "../config/types.ts";

/** The instance to check: its address, its manager, and its health check. */
export interface Candidate {
  name: InstanceName;
  manager: Manager;
  check: HealthCheck;
  port: number;
}

/** An app that was started a while ago is asked for so long at least, in ms. */
const LAST_TRIES = 5_000;
const SLOWEST = 2_000;
/** Longest pause, as a share of the time already waited. */
const LATENESS = 0.1;
/** The shortest pause while nobody listens, in ms: that is looked at in between, and such a try is in vain. */
const UNHEARD = 25;
/** The pause between two looks whether somebody listens by now, as a share of the time already waited. */
const LOOK = 0.01;
/** The pause is at least this many times the duration of the try: some managers are asked through a program. */
const IDLE = 2;

/** The first request of a process takes several times as long as those after it, and is over before somebody listens. */
let hasAsked = false;

const urlOf = ({ check, port }: Candidate) => `http://127.0.0.1:${port}${check.path}`;

/**
 * Checks until the instance is healthy, at once and then with a growing delay, for `startTimeout` at most; stops as
 * soon as its process has died. `startedAt`: when it was started, if that is a while ago; it may have crashed since, and run
 * again. Answers the main process. Throws DpError "unhealthy" with the last findings.
 */
export async function waitUntilHealthy(
  candidate: Candidate,
  io: Io,
  startedAt: number | null = null,
): Promise<{ pid: number; tries: number }> {
  const { check } = candidate;
  const begun = startedAt ?? performance.now();
  const deadline = Math.max(begun + check.startTimeout, performance.now() + Math.min(check.startTimeout, LAST_TRIES));
  const seen = new Map<string, number>();
  const verdict = watchSteady();
  const statusOf = watched(candidate.manager, candidate.name);
  const restarts = startedAt === null ? 0 : await restartsOf(candidate);
  let word: Answer | undefined;
  const elsewhere = watchElsewhere(candidate.name, candidate.manager, candidate.port);
  let delay = check.interval;
  for (let tries = 1; ; tries++) {
    const asked = performance.now();
    const { pid } = await requireSame(candidate, await statusOf(), restarts, io);
    const answer = hasAsked && isUnheard(pid, candidate.port) ? REFUSED : await probe(check, candidate.port);
    hasAsked = true;
    if (answer.isHealthy) {
      const status = await requireSame(candidate, await candidate.manager.status(candidate.name), restarts, io);
      return { pid: await owner(candidate, status, io), tries };
    }
    seen.set(answer.text, (seen.get(answer.text) ?? 0) + 1);
    if (isWord(answer.status)) word = answer;
    const steady = verdict(answer, performance.now());
    if (steady === "tell") io.warn(`GET ${check.path} answers ${sayAnswer(answer)}`);
    if (steady === "end") throw await unhealthy(candidate, seen, io, word);
    const other = await elsewhere(answer.isRefused === true);
    if (other !== null) io.warn(other);
    const now = performance.now();
    const soon = Math.max(UNHEARD, (now - begun) * LATENESS, (now - asked) * IDLE);
    const pause = answer.isRefused ? Math.min(soon, delay) : delay;
    if (performance.now() + pause > deadline) throw await unhealthy(candidate, seen, io, word ?? answer);
    await (answer.isRefused ? untilHeard(candidate.port, pause, (now - begun) * LOOK, io) : io.sleep(pause));
    delay = Math.min(Math.max(check.interval, (performance.now() - begun) * LATENESS), SLOWEST);
  }
}

/** Waits until somebody listens on the port, for `pause` ms at most; the kernel is asked every `look` ms, but at least 2. */
async function untilHeard(port: number, pause: number, look: number, io: Io): Promise<void> {
  const end = performance.now() + pause;
  do await pace(Math.min(Math.max(2, look), Math.max(1, end - performance.now())), io);
  while (performance.now() < end && listenerInode("127.0.0.1", port) === null);
}

/** How often it was restarted, or will have been when it runs again. */
async function restartsOf({ manager, name }: Candidate): Promise<number> {
  const { state, restarts } = await manager.status(name);
  return state === "waiting" ? restarts + 1 : restarts;
}

// The instance runs, or is about to, and has not crashed since it had been restarted so often.
async function requireSame(
  candidate: Candidate,
  status: InstanceStatus,
  restarts: number,
  io: Io,
): Promise<InstanceStatus> {
  if (status.state === "waiting" && status.restarts < restarts) return status;
  if (status.state !== "running" || status.restarts > restarts) throw await died(candidate, status, io);
  if (status.isUnhealthy) throw await unhealthy(candidate, new Map([[status.detail, 1]]), io);
  return status;
}

/**
 * Checks once more, and that the main process is still `pid`. `statusOf` answers the status of the instance; by
 * default, its manager does. Throws DpError "unhealthy".
 */
export async function stillHealthy(
  candidate: Candidate,
  pid: number,
  io: Io,
  statusOf = () => candidate.manager.status(candidate.name),
): Promise<void> {
  const status = await statusOf();
  if (status.state !== "running" || status.pid !== pid) throw await died(candidate, status, io);
  if (status.isUnhealthy) throw await unhealthy(candidate, new Map([[status.detail, 1]]), io);
  const answer = await probe(candidate.check, candidate.port);
  if (!answer.isHealthy) {
    await requireAlive(candidate, status, io);
    throw await unhealthy(candidate, new Map([[answer.text, 1]]), io, answer);
  }
  await owner(candidate, status, io);
}

/**
 * Checks through the public port until the release answers there. Throws DpError "unhealthy" when the front points
 * elsewhere, or its answers stay bad for the timeout of one answer.
 */
export async function publiclyHealthy(candidate: Candidate, server: ServerConfig, front: Front, io: Io): Promise<void> {
  const { name, check } = candidate;
  const route = await front.status(name.app);
  if (route && route.target?.id !== name.id) {
    throw new DpError("unhealthy", `the front sends requests to ${route.target?.id ?? "nothing"}, not to ${name.id}`);
  }
  const host = publicAddress(server);
  const begun = performance.now();
  const app = { front, server, places: places(name.app) };
  for (let tries = 1; ; tries++) {
    const answer = await probe(await ownCheck(app, check), server.port, host);
    if (answer.isHealthy) return;
    const passed = performance.now() - begun;
    if (passed > check.timeout) {
      io.warn(harmText(passed, { requests: tries, failed: tries }));
      throw new DpError(
        "unhealthy",
        `GET http://${host}:${server.port}${check.path} through the ${front.name}: ${answer.text}`,
        { lines: await lastWords(candidate, io) },
      );
    }
    await io.sleep(check.interval);
  }
}

// An answer proves nothing unless the socket that gave it belongs to the instance.
async function owner(candidate: Candidate, status: InstanceStatus, io: Io): Promise<number> {
  const { name, manager, port } = candidate;
  // Usually the main process has the socket: then no other process needs a look.
  const isMain = status.pid !== null && isListening(status.pid, port);
  if (isMain) return status.pid!;
  // A published port has no socket of the app's, or only a proxy's; its engine gives it to one container only.
  const isPublished = (await manager.published?.(name))?.ports.includes(port);
  if (isPublished && status.pid !== null) return status.pid;
  const own = await manager.pids(name);
  const owners = await listener(port);
  const isOwn = owners.some((socket) => socket.pid !== null && own.includes(socket.pid));
  if (isOwn && status.pid !== null) return status.pid;
  await requireAlive(candidate, status, io);
  throw new DpError(
    "unhealthy",
    `127.0.0.1:${port} answered, but it was ${await describeOwners(owners)}, not ${name.app}@${name.id}`,
  );
}

// It may have died since the last look, and then that is the error to report.
async function requireAlive(candidate: Candidate, before: InstanceStatus, io: Io): Promise<void> {
  const now = await candidate.manager.status(candidate.name);
  if (now.state !== "running" || now.pid !== before.pid) throw await died(candidate, now, io);
}

const died = ({ name, manager, check }: Candidate, status: InstanceStatus, io: Io) =>
  diedOf(name, manager, status, io, check.path);
const lastWords = ({ name, manager, check }: Candidate, io: Io) => lastWordsOf(name, manager, io, check.path);

/** `404: Not Found`. */
const sayAnswer = ({ text, firstLine }: Answer) => (firstLine ? `${text}: ${firstLine}` : text);

async function unhealthy(candidate: Candidate, seen: Map<string, number>, io: Io, last?: Answer): Promise<DpError> {
  const answers = [...seen].map(([text, count]) => (count > 1 ? `${text} (${count} times)` : text)).join(", ");
  const words = await lastWords(candidate, io);
  const lines = last?.firstLine ? [`it answers: ${last.firstLine}`, ...words] : words;
  const hint = await hintFor(candidate, last, words);
  return new DpError("unhealthy", `GET ${urlOf(candidate)}: ${answers}`, { lines, ...(hint === null ? {} : { hint }) });
}

/** In this order: its log, the port it listens on, its answer. */
async function hintFor(
  candidate: Candidate,
  last: Answer | undefined,
  words: readonly string[],
): Promise<string | null> {
  const { name, manager, port, check } = candidate;
  const written = hintForLines(words) ?? hintForTables(words, name.app);
  if (written !== null) return written;
  const wrong = await wrongPort(name, manager, port);
  if (wrong !== null) return wrong;
  return last === undefined ? null : hintForAnswer(last, check, words);
}
