// A program of the server as an image, with what it is linked to: so nothing is pulled from anywhere.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DpError } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { run } from "../host/run.ts";
import { realm, root } from "../paths.ts";
import { docker } from "./client.ts";

interface Program {
  path: string;
  /** Debian's package. */
  from: string;
  /** What has to be typed after its installation. */
  after: string;
}

/** The programs of which dp makes images. */
const PROGRAMS = {
  haproxy: { path: "/usr/sbin/haproxy", from: "haproxy", after: "" },
  // Its package starts a registry of its own, on the port that dp's needs.
  registry: {
    path: "/usr/bin/docker-registry",
    from: "docker-registry",
    after: " && systemctl disable --now docker-registry",
  },
} as const satisfies Record<string, Program>;
export type ProgramName = keyof typeof PROGRAMS;

const install = ({ from, after }: Program) => `apt-get install --no-install-recommends ${from}${after}`;

/** Why there can be no such image, or null. */
export async function missingProgram(name: ProgramName): Promise<string | null> {
  const program = PROGRAMS[name];
  return (await Bun.file(program.path).exists()) ? null : `this server has no ${program.from}: ${install(program)}`;
}

/** The name of a program's image; an upgrade of the package gets an image of its own. */
async function imageName(name: ProgramName): Promise<string> {
  const program = PROGRAMS[name];
  if (await missingProgram(name))
    throw new DpError("host", `this server has no ${program.from}, which its swarm needs`, { hint: install(program) });
  const bytes = await Bun.file(program.path).bytes();
  const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex").slice(0, 12);
  return `dp/${name}${realm()}:${hash}`;
}

/** The files that a program is linked to; none when it is linked to nothing. */
async function linkedTo(path: string): Promise<string[]> {
  const { text } = await run(["ldd", path], { check: false });
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(([, file]) => file!);
}

/** The image of a program, made when it is missing; answers its name. Throws DpError "host" without the program. */
export async function programImage(name: ProgramName, io: Io): Promise<string> {
  const image = await imageName(name);
  if ((await docker(["image", "inspect", image], io, { check: false })).code === 0) return image;
  const { path } = PROGRAMS[name];
  const folder = await mkdtemp(join(tmpdir(), "dp-image-"));
  try {
    const archive = join(folder, "image.tar");
    const files = [path, ...(await linkedTo(path))].map((file) => file.slice(1));
    await run(["tar", "-c", "-h", "-f", archive, "-C", "/", ...files]);
    const changes = [`ENTRYPOINT ["${path}"]`, `LABEL dp.root=${root() || "/"}`];
    await docker(["import", ...changes.map((change) => `--change=${change}`), archive, image], io);
    return image;
  } finally {
    await rm(folder, { recursive: true });
  }
}
