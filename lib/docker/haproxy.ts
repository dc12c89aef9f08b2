// HAProxy as an image: made of the server's own program, so that nothing is pulled from anywhere.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { run } from "../host/run.ts";
import { realm, root } from "../paths.ts";
import { docker } from "./client.ts";

const PROGRAM = "/usr/sbin/haproxy";
/** What it says when the server lacks the program. */
const INSTALL = "apt-get install --no-install-recommends haproxy";

/** Why there can be no such image, or null. */
export const noHaproxy = () => (Bun.which("haproxy", { PATH: "/usr/sbin" }) === null ? `no haproxy: ${INSTALL}` : null);

/** The name of the image of this program; an upgrade of the package gets an image of its own. */
async function imageName(): Promise<string> {
  const missing = noHaproxy();
  if (missing)
    throw new DpError("host", "this server has no haproxy, which leads to the tasks of a swarm", { hint: INSTALL });
  const bytes = await Bun.file(PROGRAM).bytes();
  const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 12);
  return `dp/haproxy${realm()}:${hash}`;
}

/** The image of HAProxy, made when it is missing; answers its name. */
export async function haproxyImage(io: Io): Promise<string> {
  const name = await imageName();
  if ((await docker(["image", "inspect", name], io, { check: false })).code === 0) return name;
  const folder = await mkdtemp(join(tmpdir(), "dp-haproxy-"));
  try {
    const archive = join(folder, "image.tar");
    const { text } = await run(["ldd", PROGRAM]);
    const files = [PROGRAM, ...[...text.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!)];
    await run(["tar", "-c", "-h", "-f", archive, "-C", "/", ...files.map((path) => path.slice(1))]);
    const changes = [`ENTRYPOINT ["${PROGRAM}"]`, `LABEL dp.root=${root() || "/"}`];
    await docker(["import", ...changes.map((change) => `--change=${change}`), archive, name], io);
    return name;
  } finally {
    await rm(folder, { recursive: true });
  }
}
