// The links `current` and `previous`, and the releases that they name.
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { byDoctor, byHand, type Check, type Finding } from "../contracts/check.ts";
import type { App } from "../contracts/app.ts";
import { load, type Run } from "../pipeline/run-file.ts";
import { codeOf, DpError, messageOf } from "../errors.ts";
import { point } from "../host/link.ts";
import { isReleaseId } from "../text/ids.ts";
import { damageOf } from "../release/current.ts";
import { goodReleases, releaseBefore, runFile } from "../release/history.ts";

const check: Check = {
  summary: "the links current and previous, and what they name",
  atRest: true,
  async app(app) {
    const damage = await damageOf(app);
    if (damage) return [byHand("error", damage.what, damage.command)];
    const live = await app.live();
    return live === null ? [] : [...(await releaseFindings(app, live)), ...(await previousFindings(app, live))];
  },
};
export default check;

async function releaseFindings(app: App, live: string): Promise<Finding[]> {
  const wrong = (what: string) => [byHand("error", what, `dp deploy ${app.name}`)];
  let run: Run;
  try {
    run = await load(runFile(app, live));
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return wrong(`the record of ${live}, which is live, cannot be read: ${messageOf(error)}`);
  }
  if (!("healthyAt" in run.facts) && run.journal["check"]?.state !== "ok")
    return wrong(`${live} is live and was never healthy`);
  const files = await readdir(join(app.places.releases, live));
  return files.length === 0 ? wrong(`the files of ${live}, which is live, are gone`) : [];
}

// A missing `previous` is no finding: a rollback works without it.
async function previousFindings(app: App, live: string): Promise<Finding[]> {
  const { previous, releases } = app.places;
  let to: string;
  try {
    to = await readlink(previous);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    if (codeOf(error) !== "EINVAL") throw error;
    return [byHand("warning", `${previous} is not a link`, `mv ${previous} ${previous}.old`)];
  }
  const id = /^releases\/([^/]+)$/.exec(to)?.[1] ?? "";
  const isGood = (await goodReleases(app)).some((past) => past.id === id);
  if (isReleaseId(id) && id !== live && isGood) return [];
  const why = id === live ? "is live" : `is not a good release whose files are there`;
  return [
    byDoctor("warning", `${previous} leads to ${to}, which ${why}`, app.name, async () => {
      const before = await releaseBefore(app, live);
      await point(previous, before && join(releases, before));
      return `${previous} ${before ? `names ${before} now` : "is removed: there is no good release before"}`;
    }),
  ];
}
