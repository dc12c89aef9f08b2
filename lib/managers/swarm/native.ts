// Apps without a Dockerfile: their image has the release, its dependencies and nothing of Debian. Each server mounts its own
// /usr, so the servers must be alike in what the app runs on.
import { existsSync, realpathSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Instance } from "../../contracts/manager.ts";
import { docker } from "../../docker/client.ts";
import { emptyImage } from "../../docker/empty-image.ts";
import { imageLabel, imageName } from "../../docker/names.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { treeOf } from "../../host/release-folder.ts";
import { run } from "../../host/run.ts";
import { idsOf } from "../../host/users.ts";
import { places, root, runtimes } from "../../paths.ts";
import { releaseOf } from "../../text/ids.ts";

/** How long one image may take, in ms. */
const PATIENCE = 15 * 60_000;
const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

/** Whether an instance's image is made by the manager, and not by the commit's Dockerfile. */
export const isNative = ({ config }: Pick<Instance, "config">) => config.type !== "docker";

const isBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** The user of a native instance in its containers, as numbers: other servers may not know the name. */
export async function userOf({ user }: Pick<Instance, "user">): Promise<[uid: number, gid: number]> {
  return user === undefined ? [process.getuid!(), process.getgid!()] : idsOf(user);
}

/** The folder in which a native instance works: that of the release whose files it uses. */
export function workFolder({ app, id, folder }: Instance): string {
  const { releases } = places(app);
  const release = releaseOf(id);
  return folder.replace(join(releases, release), join(releases, treeOf(releases, release)));
}

/** The interpreter's own folder when dp installed it, otherwise null. Throws DpError "config" when servers cannot share it. */
function interpreterFolder({ runsOn }: Instance): string | null {
  const found = runsOn?.interpreter;
  if (!found) return null;
  const program = realpathSync(found.program);
  if (isBelow(program, "/usr")) return null;
  const own = runtimes();
  if (isBelow(program, own)) return join(own, program.slice(own.length + 1).split("/")[0]!);
  throw new DpError("config", `the app runs on ${found.program}, which other servers of the swarm cannot get`, {
    hint: `apt-get install ${found.name === "node" ? "nodejs" : "python3"} on every server, or: dp runtimes install ${found.name} ${found.version}`,
  });
}

/** Throws DpError "config" for an instance that can only run on this server. */
export function requireShareable(instance: Instance): void {
  const { shared, type } = instance.config;
  const [path] = [...(shared?.dirs ?? []), ...(shared?.files ?? [])];
  if (path !== undefined)
    throw new DpError(
      "config",
      `${path} is shared between releases, and an app of type ${type} in a swarm has no such files`,
      {
        hint: "keep the data in a database, or make the app one of type docker",
      },
    );
  interpreterFolder(instance);
}

/** What its image has besides the release, each folder at its own path: first what changes least. */
function foldersOf(instance: Instance): string[] {
  const { dependencies = null, path = [] } = instance.runsOn ?? {};
  const all = [interpreterFolder(instance), dependencies, ...path].filter((each) => each !== null);
  const { releases } = places(instance.app);
  const apart = all.filter((each) => !isBelow(each, "/usr") && !isBelow(each, releases) && existsSync(each));
  return apart.filter((each, at) => !apart.some((other, index) => index < at && isBelow(each, other)));
}

const copy = (owner: string, folder: string) => `COPY --chown=${owner} ${JSON.stringify([folder.slice(1), folder])}\n`;

/** The few files of /etc without which programs stumble. */
async function writeEtc(folder: string, { app }: Instance, [uid, gid]: readonly [number, number]): Promise<void> {
  await mkdir(join(folder, "etc/ssl/certs"), { recursive: true });
  const file = (name: string, text: string) => writeFile(join(folder, "etc", name), text);
  const own = uid === 0 ? "" : `app:x:${uid}:${gid}::${places(app).home}:/bin/sh\n`;
  await file("passwd", `root:x:0:0:root:/root:/bin/sh\n${own}`);
  await file("group", `root:x:0:\n${gid === 0 ? "" : `app:x:${gid}:\n`}`);
  await file("nsswitch.conf", "hosts: files dns\n");
  if (existsSync(AUTHORITIES)) await copyFile(AUTHORITIES, join(folder, AUTHORITIES));
}

/** Makes the image of the release whose files an instance uses, when it is missing. */
export async function makeImage(instance: Instance, io: Io): Promise<void> {
  const { app } = instance;
  const { releases } = places(app);
  const id = treeOf(releases, releaseOf(instance.id));
  const image = imageName({ app, id });
  if ((await docker(["image", "inspect", image], io, { check: false })).code === 0) return;
  const ids = await userOf(instance);
  // The app may read its files, and change none: as with the other managers.
  const owner = process.getuid?.() === 0 ? `0:${ids[1]}` : ids.join(":");
  const folders = [...foldersOf(instance), join(releases, id)];
  const temporary = await mkdtemp(join(tmpdir(), "dp-image-"));
  try {
    await writeEtc(temporary, instance, ids);
    const lines = [
      `FROM ${await emptyImage(io)}\n`,
      'COPY ["etc", "/etc"]\n',
      ...folders.map((each) => copy(owner, each)),
    ];
    await writeFile(join(temporary, "Dockerfile"), lines.join(""));
    const archive = join(temporary, "context.tar");
    const words = ["-C", temporary, "Dockerfile", "etc", "-C", "/", ...folders.map((each) => each.slice(1))];
    await run(["tar", "-c", "-f", archive, ...words], { timeout: PATIENCE });
    const context = await open(archive);
    try {
      const options = [`--tag=${image}`, imageLabel({ app, id }), "--force-rm"];
      await docker(["build", ...options, "-"], io, { stdin: context.fd, timeout: PATIENCE });
    } finally {
      await context.close();
    }
  } finally {
    await rm(temporary, { recursive: true });
  }
}

const bind = (path: string) => ({ Type: "bind", Source: path, Target: path, ReadOnly: true });
const scratch = (path: string) => ({ Type: "tmpfs", Target: path, TmpfsOptions: { Mode: 0o1777 } });

/** What a native container sees of its server, and what it may write: nothing of that stays. */
export const nativeMounts = (app: string) => [
  bind("/usr"),
  bind("/etc/alternatives"),
  // A DP_ROOT in /tmp has the app's files there.
  ...(isBelow(root(), "/tmp") ? [] : [scratch("/tmp")]),
  scratch(places(app).home),
];
