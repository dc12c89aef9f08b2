// A promotion: what one app offers of its live release, and how another app takes that and puts it live. Both sides check
// what the other one says.
import { existsSync, readdirSync } from "node:fs";
import * as v from "valibot";
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { git } from "../git/git.ts";
import { takeIn } from "../git/incoming.ts";
import { contains, tipOf } from "../git/ref.ts";
import type { Io } from "../host/io.ts";
import { isAppName } from "../paths.ts";
import { isReleaseId } from "../text/ids.ts";
import { fact, type Promotes } from "../pipeline/facts.ts";
import { promotedFrom } from "../pipeline/promoted.ts";
import { appType } from "../registry.ts";
import { arrivedRef, forgetCommit, isScarce, noteCommit } from "../release/arriving.ts";
import { boundTo, dropFiles } from "../release/artefact.ts";
import { requireCurrent } from "../release/current.ts";
import { nothingLive } from "../release/first-deploy.ts";
import { factsOfRelease } from "../release/instance.ts";
import { roomFor } from "../release/room.ts";
import { begin } from "./begin.ts";
import type { Push } from "./gate.ts";
import { requireUnlocked } from "./hand-lock.ts";
import { beginAndLaunch, type Ended, type LaunchOptions } from "./launch.ts";
import { quiet } from "./queue.ts";

const NOTHING = "0".repeat(40);
const SHA = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

const offer = v.strictObject({
  app: v.pipe(v.string(), v.check(isAppName)),
  /** The live release. */
  id: v.pipe(v.string(), v.check(isReleaseId)),
  sha: v.pipe(v.string(), v.regex(SHA)),
  type: v.string(),
  interpreter: v.nullable(v.strictObject({ name: v.string(), version: v.string() })),
  /** `linux x64 glibc`: files that were built on another one are of no use. */
  machine: v.string(),
  /** Why its files can serve nowhere else; null: they can. */
  bound: v.nullable(v.string()),
});
/** What an app has live. */
export type Offer = v.InferOutput<typeof offer>;

/** What the other app makes of an offer. */
const ready = v.strictObject({
  /** The release that has this commit live already; null: another one is, or none. */
  live: v.nullable(v.string()),
  /** Why its files are of no use here; null: they are wanted. */
  why: v.nullable(v.string()),
});
export type Ready = v.InferOutput<typeof ready>;

const order = v.strictObject({
  offer,
  /** The name of the server that the release comes from; null: this one. */
  server: v.nullable(v.pipe(v.string(), v.maxLength(100))),
  /** The name under which the files were handed over, or why they were not. */
  files: v.nullable(v.string()),
  why: v.nullable(v.pipe(v.string(), v.maxLength(500))),
  isForced: v.boolean(),
  skipHooks: v.boolean(),
  json: v.boolean(),
  wait: v.optional(v.number()),
  /** The servers of this app that are left out on purpose. */
  without: v.optional(v.array(v.pipe(v.string(), v.maxLength(100)))),
});
/** The order to put a release live that was handed over. */
export type PromotionOrder = v.InferOutput<typeof order>;

const parsed = <S extends v.GenericSchema>(schema: S, text: string): v.InferOutput<S> => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const found = v.safeParse(schema, value);
  if (found.success) return found.output;
  throw new DpError("usage", "that is no promotion of this dp", {
    lines: [found.issues[0].message],
    hint: "both servers need the same dp: dp upgrade",
  });
};
export const readOffer = (text: string): Offer => parsed(offer, text);
export const readReady = (text: string): Ready => parsed(ready, text);
export const readOrder = (text: string): PromotionOrder => parsed(order, text);

/** The live release of an app as another one gets it. Throws DpError "usage" when nothing is live. */
export async function offerOf(app: App, io: Io): Promise<Offer> {
  await requireCurrent(app);
  const id = await app.live();
  if (id === null) throw await nothingLive(app);
  const { config, runtime, sha } = await factsOfRelease(app, id);
  const { name, version } = runtime.interpreter ?? {};
  const interpreter = name === undefined || version === undefined ? null : { name, version };
  const bound = await boundTo(app, id, io);
  return { app: app.name, id, sha, type: config.type, interpreter, machine: machine(), bound };
}

function machine(): string {
  const isMusl = existsSync("/lib") && readdirSync("/lib").some((name) => name.startsWith("ld-musl-"));
  return `${process.platform} ${process.arch} ${isMusl ? "musl" : "glibc"}`;
}

