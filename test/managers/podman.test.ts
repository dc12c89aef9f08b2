// The manager of docker apps over podman, by its docker command.
import { afterAll, beforeAll, describe } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { baseFolder, enter, type Engine } from "../support/engine.ts";
import { podmanUnavailable, startPodman } from "../support/podman.ts";
import { BASE, containersOf } from "./containers.ts";
import { managerContract } from "./contract.ts";

const why = podmanUnavailable();

describe.skipIf(why !== null)(`podman${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let folder: string;
  let engine: Engine;
  let leave: () => void;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "dp-podman-base-"));
    chmodSync(folder, 0o755);
    engine = await startPodman();
    leave = enter(engine, folder);
    await engine.import(BASE, baseFolder(join(folder, "base")));
  });

  afterAll(async () => {
    await engine.stop();
    leave();
    rmSync(folder, { recursive: true });
  });

  managerContract(() => {
    const subject = containersOf(engine, folder);
    return { ...subject, container: { ...subject.container!, staysDownAfterZero: true } };
  });
});
