// An image of nothing but the names that Debian has at its root: what runs in it are a server's own programs, mounted.
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Io } from "../host/io.ts";
import { run } from "../host/run.ts";
import { realm, root } from "../paths.ts";
import { docker } from "./client.ts";

/** Below /usr, as on every Debian since 12. */
const LINKS = ["bin", "lib", "lib32", "lib64", "libx32"];
/** Without a link /sbin keeps the init that Docker puts there. */
const FOLDERS = ["dev", "etc", "proc", "run", "sbin", "sys", "tmp", "usr", "var"];

/** Its name, without a slash: no app has it. */
const imageName = () => `dp-empty${realm()}:1`;

/** The empty image, made when it is missing; answers its name. */
export async function emptyImage(io: Io): Promise<string> {
  const image = imageName();
  if ((await docker(["image", "inspect", image], io, { check: false })).code === 0) return image;
  const folder = await mkdtemp(join(tmpdir(), "dp-image-"));
  try {
    const files = join(folder, "files");
    await mkdir(files);
    for (const name of FOLDERS) await mkdir(join(files, name), { mode: 0o755 });
    for (const name of LINKS) await symlink(`usr/${name}`, join(files, name));
    const archive = join(folder, "image.tar");
    await run(["tar", "-c", "--owner=0", "--group=0", "--mtime=@0", "-f", archive, "-C", files, "."]);
    await docker(["import", `--change=LABEL dp.root=${root() || "/"}`, archive, image], io);
    return image;
  } finally {
    await rm(folder, { recursive: true });
  }
}
