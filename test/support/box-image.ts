// The base tree that every box starts from: where it is, whether it can be, and building it once.
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const CA_FOLDER = "/usr/local/share/ca-certificates";
const TOOLS = ["mmdebstrap", "systemd-nspawn", "ssh", "ssh-keygen", "unshare", "flock", "setsid", "tar"];

/** What a box starts from: a fresh Debian, or that with Docker Engine, in a network of its own. */
export type ImageName = "base" | "docker";

/**
 * The control groups of this process that a box must leave: systemd's own (v1, hybrid) and the unified one; with `isAll`
 * also those of the controllers, of a box in which others than systemd make groups.
 */
export function ownGroups(
  isAll = false,
  groups = readFileSync("/proc/self/cgroup", "utf8"),
  mounts = readFileSync("/proc/self/mountinfo", "utf8"),
): string[] {
  const found: string[] = [];
  for (const line of mounts.split("\n")) {
    const [, , , root, folder, ...rest] = line.split(" ");
    const unified = rest.includes("cgroup2");
    if (!folder || !root || !(unified || line.includes("name=systemd") || (isAll && rest.includes("cgroup")))) continue;
    const kinds = unified ? [""] : rest.at(-1)!.split(",");
    const entry = groups.split("\n").find((group) => matches(group, kinds));
    if (entry === undefined) continue;
    const path = entry.slice(entry.indexOf("/"));
    // In a container the mount may show only a part of the tree.
    const below = root !== "/" && path.startsWith(root) ? path.slice(root.length) : path;
    found.push(join(folder, below));
  }
  return found;
}

const matches = (group: string, kinds: readonly string[]) =>
  /^\d+:/.test(group) &&
  group
    .split(":")[1]!
    .split(",")
    .every((kind) => kinds.includes(kind));

/** Why no server can be booted here, in one phrase; null when one can. */
export function boxUnavailable(image: ImageName = "base"): string | null {
  if (process.platform !== "linux") return "a box needs Linux";
  if (process.getuid?.() !== 0) return "a box needs root";
  const needed = image === "base" ? TOOLS : [...TOOLS, "nsenter", "busybox"];
  const missing = needed.filter((tool) => Bun.which(tool) === null);
  if (missing.length > 0) return `a box needs ${missing.join(", ")}`;
  const groups = ownGroups(image === "docker");
  if (groups.length === 0) return "a box needs control groups";
  try {
    for (const group of groups) accessSync(group, constants.W_OK);
  } catch {
    return `a box needs ${groups.join(" and ")} to be writable`;
  }
  return null;
}

/** Whatever the tree is made of: the recipe, and what the host hands on. */
function ingredients(): string[] {
  const authorities = existsSync(CA_FOLDER)
    ? readdirSync(CA_FOLDER)
        .filter((name) => name.endsWith(".crt"))
        .sort()
    : [];
  const files = [...authorities.map((name) => join(CA_FOLDER, name)), "/etc/pip.conf"].filter((path) =>
    existsSync(path),
  );
  const suite = process.env["DP_TEST_DEBIAN"];
  return [
    process.arch,
    ...(suite === undefined ? [] : [suite]),
    ...[join(import.meta.dir, "box-image.sh"), ...files].map((path) => readFileSync(path, "utf8")),
  ];
}

/** The folder of the image for today's recipe: below DP_TEST_CACHE, or `.cache/box` in the project. */
export function imageFolder(): string {
  const cache = process.env["DP_TEST_CACHE"] ?? resolve(import.meta.dir, "../../.cache/box");
  const key = new Bun.CryptoHasher("sha256").update(JSON.stringify(ingredients())).digest("hex").slice(0, 12);
  return join(cache, key);
}

/**
 * The tree of an image, built now (base about half a minute) when the recipe has changed or nobody has built it yet.
 * Safe to call from several processes at once. Throws with the end of the build's output when it fails.
 */
export async function ensureBoxImage(
  say: (line: string) => void = () => {},
  image: ImageName = "base",
): Promise<string> {
  const folder = imageFolder();
  if (existsSync(join(folder, image))) return join(folder, image);
  if (image !== "base") await ensureBoxImage(say);
  say(`building the tree of the test server, ${image}, once, for about a minute ...`);
  const build = Bun.spawn(["sh", join(import.meta.dir, "box-image.sh"), folder, image], {
    env: process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [code, out, err] = await Promise.all([build.exited, build.stdout.text(), build.stderr.text()]);
  if (code !== 0)
    throw new Error(
      `building the test server exited with code ${code}:\n${(out + err).split("\n").slice(-30).join("\n")}`,
    );
  return join(folder, image);
}
