// dp's modules, where every user of the machine can read them: the clone may lie in a folder of root's.
import { chmodSync, cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const project = resolve(import.meta.dir, "../..");

/** A folder with Bun itself (`bun`), `lib`, `templates` and the packages that they need, open to all. Whoever asks removes it. */
export async function openCopy(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "dp-open-"));
  const { dependencies } = (await Bun.file(join(project, "package.json")).json()) as { dependencies: object };
  for (const part of [
    "lib",
    "templates",
    "package.json",
    ...Object.keys(dependencies).map((name) => `node_modules/${name}`),
  ])
    cpSync(join(project, part), join(folder, part), { recursive: true, dereference: true });
  cpSync(process.execPath, join(folder, "bun"));
  Bun.spawnSync(["chmod", "-R", "u+rwX,go+rX", folder]);
  chmodSync(folder, 0o755);
  return folder;
}
