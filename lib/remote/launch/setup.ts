// The steps `setup` and `settings` of `dp launch`: the app on the server, and what is in its env file.
import { readFile } from "node:fs/promises";
import { DpError, messageOf } from "../../errors.ts";
import { DP, failed, type Hands } from "./hands.ts";
import type { Folder } from "./folder.ts";

/** What `dp status` prints of an app, as far as it matters here. */
export interface AppThere {
  url: string;
  branch: string;
  live: string | null;
}

/** The app on the server; null: it is not set up. */
export async function appThere(hands: Hands, app: string): Promise<AppThere | null> {
  const { code, stdout } = await hands.look([DP, "status", app, "--json"]);
  if (code !== 0) return null;
  const { url, branch, live } = JSON.parse(stdout) as AppThere;
  return { url: String(url), branch: String(branch), live: live === null ? null : String(live) };
}

/** Sets the app up, unless the server's dp has done so. Throws DpError with the exit code of `dp setup`. */
export async function setUpApp(hands: Hands, { app, config }: Folder, port: number | undefined): Promise<string> {
  const there = await appThere(hands, app);
  if (there !== null && (await isSetUp(hands, app)) && (port === undefined || there.url.endsWith(`:${port}`)))
    return `${app} is set up, at ${there.url}`;
  const more = [
    ...(config.name === app ? [] : ["--for", config.name]),
    ...(port === undefined ? [] : ["--port", `${port}`]),
  ];
  const answer = await hands.change([DP, "setup", app, ...more]);
  if (answer === null) return `would set ${app} up`;
  if (answer.code !== 0) throw failed(`dp setup ${app} failed on ${hands.ssh.server.host}`, answer);
  return `${app}, at ${(await appThere(hands, app))?.url ?? "an unknown address"}`;
}

/** Whether the dp that is there has set the app up. */
async function isSetUp(hands: Hands, app: string): Promise<boolean> {
  const [noted, spoken] = [
    await hands.look(["cat", `/opt/deployments/${app}/setup.json`]),
    await hands.look([DP, "--version"]),
  ];
  const version = /^dp (\S+)/.exec(spoken.stdout)?.[1];
  return version !== undefined && noted.stdout.includes(`"${version}"`);
}

/** Puts the lines of a file into the app's settings; the push that follows uses them. */
export async function importSettings(hands: Hands, app: string, file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new DpError("usage", `--env-file ${file} cannot be read: ${messageOf(cause)}`, { cause });
  });
  const answer = await hands.change([DP, "env", app, "import", "--no-restart"], () => new Blob([text]), `cat ${file}`);
  if (answer === null) return `would take ${file}`;
  if (answer.code !== 0) throw failed(`the settings of ${file} were not taken; ${app} has those from before`, answer);
  return answer.stdout.trim().split(";")[0]!;
}
