// Serves git over the caller's stdin and stdout: one push to, or fetch from, the repository of one app.
import type { NamedApp } from "../contracts/app.ts";
import { plainEnv } from "../host/run.ts";
import { loginEnv } from "../host/who.ts";

/** The half of git's protocol that a server speaks. */
export type GitService = "receive-pack" | "upload-pack";

/** Runs that service of git for the app's repository until the client is done; answers the exit code. */
export async function serveGit(app: NamedApp, service: GitService): Promise<number> {
  const protocol = process.env["GIT_PROTOCOL"];
  const git = Bun.spawn(["git", service, app.places.repo], {
    cwd: "/",
    // The hooks are dp again, on behalf of the same person.
    env: { ...plainEnv(), ...loginEnv(), ...(protocol === undefined ? {} : { GIT_PROTOCOL: protocol }) },
    stdio: ["inherit", "inherit", "inherit"],
  });
  return git.exited;
}
