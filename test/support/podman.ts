// A real podman for the tests of one file, by a docker command such as podman-docker's: its own images, containers and /run.
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { script } from "./box-host.ts";
import { commands, keep, type Engine } from "./engine.ts";

const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** Why podman cannot run here, or null. With CI set and as root that is a failure: a run must not go green by skipping. */
export function podmanUnavailable(): string | null {
  const why = unavailable();
  if (why !== null && process.env["CI"] === "true" && process.getuid?.() === 0) throw new Error(`no podman: ${why}`);
  return why;
}

function unavailable(): string | null {
  if (process.getuid?.() !== 0) return "containers of podman need root";
  const needed = ["podman", "catatonit", "slirp4netns", "unshare", "nsenter", "busybox"];
  const missing = needed.filter((name) => Bun.which(name, { PATH: `${PATH}:/usr/libexec/podman` }) === null);
  if (missing.length > 0)
    return `there is no ${missing.join(", ")}: apt-get install podman catatonit slirp4netns busybox-static`;
  const may = (line: string) => Bun.spawnSync(["sh", "-c", line], { env: { PATH } }).exitCode === 0;
  return may("unshare --mount --propagation private mount -t tmpfs tmpfs /run")
    ? null
    : "this root may not make mount namespaces";
}

// Its network needs neither bridge nor firewall, its groups no systemd, and its limits no more rights than a container may have.
const containersConf = `[containers]
netns = "slirp4netns"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`;
const storageConf = (folder: string) => `[storage]
driver = "overlay"
graphroot = "${folder}/storage"
runroot = "/run/containers/storage"
`;
// The words are those of Debian's package. A build's RUN lines get no network of their own, which would need a firewall.
const program = (folder: string) => `#!/bin/sh
echo "Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg." >&2
export BUILDAH_ISOLATION=chroot CONTAINERS_CONF=${folder}/containers.conf CONTAINERS_STORAGE_CONF=${folder}/storage.conf
exec nsenter "--mount=/proc/$(cat ${folder}/holder)/ns/mnt" /usr/bin/podman "$@"
`;

/** Makes room for podman; it has no daemon. */
export async function startPodman(): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), "dp-podman-"));
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(folder, "containers.conf"), containersConf);
  writeFileSync(join(folder, "storage.conf"), storageConf(folder));
  writeFileSync(join(bin, "docker"), program(folder));
  chmodSync(join(bin, "docker"), 0o755);
  const kept = await keep(folder, [script("podman.sh"), folder]);
  return { ...kept, ...commands(folder, [join(bin, "docker")]), variables: (path) => ({ PATH: `${bin}:${path}` }) };
}
