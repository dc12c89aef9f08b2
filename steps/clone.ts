#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Unpacks the commit's files into releases/ID, owned by the build user, without a git folder.
import { appOf } from "../lib/release/app.ts";
import { closeSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { hasRoom } from "../lib/host/ballast.ts";
import { appEnvironment } from "../lib/release/environment.ts";
import { buildEnvironment, readyBuilder } from "../lib/release/builder.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { git } from "../lib/git/git.ts";
import { fetchLfs } from "../lib/git/lfs.ts";
import { fetchEnv, NO_FILTERS, ownSource } from "../lib/git/source.ts";
import { layOutSubmodules } from "../lib/git/submodules.ts";
import { pipe } from "../lib/host/process/libc.ts";
import { removeFailed } from "../lib/release/prune.ts";
import { keepSettings } from "../lib/release/settings.ts";
import { removeTree } from "../lib/host/remove.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { idsOf } from "../lib/host/users.ts";

const step = defineStep(import.meta.path, {
  summary: "Write the files of the commit as a release",
  needs: { app: fact.app, sha: fact.sha, id: fact.id, server: fact.server },
  provides: { release: fact.release },
  async run({ sha, id, ...given }, io) {
    const app = await appOf(given);
    const { repo, releases } = app.places;
    const { stepTimeout: timeout } = app.server;
    // Settings are kept once: whatever happens to the env file meanwhile, build, hooks and app get the same.
    await keepSettings(app, id);
    const user = await readyBuilder(app, io);
    const release = join(releases, id);
    await removeTree(release, user, io); // A killed run may have left half a tree
    await mkdir(release, { mode: 0o750 });
    await chmod(release, 0o750);
    // The app's user may read the release, by its group.
    const reader = app.server.user;
    if (user && reader) await chown(release, (await idsOf(user))[0], (await idsOf(reader))[1]);
    const [read, write] = pipe();
    const archiving = { stdout: write, timeout, signal: io.signal, onLine: (line: string) => io.output(line) };
    const archive = git(repo, [...NO_FILTERS, "archive", "--format=tar", sha], archiving).finally(() =>
      closeSync(write),
    );
    // tar runs as the build user: whatever the archive contains, it can write only where that user can.
    const unpack = 'umask 022 && exec tar -x -f - --no-same-owner -C "$1"';
    const extract = io
      .run(["sh", "-c", unpack, "sh", release], { stdin: read, user, timeout })
      .finally(() => closeSync(read));
    const [archived, extracted] = await Promise.allSettled([archive, extract]);
    if (archived.status === "rejected") throw archived.reason;
    if (extracted.status === "rejected") throw extracted.reason;
    const env = buildEnvironment(app, await appEnvironment({ app, sha, release }), user);
    const fetcher = { user, timeout, env: fetchEnv(env) };
    const source = ownSource(repo, sha, io.signal);
    await fetchLfs(source, release, fetcher, io);
    await layOutSubmodules(source, release, fetcher, io);
    await io.run(["sync", "-f", release], { timeout });
    return { release };
  },
  // The newest failed release stays, as evidence. Earlier failed ones go, and so does this one if it filled the disk.
  async undo({ id, ...given }, io) {
    const app = await appOf(given);
    await removeFailed(app, id, io);
    if (!(await hasRoom())) await removeTree(join(app.places.releases, id), app.server.user, io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
