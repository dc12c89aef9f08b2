// `dp watch`: one look at all apps and the machine. It tells what is news, and keeps what it saw for the next look.
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { appNames } from "../config/server.ts";
import { sizeText } from "../config/size.ts";
import type { App } from "../contracts/app.ts";
import { messageOf } from "../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { tryLock } from "../host/lock.ts";
import { bootId, startTime } from "../host/process/process.ts";
import { readNotify } from "../notify/file.ts";
import { callSenderFromUnit, put } from "../notify/post.ts";
import { idsIn, pathsIn, rowNames } from "../notify/queue.ts";
import { keepTargets } from "../notify/service.ts";
import {
  hasTargets,
  muteOf,
  notifyFolder,
  readMutes,
  readTargets,
  targetsFor,
  type Targets,
} from "../notify/targets.ts";
import { clockText, serverName } from "../notify/text.ts";
import { knownApp } from "../release/known-app.ts";
import { batchesOf } from "./batches.ts";
import { judgeDisk, lookAtDisk, type DiskRoom } from "./disk.ts";
import { beat } from "./heartbeat.ts";
import { round } from "./round.ts";
import { look, unknown, type Sight } from "./sight.ts";
import { readWatch, watchFile, writeWatch, type Watch } from "./state.ts";
import { tellAll, tellCertificates, tellNewest } from "./teller.ts";
import { happening } from "../notify/happening.ts";

/** How long looks may fail until that is told, in ms. */
const BLIND = 5 * 60_000;

type Warn = (message: string) => void;

/** Looks once; null: another look is under way. `warn` gets what does not stop it, such as a mistake in notify.yml. */
export async function lookAtAll(warn: Warn): Promise<Watch | null> {
  await mkdir(dirname(watchFile()), { recursive: true, mode: 0o755 });
  const lock = tryLock(`${watchFile()}.lock`);
  if (lock === null) return null;
  try {
    const now = Date.now();
    const targets = await targetsNow(warn);
    await noteBegun(targets, now);
    const watch = await lookWith(targets, now, warn);
    await writeWatch(watch);
    await removeFile(begunFile());
    if (targets !== null && hasLeft()) await callSenderFromUnit();
    if (targets?.heartbeat !== undefined) await beat(targets.heartbeat);
    return watch;
  } finally {
    lock.release();
  }
}

// Also what was posted while the sender was about to end, or when it was killed.
const hasLeft = () => idsIn(pathsIn(notifyFolder()).posted).length > 0 || rowNames(notifyFolder()).length > 0;

// What the operator changed in notify.yml holds from the next look on. With a mistake in it, it stays as it was.
async function targetsNow(warn: Warn): Promise<Targets | null> {
  if (!hasTargets()) return null;
  try {
    const targets = await readNotify();
    if (targets !== null) await keepTargets(targets);
    return targets;
  } catch (error) {
    warn(messageOf(error));
    return readTargets();
  }
}

const begunFile = () => `${watchFile()}.begun`;

/** A look that fails, or is killed, leaves its mark: after some minutes of these, that is told. */
async function noteBegun(targets: Targets | null, now: number): Promise<void> {
  const since = (await readText(begunFile()))?.trim();
  if (since === undefined || Number.isNaN(Date.parse(since)))
    return writeFileAtomic(begunFile(), `${new Date(now).toISOString()}\n`);
  if (targets === null || now - Date.parse(since) < BLIND || muteOf(readMutes(), null, now) !== null) return;
  const head = `▲ the look at the apps of ${serverName()} could not be made since ${clockText(since, now)}: dp watch`;
  const to = targetsFor(targets, "watch", null, undefined);
  if (to.length === 0) return;
  await put(happening("watch", now, { head, key: since, hint: "dp watch", since }), to);
  await callSenderFromUnit();
}

interface Seen {
  app: App | null;
  sight: Sight;
}

async function see(name: string, now: number): Promise<Seen> {
  try {
    const { app } = await knownApp(name);
    return { app, sight: await look(app, now) };
  } catch (error) {
    return { app: null, sight: unknown(error) };
  }
}

async function lookWith(targets: Targets | null, now: number, warn: Warn): Promise<Watch> {
  const before = await readWatch();
  const begun = performance.now();
  const names = await appNames();
  const [room, ...all] = await Promise.all([lookAtDisk(), ...names.map((name) => see(name, now))]);
  const apps = new Map(names.map((name, at) => [name, all[at]!.app]));
  const mutes = readMutes();
  const isQuiet = (app: string | null) => targets === null || muteOf(mutes, app, now) !== null;
  // In a container the boot is the host's: its first process tells one start from the next.
  const boot = `${bootId()} ${startTime(1) ?? 0}`;
  const { after, news } = round(before, {
    now,
    took: Math.round(performance.now() - begun),
    boot,
    sights: Object.fromEntries(names.map((name, at) => [name, all[at]!.sight])),
    disk: judgeDisk(
      room,
      [...apps.values()].map((app) => app?.server.minFree ?? 0),
    ),
    remind: targets?.remind,
    terms: (name) => {
      const own = apps.get(name)?.server.notify;
      return { down: own ? own.down : undefined, isQuiet: own === false || isQuiet(name) };
    },
    isQuiet: isQuiet(null),
  });
  if (targets !== null)
    await tellAll(batchesOf(news, { now, boot, left: leftOf(room), targets, apps }), before, after, warn);
  for (const [name, app] of apps) {
    if (app === null) continue;
    const [past, own, isMuted] = [before?.apps[name], after.apps[name]!, isQuiet(name)];
    await tellNewest(app, { targets, isMuted }, past, own, warn);
    if (targets !== null && !isMuted) await tellCertificates(app, targets, now, own, warn);
  }
  return after;
}

const leftOf = ({ bytes, total, files, isShortOfFiles }: DiskRoom): string =>
  `${sizeText(bytes)} of ${sizeText(total)}${isShortOfFiles ? ` and room for ${files} files` : ""}`;
