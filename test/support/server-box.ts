// A test server with dp installed on it, as a new user has it after install.sh.
import type { ImageName } from "./box-image.ts";
import { type Box, startBox, until } from "./box.ts";

/** A box with dp, and the questions that tests ask of it. */
export interface Server extends Box {
  /** Runs dp as root. A failure is an answer. */
  dp(...argv: string[]): ReturnType<Box["ssh"]>;
  /** Like `dp`, but a failure throws. Returns stdout without the final newline. */
  mustDp(...argv: string[]): Promise<string>;
  /** Sets short times for apps that were set up: how long a release is watched after the switch. */
  hurry(...apps: string[]): Promise<void>;
  /** The release that `current` of an app names. */
  live(app: string): Promise<string>;
  /** The commit of a branch in an app's repository. */
  branch(app: string, name?: string): Promise<string>;
  /** What a GET of a path on a port of 127.0.0.1 answers; throws when nothing answers, or not with 2xx. */
  get(port: number, path?: string): Promise<string>;
  /** The instances of an app that run, `ID`, sorted by name. */
  instances(app: string): Promise<string[]>;
  /** Waits until the newest run of an app satisfies `probe`; answers it. */
  untilRun(app: string, what: string, probe: (run: Run) => boolean): Promise<Run>;
  /** The newest run file of an app, or null. */
  newestRun(app: string): Promise<Run | null>;
}

/** What tests read in a run file. */
export interface Run {
  facts: { id: string; sha: string; release?: string; downtime?: number | null };
  journal: Record<string, { state: string; took?: number; error?: string }>;
  result?: { state: string; code: number; error?: string };
}

/** Boots a server and installs dp from this project with the Bun that runs the tests. */
export async function startServer(name: string, image?: ImageName): Promise<Server> {
  const box = await startBox(name, image);
  try {
    await box.copyTree("/srv/dp");
    await box.copyIn(process.execPath, "/usr/local/lib/bun");
    await box.must("DP_BUN=/usr/local/lib/bun /srv/dp/install.sh");
  } catch (error) {
    await box.stop();
    throw error;
  }
  return { ...box, ...questions(box) };
}

const NEWEST = 'cd "$1" && f=$(ls | grep json$ | sort -n | tail -n 1) && [ -n "$f" ] && cat "$f"';

function questions(box: Box): Omit<Server, keyof Box> {
  const newestRun = async (app: string) => {
    const answer = await box.ssh(["sh", "-c", NEWEST, "sh", `/opt/deployments/${app}/runs`]);
    return answer.code === 0 ? (JSON.parse(answer.stdout) as Run) : null;
  };
  return {
    newestRun,
    async hurry(...apps) {
      for (const app of apps) await box.must(`echo 'verifyTime: 300ms' >> /opt/deployments/${app}/config.yml`);
    },
    dp: (...argv) => box.ssh(["dp", ...argv]),
    mustDp: (...argv) => box.must(["dp", ...argv]),
    branch: (app, name = "main") => box.must(["git", "--git-dir", `/var/repos/${app}.git`, "rev-parse", name]),
    get: (port, path = "/") => box.must(["curl", "-sSf", "--max-time", "10", `http://127.0.0.1:${port}${path}`]),
    live: async (app) => (await box.must(["readlink", `/opt/deployments/${app}/current`])).split("/").at(-1)!,
    async instances(app) {
      const states = "--state=active,activating,deactivating,failed";
      const units = await box.must(["systemctl", "list-units", "--plain", "--no-legend", states, `${app}@*`]);
      const names = units.split("\n").map((line) => line.split(/\s/, 1)[0] ?? "");
      return names
        .filter(Boolean)
        .map((unit) => unit.slice(app.length + 1, -".service".length))
        .sort();
    },
    async untilRun(app, what, probe) {
      let run: Run | null = null;
      await until(what, async () => (run = await newestRun(app)) !== null && probe(run));
      return run!;
    },
  };
}
