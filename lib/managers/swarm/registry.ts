// The registry from which the nodes of the swarm get images: Debian's, in a container on one manager. It listens on that
// server's address in the swarm alone, by TLS, and answers only who has the nodes' certificate.
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { docker } from "../../docker/client.ts";
import { programImage } from "../../docker/program-image.ts";
import { membership } from "../../docker/swarm.ts";
import { namesIn, readText, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { template } from "../../host/template.ts";
import { realm, root } from "../../paths.ts";
import { makeCertificates, readCertificate } from "./certificates.ts";
import { accessFolder } from "./registry-client.ts";

const PORT = 5000;

/** The folder of what dp keeps about the registry: its certificates and its images. */
const registryFolder = () => `${root()}/var/lib/dp/registry`;
/** The folder of its certificates. */
export const certificatesFolder = () => join(registryFolder(), "certificates");
const addressFile = () => join(registryFolder(), "address");
/** The file whose lock is shared while an image is sent, and alone while parts of images are removed. */
export const pushLock = () => join(registryFolder(), "lock");
const containerName = () => `dp-registry${realm()}`;

/** What a server needs to use the registry; the key is a secret. */
export const access = v.object({
  address: v.pipe(v.string(), v.regex(/^[0-9a-fA-F.:[\]]+:\d{1,5}$/)),
  ca: v.string(),
  certificate: v.string(),
  key: v.string(),
});
export type Access = v.InferOutput<typeof access>;

/** The registry's address, `10.0.0.1:5000`, or null when there is none. */
export const registryAddress = async () => (await readText(addressFile()))?.trim() || null;

const text = async (name: string) => (await readText(join(certificatesFolder(), name))) ?? "";

/** What the nodes need to use the registry of this server, or null when there is none. */
export async function registryAccess(): Promise<Access | null> {
  const address = await registryAddress();
  if (address === null) return null;
  return { address, ca: await text("ca.crt"), certificate: await text("node.crt"), key: await text("node.key") };
}

/** Lets Docker on this server use a registry. It reads these files at each use: nothing is started again. */
export async function useRegistry({ address, ca, certificate, key }: Access): Promise<void> {
  const folder = accessFolder(address);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await writeFileAtomic(join(folder, "ca.crt"), ca, 0o644);
  await writeFileAtomic(join(folder, "client.key"), key, 0o600);
  await writeFileAtomic(join(folder, "client.cert"), certificate, 0o644);
}

/** The folders with the nodes' certificate by which Docker on this server gets images from a registry of dp's. */
export async function accessFolders(): Promise<string[]> {
  const parent = `${root()}/etc/docker/certs.d`;
  const folders = (await namesIn(parent)).map((name) => join(parent, name));
  const subjects = await Promise.all(folders.map((folder) => readCertificate(join(folder, "client.cert"))));
  return folders.filter((_, index) => subjects[index]?.subject === "CN=dp node");
}

/**
 * Makes the registry of this server when it is missing, starts it when it does not run, and renews its certificates
 * shortly before their end; answers its access.
 */
export async function ensureRegistry(io: Io): Promise<Access> {
  const { NodeAddr } = await membership();
  const before = await registryAddress();
  const address = before ?? `${NodeAddr.includes(":") ? `[${NodeAddr}]` : NodeAddr}:${PORT}`;
  const folder = registryFolder();
  for (const each of [folder, join(folder, "images")]) await mkdir(each, { recursive: true, mode: 0o700 });
  const ip = address.replace(/:\d+$/, "").replace(/[[\]]/g, "");
  if (await makeCertificates(certificatesFolder(), ip)) {
    if (before !== null) io.warn("the certificates of the registry are new: invite every other server again");
    await docker(["container", "rm", "--force", containerName()], io, { check: false });
  }
  await writeFileAtomic(join(folder, "config.yml"), await template("swarm/registry.yml"), 0o600);
  await runRegistry(address, io);
  await writeFileAtomic(addressFile(), `${address}\n`, 0o644);
  const own = (await registryAccess())!;
  await useRegistry(own);
  return own;
}

async function runRegistry(address: string, io: Io): Promise<void> {
  const folder = dirname(addressFile());
  const asked = ["container", "inspect", "--format", "{{.State.Running}}", containerName()];
  if ((await docker(asked, io, { check: false })).text.trim() === "true") return;
  const image = await programImage("registry", io);
  await docker(["container", "rm", "--force", containerName()], io, { check: false });
  const options = [
    ...["--detach", `--name=${containerName()}`, "--restart=unless-stopped", "--pull=never", "--read-only"],
    // The files are dp's, whose user may be another one than root.
    ...[
      "--cap-drop=ALL",
      "--cap-add=DAC_OVERRIDE",
      "--security-opt=no-new-privileges",
      "--log-opt=max-size=1m",
      `--publish=${address}:${PORT}`,
    ],
    `--mount=type=bind,source=${folder}/images,target=/images`,
    `--mount=type=bind,source=${folder}/certificates,target=/certificates,readonly`,
    `--mount=type=bind,source=${folder}/config.yml,target=/config.yml,readonly`,
  ];
  await docker(["run", ...options, image, "serve", "/config.yml"], io);
}

/** Removes from the registry's disk what belongs to no image. Nobody may send one meanwhile. */
export async function collectGarbage(io: Io): Promise<void> {
  const words = ["/usr/bin/docker-registry", "garbage-collect", "/config.yml"];
  await docker(["exec", containerName(), ...words], io);
}
