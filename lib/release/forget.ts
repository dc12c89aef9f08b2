// What is kept for an instance, removed once it has stopped: its manager's files and its port.
import type { App } from "../contracts/app.ts";
import type { Io } from "../host/io.ts";
import { knownInstances } from "./manager.ts";
import { givePortBack } from "./ports.ts";

/** Forgets a stopped instance: its manager's files and its port. Safe to repeat. */
export async function forget(app: App, id: string, io: Io): Promise<void> {
  await app.manager.forget({ app: app.name, id }, io);
  await givePortBack(app, id);
}

/** The same for all instances of a release. */
export async function forgetRelease(app: App, release: string, io: Io): Promise<void> {
  const known = (await knownInstances(app, release)).filter((id) => id !== release);
  for (const id of [release, ...known]) await forget(app, id, io);
}
