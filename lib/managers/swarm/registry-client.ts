// What dp asks the swarm's registry by its API: whether it answers, which tags it has, and to forget an image.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { DpError, messageOf } from "../../errors.ts";
import { root } from "../../paths.ts";

const PATIENCE = 10_000;
/** Whatever kind an image has, its own manifest is asked for: another one would have another digest. */
const KINDS = [
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
].join(", ");

/** The folder of what Docker on this server shows to a registry. */
export const accessFolder = (address: string) => `${root()}/etc/docker/certs.d/${address}`;

async function send(address: string, path: string, method = "GET"): Promise<Response> {
  const folder = accessFolder(address);
  const read = (name: string) => readFile(join(folder, name), "utf8");
  try {
    return await fetch(`https://${address}/v2/${path}`, {
      ...({ proxy: "" } as BunFetchRequestInit),
      method,
      headers: { Accept: KINDS },
      redirect: "manual",
      keepalive: false,
      signal: AbortSignal.timeout(PATIENCE),
      tls: { ca: await read("ca.crt"), cert: await read("client.cert"), key: await read("client.key") },
    });
  } catch (error) {
    throw new DpError("host", `the swarm's registry, ${address}, cannot be reached: ${messageOf(error)}`, {
      hint: "on the manager with the registry: dp doctor --fix",
      cause: error,
    });
  }
}

function refused(address: string, path: string, { status }: Response): DpError {
  return new DpError("host", `the swarm's registry, ${address}, answers ${status} to ${path || "/v2/"}`, {
    hint: "on the manager with the registry: docker logs its container",
  });
}

/** Throws DpError "host" unless the registry answers this server. */
export async function requireRegistry(address: string): Promise<void> {
  const response = await send(address, "");
  if (!response.ok) throw refused(address, "", response);
}

/** The tags of a repository; none when it is empty, or not there. */
export async function tagsOf(address: string, repository: string): Promise<string[]> {
  const path = `${repository}/tags/list`;
  const response = await send(address, path);
  if (response.status === 404) return [];
  if (!response.ok) throw refused(address, path, response);
  return v.parse(v.object({ tags: v.nullish(v.array(v.string())) }), await response.json()).tags ?? [];
}

/** The digest that a tag stands for; null: there is no such tag. Throws DpError "host" when the registry does not say. */
export async function digestOf(address: string, repository: string, tag: string): Promise<string | null> {
  const path = `${repository}/manifests/${tag}`;
  const response = await send(address, path, "HEAD");
  if (response.status === 404) return null;
  const digest = response.headers.get("Docker-Content-Digest");
  if (!response.ok || digest === null) throw refused(address, path, response);
  return digest;
}

/** Lets the registry forget an image, with all tags that stand for it. Safe to repeat. */
export async function forgetImage(address: string, repository: string, digest: string): Promise<void> {
  const path = `${repository}/manifests/${digest}`;
  const response = await send(address, path, "DELETE");
  if (!response.ok && response.status !== 404) throw refused(address, path, response);
}
