// Whether `current` is as dp left it. If not, dp does not guess which release should serve.
import { readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
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

/** What is wrong with the link `current` of an app, or null; an app without a good release needs none. */
export async function damageOf(app: NamedApp): Promise<Damage | null> {
  const { current } = app.places;
  const why = problemOf(app);
  if (why === null) return null;
  const good = (await goodReleases(app)).at(-1)?.id ?? null;
  if (why === "is missing" && good === null) return null;
  const away = why === "is missing" ? "" : `mv ${current} ${current}.old && `;
  const back = good === null ? `dp deploy ${app.name}` : `dp rollback ${app.name} ${good}`;
  // A link that leads nowhere is replaced by a rollback; without a release to go back to, it blocks a deploy, too.
  const isInTheWay = why === "is not a link" || good === null;
  return { what: `${current} ${why}`, good, command: `${isInTheWay ? away : ""}${back}` };
}

function problemOf({ places: { current, releases } }: NamedApp): string | null {
  const to = linkOf(current);
  if (to === null) return "is missing";
  if (to === undefined) return "is not a link";
  const id = /^releases\/([^/]+)$/.exec(to)?.[1] ?? "";
  if (!isReleaseId(id)) return `leads to ${to}, which is not a release`;
  const folder = statSync(join(releases, id), { throwIfNoEntry: false });
  return folder?.isDirectory() ? null : `names ${id}, whose files are gone`;
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
