// Whether `current` is as dp left it. If not, dp does not guess which release should serve.
import { readlinkSync, statSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { codeOf, DpError } from "../errors.ts";
import { isReleaseId } from "../text/ids.ts";
import { goodReleases } from "./history.ts";

/** What is wrong with `current`. */
export interface Damage {
  what: string;
  /** The newest good release, or null. */
  good: string | null;
  /** The command to type. */
  command: string;
}

/** That release and the command, as the end of a message. */
export const hintOf = ({ good, command }: Damage) =>
  good === null ? command : `the newest good release is ${good}: ${command}`;

/** What the link `current` of an app says at one moment. */
export interface Current {
  /** The live release; null: there is none, or the link is damaged. */
  live: string | null;
  damage: Damage | null;
}

/** The live release, or what is wrong with the link `current`. */
export async function currentOf(app: NamedApp): Promise<Current> {
  const { live, problem } = look(app);
  return { live, damage: problem === null ? null : await damageBy(app, problem) };
}

/** What is wrong with the link `current` of an app, or null; an app without a good release needs none. */
export const damageOf = async (app: NamedApp): Promise<Damage | null> => (await currentOf(app)).damage;

async function damageBy(app: NamedApp, why: string): Promise<Damage | null> {
  const { current } = app.places;
  const good = (await goodReleases(app)).at(-1)?.id ?? null;
  if (why === "is missing" && good === null) return null;
  const away = why === "is missing" ? "" : `mv ${current} ${current}.old && `;
  const back = good === null ? `dp deploy ${app.name}` : `dp rollback ${app.name} ${good}`;
  // A link that leads nowhere is replaced by a rollback; without a release to go back to, it blocks a deploy, too.
  const isInTheWay = why === "is not a link" || good === null;
  return { what: `${current} ${why}`, good, command: `${isInTheWay ? away : ""}${back}` };
}

function look({ places: { current, releases } }: NamedApp): { live: string | null; problem: string | null } {
  const wrong = (problem: string) => ({ live: null, problem });
  const to = linkOf(current);
  if (to === null) return wrong("is missing");
  if (to === undefined) return wrong("is not a link");
  const id = /^releases\/([^/]+)$/.exec(to)?.[1] ?? "";
  if (!isReleaseId(id)) return wrong(`leads to ${to}, which is not a release`);
  const folder = statSync(`${releases}/${id}`, { throwIfNoEntry: false });
  return folder?.isDirectory() ? { live: id, problem: null } : wrong(`names ${id}, whose files are gone`);
}

// Null: there is nothing; undefined: there is something other than a link.
function linkOf(path: string): string | null | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    if (codeOf(error) === "EINVAL") return undefined;
    throw error;
  }
}

/** Throws DpError "host", which names the newest good release and how to go back to it, when `current` is damaged. */
export async function requireCurrent(app: NamedApp): Promise<void> {
  const damage = await damageOf(app);
  if (damage === null) return;
  throw new DpError("host", `${damage.what}; dp does not guess which release should serve, and nothing was changed`, {
    hint: hintOf(damage),
  });
}
