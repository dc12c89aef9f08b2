// The records of deploys: an unreadable one hides the outcome of its release.
import { lstatSync } from "node:fs";
import { chmod, rename } from "node:fs/promises";
import { byDoctor, byHand, type Check, type Finding } from "../contracts/check.ts";
import { load } from "../pipeline/run-file.ts";
import { DpError } from "../errors.ts";
import { DAMAGED, runFile, runIds } from "../release/history.ts";

const check: Check = {
  summary: "the records of deploys",
  atRest: true,
  async app(app) {
    const live = await app.live().catch(() => null);
    const findings: Finding[] = [];
    for (const id of await runIds(app)) {
      const path = runFile(app, id);
      try {
        await load(path);
      } catch (error) {
        if (!(error instanceof DpError)) throw error;
        findings.push(...findingsOf(app.name, path, id === live, error));
      }
    }
    return findings;
  },
};
export default check;

function findingsOf(app: string, path: string, isLive: boolean, { message: what, reason }: DpError): Finding[] {
  const stat = lstatSync(path);
  if (stat.isFile() && stat.uid === process.getuid?.() && stat.mode & 0o022)
    return [byDoctor("error", what, app, () => close(path))];
  // The live release's record is reported with the release, and a record of a newer dp is not damaged.
  if (isLive) return [];
  if (reason === "version") return [byHand("warning", what, "install the dp that wrote it")];
  return [byDoctor("warning", what, app, () => putAside(path))];
}

async function close(path: string): Promise<string> {
  await chmod(path, 0o600);
  return `closed ${path} to others`;
}

async function putAside(path: string): Promise<string> {
  await rename(path, `${path}${DAMAGED}`);
  return `moved ${path} to ${path}${DAMAGED}`;
}
