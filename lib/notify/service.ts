// What the queue needs on this server: its folders, the user and the unit of the sender, and the targets as it reads them.
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isService, serviceDrift, words, writeUnits } from "../host/daemon/service.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { program } from "../host/self.ts";
import { systemctl } from "../host/systemd/systemd.ts";
import { UNITS, unitPath } from "../host/systemd/unit.ts";
import { render, template } from "../host/template.ts";
import { idsOf, makeSystemUser } from "../host/users.ts";
import { deployments, repositories } from "../paths.ts";
import { NOTIFY_UNIT, senderUser } from "./post.ts";
import { pathsIn } from "./queue.ts";
import { mutesFile, notifyFolder, targetsFile, type Mutes, type Targets } from "./targets.ts";

/** The user's group may read what dp writes for the sender. */
const ownerOf = async (): Promise<readonly [number, number] | undefined> => {
  const user = senderUser();
  return user === undefined ? undefined : [0, (await idsOf(user))[1]];
};

/**
 * Makes the folders and the user. The folder itself belongs to dp, so that the sender cannot put links in the places
 * that dp writes to; in `new` and `own` it may do what it likes.
 */
async function setUpFolders(io: Io): Promise<string[]> {
  const folder = notifyFolder();
  const { posted, own } = pathsIn(folder);
  const user = senderUser();
  const isNew = await setUpSenderUser(io);
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  for (const each of [folder, posted, own]) await mkdir(each, { recursive: true, mode: 0o700 });
  const owner = await ownerOf();
  if (user !== undefined && owner !== undefined) {
    for (const each of [folder, posted]) await chown(each, ...owner);
    await chmod(folder, 0o750);
    // What root puts here belongs to the group, and the sender takes it away. At boot dp may not set that bit again.
    if (((await stat(posted)).mode & 0o7777) !== 0o2770) await chmod(posted, 0o2770);
    await chown(own, ...(await idsOf(user)));
  }
  return isNew ? [`made the system user ${user}`] : [];
}

/** Makes the sender's user, as which programs of targets run also in a test; nothing where there is none of its own. */
export async function setUpSenderUser(io: Io): Promise<boolean> {
  const user = senderUser();
  return user !== undefined && makeSystemUser(user, notifyFolder(), io);
}

/** sendmail of most mail servers gets the rights of another group or user, which the full sandbox forbids. */
const needsSendmail = ({ to }: Targets) =>
  Object.values(to).some(({ kind, settings }) => kind === "mail" && settings["smtp"] === undefined);

async function unitText(targets: Targets): Promise<string> {
  const folder = notifyFolder();
  return render(await template("dp-notify.service"), {
    user: senderUser() ?? "root",
    command: words([...program("lib/notify/sender.ts"), folder]),
    writable: `${unitPath(join(folder, "new"))} ${unitPath(join(folder, "own"))}`,
    deployments: unitPath(deployments()),
    repositories: unitPath(repositories()),
    hardening: await template(needsSendmail(targets) ? "dp-notify-sendmail.conf" : "dp-notify.conf"),
  });
}

/** Makes what the sender needs, with these targets. Answers one sentence for each change. */
export async function setUpSender(targets: Targets, io: Io): Promise<string[]> {
  const changes = await setUpFolders(io);
  await keepTargets(targets);
  if (!isService()) return changes;
  const units = { [NOTIFY_UNIT]: await unitText(targets) };
  const written = await writeUnits(units);
  if (written.length === 0 && (await serviceDrift(units)).length === 0) return changes;
  await systemctl(["daemon-reload"], io);
  await systemctl(["enable", "--quiet", NOTIFY_UNIT], io);
  return [...changes, ...(written.length > 0 ? written : [`told systemd about ${UNITS}/${NOTIFY_UNIT}`])];
}

/** One sentence when the sender's unit is not as this dp writes it, or systemd does not know it. */
export const senderDrift = async (targets: Targets): Promise<string[]> =>
  isService() ? serviceDrift({ [NOTIFY_UNIT]: await unitText(targets) }) : [];

/** Removes the unit and the targets: nothing is told any more. The log stays. */
export async function removeSender(io: Io): Promise<void> {
  await removeFile(targetsFile());
  if (!isService() || !existsSync(`${UNITS}/${NOTIFY_UNIT}`)) return;
  await systemctl(["disable", "--now", "--quiet", NOTIFY_UNIT], io);
  await removeFile(`${UNITS}/${NOTIFY_UNIT}`);
  await systemctl(["daemon-reload"], io);
}

/** Writes the targets for the sender where they differ. */
export async function keepTargets(targets: Targets): Promise<void> {
  const text = `${JSON.stringify(targets)}\n`;
  if ((await readText(targetsFile())) === text) return;
  await writeFileAtomic(targetsFile(), text, senderUser() === undefined ? 0o600 : 0o640, await ownerOf());
}

/** Writes what is muted, without mutes that are over. */
export async function keepMutes({ all, apps }: Mutes, now: number): Promise<void> {
  const holds = ({ until }: { until: string }) => Date.parse(until) > now;
  const left = Object.entries(apps).filter(([, mute]) => holds(mute));
  const kept: Mutes = { all: all && holds(all) ? all : null, apps: Object.fromEntries(left) };
  await writeFileAtomic(mutesFile(), `${JSON.stringify(kept)}\n`, 0o600);
}
