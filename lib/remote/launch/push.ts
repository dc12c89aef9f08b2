// The step `push` of `dp launch`: the first deploy, by git as the user would type it.
import type { Folder } from "./folder.ts";
import { here, type Hands } from "./hands.ts";

/** Whether the branch on the server is the commit already. */
export async function isPushed({ sha }: Folder, url: string, branch: string): Promise<boolean> {
  const { code, text } = await here("git", "ls-remote", "--", url, `refs/heads/${branch}`);
  return code === 0 && text.startsWith(sha);
}

/** Pushes; git's answer is shown as it comes. Answers git's exit code. */
export async function push(hands: Hands, remote: string, branch: string): Promise<number> {
  return (await hands.changeHere(["git", "push", remote, `HEAD:${branch}`])) ?? 0;
}
