// The files of an app, read from a commit or from a folder.
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, DpError } from "../errors.ts";
import { entriesOf, isListed, type CommitEntry, type TreeEntry } from "./entries.ts";
import { gitUserEnv } from "./git.ts";
import { ownerOf } from "./owner.ts";
import { plainEnv } from "../host/run.ts";

/**
 * How the text of a file is decoded. "by mark": as UTF-16 when it starts with that byte order mark, as Windows PowerShell
 * writes it.
 */
export type Reading = "by mark";

export interface Tree {
  /**
   * The text of a regular file, or null when there is none of that name. Throws DpError "config" when the file is over 16
   * MiB or not UTF-8.
   */
  read(path: string, how?: Reading): Promise<string | null>;
  /** The target of a symbolic link, or null when there is no link of that name. */
  link(path: string): Promise<string | null>;
  /** Every entry except folders. */
  list(): Promise<readonly TreeEntry[]>;
}

/** Bytes: lock files of large apps have several MiB. */
const LIMIT = 16 * 1024 * 1024;
/** The files of one commit of a bare repository; `sha` must be a full object name. `signal` ends git. */
export function commitTree(repo: string, sha: string, signal?: AbortSignal): Tree {
  const list = () => entriesOf(repo, sha, signal);
  // For the first file git is asked at the same time as for the list, which then says whether that name is a file's.
  const early = async (path: string): Promise<Uint8Array | null> =>
    isListed(repo, sha) || path.includes("\n")
      ? null
      : readBlob(repo, { path, object: `${sha}:${path}` }, signal).catch(() => null);
  return {
    list,
    async read(path, how) {
      const asked = early(path);
      const entry = (await list()).find((candidate) => candidate.path === path);
      if (!entry || (entry.kind !== "file" && entry.kind !== "executable")) return null;
      return decode(path, (await asked) ?? (await readBlob(repo, entry, signal)), how);
    },
    async link(path) {
      const entry = (await list()).find((candidate) => candidate.path === path);
      return entry?.kind === "symlink" ? decode(path, await readBlob(repo, entry, signal)) : null;
    },
  };
}

/** A folder of a tree, as a tree of its own. */
export function subtree(tree: Tree, folder: string): Tree {
  const before = `${folder}/`;
  const inside = (path: string) => before + path;
  return {
    read: (path, how) => tree.read(inside(path), how),
    link: (path) => tree.link(inside(path)),
    async list() {
      const entries = (await tree.list()).filter(({ path }) => path.startsWith(before));
      return entries.map((entry) => ({ ...entry, path: entry.path.slice(before.length) }));
    },
  };
}

async function readBlob(
  repo: string,
  { path, object }: Pick<CommitEntry, "path" | "object">,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  // Bun's own error would not say why.
  signal?.throwIfAborted();
  const account = ownerOf(repo);
  // run() splits output into lines, but this must return the exact bytes.
  const blob = Bun.spawn(["git", "--git-dir", repo, "cat-file", "--batch"], {
    cwd: "/",
    env: account ? gitUserEnv() : plainEnv(),
    stdin: Buffer.from(`${object}\n`),
    stderr: "ignore",
    timeout: 60_000,
    killSignal: "SIGKILL",
    ...(account ? { uid: account.uid, gid: account.gid } : {}),
    ...(signal ? { signal } : {}),
  });
  const { size, bytes } = await contentOf(blob.stdout, () => blob.kill("SIGKILL"));
  const code = await blob.exited;
  signal?.throwIfAborted();
  tooLarge(path, size);
  if (code !== 0 || bytes.length !== size) throw new DpError("command", `git cannot read ${path} (${object})`);
  return bytes;
}

/** The answer of `git cat-file --batch` for one object, whose size comes first; one that is too large is not read. */
async function contentOf(
  stream: ReadableStream<Uint8Array>,
  end: () => void,
): Promise<{ size: number; bytes: Buffer }> {
  const parts: Uint8Array[] = [];
  let [size, start, count] = [-1, 0, 0];
  for await (const part of stream) {
    parts.push(part);
    count += part.length;
    if (size < 0) {
      const [head, words] = /^[0-9a-f]+ blob (\d+)\n/.exec(Buffer.concat(parts).toString("latin1", 0, 128)) ?? [];
      if (head !== undefined) [size, start] = [Number(words), head.length];
    }
    // The answer ends with a line feed that is not of the file; without a size it is a short sentence.
    if (size < 0 ? count < 256 : size <= LIMIT && count <= start + size + 1) continue;
    end();
    break;
  }
  return { size, bytes: Buffer.concat(parts).subarray(start, start + Math.max(0, size)) };
}

/** The files of a folder on disk. Folders whose name starts with a dot, and node_modules, are skipped. */
export function folderTree(root: string): Tree {
  return {
    list: () => walk(root, ""),
    async link(path) {
      try {
        return await readlink(join(root, path));
      } catch (error) {
        if (codeOf(error) === "ENOENT" || codeOf(error) === "EINVAL" || codeOf(error) === "ENOTDIR") return null;
        throw error;
      }
    },
    async read(path, how) {
      try {
        const file = join(root, path);
        const stat = await lstat(file);
        if (!stat.isFile()) return null;
        tooLarge(path, stat.size);
        const bytes = await readFile(file);
        return decode(path, bytes, how);
      } catch (error) {
        if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return null;
        throw error;
      }
    },
  };
}

async function walk(root: string, folder: string): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (entry.isSymbolicLink()) entries.push({ path, kind: "symlink" });
    else if (entry.isFile())
      entries.push({ path, kind: (await lstat(join(root, path))).mode & 0o100 ? "executable" : "file" });
    else if (entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules")
      entries.push(...(await walk(root, path)));
  }
  return entries;
}

function tooLarge(path: string, size: number): void {
  if (size <= LIMIT) return;
  throw new DpError("config", `${path}: ${size} bytes, more than the ${LIMIT} that dp reads`, {
    hint: `make it smaller, or take it out of the commit: git rm --cached ${path}`,
  });
}

const UTF_16: Record<string, "utf-16le" | "utf-16be"> = { fffe: "utf-16le", feff: "utf-16be" };

function decode(path: string, bytes: ArrayBuffer | Uint8Array, how?: Reading): string {
  const wide = UTF_16[Buffer.from(new Uint8Array(bytes).subarray(0, 2)).toString("hex")];
  try {
    return new TextDecoder(how === "by mark" ? (wide ?? "utf-8") : "utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const hint = "save it as UTF-8; in PowerShell: Set-Content -Encoding utf8";
    const isWide = how === undefined && wide !== undefined;
    throw new DpError("config", `${path}: ${isWide ? "UTF-16, but must be UTF-8" : "not UTF-8 text"}`, { cause, hint });
  }
}
