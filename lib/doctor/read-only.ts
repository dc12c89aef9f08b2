// Live releases whose app wants to write into its files, or has a database among them.
import { byHand, type Check } from "../contracts/check.ts";
import type { App } from "../contracts/app.ts";
import { commitTree } from "../git/tree.ts";
import { hintForLines } from "../health/hints.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { factsOfRelease } from "../release/instance.ts";
import { strayData } from "../release/stray-data.ts";
import { liveWeb } from "../release/wanted.ts";

/** The last lines of the app's output that are read. */
const LINES = 500;

async function linesOf({ name, manager }: App, id: string): Promise<string[]> {
  const lines: string[] = [];
  const options = { lines: LINES, follow: false, onLine: (line: string) => void lines.push(line) };
  await manager.logs({ app: name, id }, options, makeIo(silentLog));
  return lines;
}

const check: Check = {
  summary: "that no app wants to write into its release",
  atRest: true,
  async app(app) {
    const live = await liveWeb(app);
    if (!live) return [];
    const { release, sha } = await factsOfRelease(app, live);
    const found = await strayData(release, commitTree(app.places.repo, sha), app.server.user);
    const hint = hintForLines(await linesOf(app, live));
    if (hint !== null) found.push(hint);
    return found.map((what) => byHand("warning", `${app.name}@${live}: ${what}`, "dp help shared-files"));
  },
};
export default check;
