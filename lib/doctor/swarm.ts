// The Docker Swarm of this server: its servers, the registry of their images, and the certificates for that.
import { join } from "node:path";
import { appNames, readServer } from "../config/server.ts";
import { byHand, type Check, type Finding } from "../contracts/check.ts";
import { membership, servicesWith, tasksOf, nodes } from "../docker/swarm.ts";
import { isThere, managerProblems, nodeRows } from "../docker/swarm-health.ts";
import { DpError, messageOf } from "../errors.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { isEnding, readCertificate } from "../managers/swarm/certificates.ts";
import { SWEEP } from "../managers/swarm/names.ts";
import { accessFolders, certificatesFolder, ensureRegistry, registryAddress } from "../managers/swarm/registry.ts";
import { requireRegistry } from "../managers/swarm/registry-client.ts";
import { places, root } from "../paths.ts";

const check: Check = {
  summary: "the Docker Swarm, its servers and its registry",
  async server() {
    const [address, folders] = [await registryAddress(), await accessFolders()];
    if (address === null && folders.length === 0 && !(await isUsed())) return [];
    const found = await certificateFindings(address, folders);
    const { LocalNodeState, ControlAvailable } = await membership();
    if (LocalNodeState !== "active") return [...found, outside(LocalNodeState)];
    if (address !== null) found.push(...(await registryFindings(address)));
    else if (!ControlAvailable) for (const folder of folders) found.push(...(await accessFindings(folder)));
    return ControlAvailable ? [...found, ...(await nodeFindings())] : found;
  },
};
export default check;

/** Whether an app of this server runs in a swarm. */
async function isUsed(): Promise<boolean> {
  for (const name of await appNames()) {
    // Its own check names a mistake in config.yml.
    const server = await readServer(places(name)).catch(() => null);
    if (server?.manager === "swarm") return true;
  }
  return false;
}

const outside = (state: string): Finding =>
  byHand("error", `this server is not in its swarm, it is ${state}`, "dp swarm init, or on a manager: dp swarm invite");

const INVITE = "dp swarm invite | ssh root@SERVER dp swarm join";

async function certificateFindings(address: string | null, folders: readonly string[]): Promise<Finding[]> {
  const own = address === null ? [] : ["registry.crt", "node.crt"].map((name) => join(certificatesFolder(), name));
  const files = [...own, ...folders.map((folder) => join(folder, "client.cert"))];
  const found: Finding[] = [];
  for (const file of files) {
    const certificate = await readCertificate(file);
    if (certificate === null || !isEnding(certificate)) continue;
    const isOver = Date.parse(certificate.validTo) <= Date.now();
    const day = new Date(certificate.validTo).toISOString().slice(0, 10);
    const what = `${file} ${isOver ? "ended" : "ends"} on ${day}: the swarm gets no images without it`;
    found.push(byHand(isOver ? "error" : "warning", what, `for each server, on the manager: ${INVITE}`));
  }
  return found;
}

async function registryFindings(address: string): Promise<Finding[]> {
  try {
    await requireRegistry(address);
    return [];
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    const fix = async () => {
      await ensureRegistry(makeIo(silentLog));
      return "the swarm's registry runs";
    };
    return [{ severity: "error", what: messageOf(error), command: "dp doctor --fix", fix }];
  }
}

async function accessFindings(folder: string): Promise<Finding[]> {
  const address = folder.slice(folder.lastIndexOf("/") + 1);
  try {
    await requireRegistry(address);
    return [];
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return [byHand("error", messageOf(error), `on the manager: ${INVITE}`)];
  }
}

async function nodeFindings(): Promise<Finding[]> {
  try {
    const rows = await nodeRows();
    const away = rows
      .filter((row) => !isThere(row))
      .map(({ name, state }) => {
        const command = `on it: systemctl start docker; if it is lost: dp swarm remove ${name}`;
        return byHand("error", `${name} is ${state}: its tasks run on the others`, command);
      });
    const drained = rows.filter(({ state }) => /, (?:drain|pause)$/.test(state));
    return [
      ...away,
      ...managerProblems(rows).map((what) => byHand("error", what, "dp swarm")),
      ...drained.map(({ name }) => byHand("note", `${name} takes no tasks`, `dp swarm ready ${name}`)),
      ...(await sweepFindings()),
    ];
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return [byHand("error", messageOf(error), error.hint ?? "dp swarm")];
  }
}

/** The servers on which the last removal of old images failed: one without access to the registry cannot even start it. */
async function sweepFindings(): Promise<Finding[]> {
  const jobs = (await servicesWith({ "dp.root": root() || "/" })).filter(({ Spec }) => SWEEP in Spec.Labels);
  const tasks = (await Promise.all(jobs.map(tasksOf))).flat();
  return (await nodes()).flatMap(({ ID, Description: { Hostname: name }, Status: { Addr } }): Finding[] => {
    const own = tasks.filter(({ NodeID }) => NodeID === ID);
    const last = own.findLast(({ Status: { State } }) => State === "rejected" || State === "failed");
    // Docker tries again, until it succeeds.
    if (last === undefined || own.some(({ Status: { State } }) => State === "complete")) return [];
    const isRejected = last.Status.State === "rejected";
    const command = `dp swarm invite | ssh root@${Addr} dp swarm join`;
    if (isRejected) return [byHand("error", `${name} cannot get images: ${last.Status.Err}`, command)];
    return [byHand("warning", `old images stay on ${name}: ${last.Status.Err}`, "on it: docker image prune --all")];
  });
}
