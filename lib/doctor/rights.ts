// Rights and owners: what dp decides by belongs to dp, and what the app writes to the app.
import { chmod, stat } from "node:fs/promises";
import { byCommand, byDoctor, byDrift, type Check, type Finding, type Patient } from "../contracts/check.ts";
import { DpError, messageOf } from "../errors.ts";
import { envFile, places } from "../paths.ts";
import { baseDrift } from "../setup/base.ts";
import { repositoryDrift } from "../setup/repository.ts";

const check: Check = {
  summary: "rights and owners of folders and files",
  async app(patient) {
    const { app, server, io } = patient;
    const { base, config } = places(app);
    const open = await repositoryDrift(app, io);
    return [
      ...(await folderFindings(patient)),
      ...open.map((drift) => byDrift(app, drift)),
      ...(await fileFindings(app, config)),
      ...(await fileFindings(app, envFile(base, server.env))),
    ];
  },
};
export default check;

async function folderFindings({ app, server }: Patient): Promise<Finding[]> {
  try {
    return (await baseDrift(app, server.user)).map((drift) => byDrift(app, drift));
  } catch (error) {
    // The app's own user is made again.
    if (error instanceof DpError) return [byCommand("error", messageOf(error), "setup", app)];
    throw error;
  }
}

/** Files with secrets, or that decide: for dp alone. */
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