/** What this app makes of an offer. Throws DpError "locked", or "usage" for a release of another type. */
export async function readyFor(app: App, { id, sha, type, app: from, machine: there, bound }: Offer): Promise<Ready> {
  requireUnlocked(app);
  await requireCurrent(app);
  const live = await app.live();
  const own = live === null ? null : await factsOfRelease(app, live);
  if (own !== null && own.config.type !== type)
    throw new DpError(
      "usage",
      `${app.name} is an app of type ${own.config.type}, and ${from} ${id} is of type ${type}`,
      {
        hint: `to change the type of ${app.name}, push the commit to it`,
      },
    );
  const here = machine();
  const other = there === here ? null : `it was built on ${there}, and here it is ${here}`;
  const why = bound ?? other ?? ((await appType(type)).adopt ? null : `apps of type ${type} are built where they run`);
  return { live: own?.sha === sha ? live : null, why };
}

/**
 * Fetches a commit through two open files: git's protocol. Throws DpError "command", or "host" when the disk fills up.
 */
export async function fetchCommit(app: App, sha: string, read: number, write: number): Promise<void> {
  const { repo } = app.places;
  const { bytes: least } = await roomFor(app);
  // As one pack, however few objects: that is what the limit counts.
  const settings = ["protocol.fd.allow=always", "fetch.fsckObjects=true", "fetch.unpackLimit=1"];
  const words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "fd::3,4"];
  const all = [...settings.flatMap((setting) => ["-c", setting]), ...words, `+${sha}:${arrivedRef(sha)}`];
  const how = { more: [read, write], timeout: app.server.stepTimeout };
  await noteCommit(app, sha);
  await takeIn(repo, all, how, () => isScarce(app, least));
}

/** Serves a commit to a fetch on stdin and stdout; answers git's exit code. */
export async function serveCommit({ places: { repo }, server }: App): Promise<number> {
  const words = ["-c", "uploadpack.allowAnySHA1InWant=true", "upload-pack", repo];
  return (await git(repo, words, { stdin: 0, stdout: 1, timeout: server.stepTimeout, check: false })).code;
}

/**
 * Puts a release live that was handed over, as a push of its commit to the deploy branch does. Without a run its files are
 * removed.
 */
export async function promote(app: App, told: PromotionOrder): Promise<Ended> {
  const { app: source, id, interpreter } = told.offer;
  const { server, files, why } = told;
  const promotes = v.parse(fact.promotes, { app: source, id, server, files, why, interpreter })!;
  let isBegun = false;
  try {
    const begin = await beginning(app, told, promotes);
    const options: LaunchOptions = { json: told.json, wait: told.wait, what: "promote", leaves: true };
    return await beginAndLaunch(
      app,
      async () => {
        const begun = await begin();
        isBegun = true;
        return begun;
      },
      options,
    );
  } finally {
    if (!isBegun) await dropFiles(app, promotes);
  }
}

/** How the run begins, once nothing speaks against it. */
async function beginning(
  app: App,
  { offer: from, isForced, skipHooks, wait, without = [] }: PromotionOrder,
  promotes: Promotes,
) {
  await readyFor(app, from);
  const push = await pushOf(app, from, isForced);
  if (wait === 0) await quiet(app, 0);
  return async () => {
    const begun = await begin(app, from.sha, { skipHooks, push, promotes, without });
    await forgetCommit(app, from.sha);
    return begun;
  };
}

/** The move of the deploy branch. Throws DpError "usage" when the commit lacks something that the branch has. */
async function pushOf(
  { name, places: { repo }, server }: App,
  { app, id, sha }: Offer,
  isForced: boolean,
): Promise<Push> {
  const { branch } = server;
  const ref = `refs/heads/${branch}`;
  const tip = await tipOf(repo, ref);
  if (tip === "" || isForced || (await contains(repo, sha, tip))) return { ref, old: tip === "" ? NOTHING : tip };
  const [short, commit] = [tip.slice(0, 7), sha.slice(0, 7)];
  if (await contains(repo, tip, sha))
    throw new DpError("usage", `${branch} of ${name} is at ${short} already, which contains ${commit} and more`, {
      hint: `dp deploy ${name} ${commit} puts it live and leaves the branch; --force moves the branch back`,
    });
  throw new DpError("usage", `${branch} of ${name} has commits that ${app} ${id} lacks: ${short} is not in ${commit}`, {
    hint: `merge them, push that to ${app}, and promote again; --force drops them`,
  });
}

/** `shop-staging 5-3f9c2ab`, for messages before there is a run. */
export const offered = ({ app, id }: Pick<Offer, "app" | "id">, server: string | null): string =>
  promotedFrom({ app, id, server, files: null, why: null, interpreter: null })!;
