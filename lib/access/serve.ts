// Where the program begins that git's commands start for a push or a fetch: without the command line, which takes longer to
// load than all else that comes before git.
import { takeCompilers } from "../host/compilers.ts";
import { guarded } from "../main.ts";
import { namedApp } from "../release/named-app.ts";
import { gitService, serveGit } from "./serve-git.ts";

/** Serves git, and exits by itself: a hanging file operation would keep this process alive, and the client waiting. */
export async function serve(service: string, name: string): Promise<never> {
  process.exit(await serveGit(namedApp(name), gitService(service)));
}

/** The same as a whole program, which tells its errors. */
export function main(service: string, name: string): Promise<void> {
  takeCompilers();
  return guarded(() => serve(service, name));
}
