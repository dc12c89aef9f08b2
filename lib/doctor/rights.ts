// Rights and owners: dp owns the files that it relies on, and the app owns those that it writes.
import { existsSync } from "node:fs";
import { chmod, stat } from "node:fs/promises";
import type { App } from "../contracts/app.ts";
import { byCommand, byDoctor, byDrift, type Check, type Finding } from "../contracts/check.ts";
import { DpError, messageOf } from "../errors.ts";
import { envFile } from "../config/env-file.ts";
import { baseDrift } from "../setup/base.ts";
import { unsealed } from "../release/sealing.ts";
import { repositoryDrift } from "../setup/repository.ts";

const check: Check = {
  summary: "rights and owners of folders and files",
  async app(app, io) {
    const { name, places, server } = app;
    const { base, config } = places;
    const open = await repositoryDrift(app, io);
    const loose = existsSync(places.releases) ? await unsealed(app, true) : [];
    return [
      ...(await folderFindings(app)),
      ...loose.map((path) =>
        byCommand("warning", `${path} belongs to the app's user, who can change it`, "setup", name),
      ),
      ...open.map((drift) => byDrift(name, drift)),
      ...(await fileFindings(name, config)),
      ...(await fileFindings(name, envFile(base, server.env))),
    ];
  },
};
export default check;

async function folderFindings(app: App): Promise<Finding[]> {
  const { name, server } = app;
  try {
    return (await baseDrift(app, server.user)).map((drift) => byDrift(name, drift));
  } catch (error) {
    // The repair makes the app's own user again.
    if (error instanceof DpError) return [byCommand("error", messageOf(error), "setup", name)];
    throw error;
  }
}

/** Files that contain secrets, or that dp relies on: only dp may read and write them. */
async function fileFindings(app: string, path: string): Promise<Finding[]> {
  const found = await stat(path).catch(() => null);
  if (found === null || (found.mode & 0o077) === 0) return [];
  return [
    byDoctor("error", `${path} has mode ${(found.mode & 0o777).toString(8)}: others may read it`, app, async () => {
      await chmod(path, 0o600);
      return `closed ${path} to others`;
    }),
  ];
}
