// Other people's repositories, for tests: reachable by git's own daemon and by plain HTTP, on loopback.
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, normalize } from "node:path";
import { descendants, listeningPorts } from "../../lib/host/process/process.ts";
import { commit, freePort, type File } from "../support/core-server.ts";
import { until } from "../support/sandbox.ts";

export interface Forge {
  /** The folder that is served. */
  folder: string;
  /** `git://127.0.0.1:PORT`, and the same repositories by HTTP. */
  git: string;
  http: string;
  /** What was asked for by HTTP, as `METHOD path`. */
  asked: string[];
  /** Adds files to the repository of that name; answers the commit. `sha` of a submodule may be another's. */
  commit(name: string, files: Record<string, File>): Promise<string>;
  /** Puts an object where git-lfs finds it; answers the text of its pointer. */
  lfs(content: string, isThere?: boolean): string;
  stop(): Promise<void>;
}

const run = (argv: string[]) => {
  const done = Bun.spawnSync(argv, { env: { PATH: process.env["PATH"] ?? "", GIT_CONFIG_GLOBAL: "/dev/null" } });
  if (done.exitCode !== 0) throw new Error(`${argv.join(" ")}: ${done.stderr.toString()}`);
};

/** Starts both servers. */
export async function startForge(): Promise<Forge> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-forge-")));
  chmodSync(folder, 0o755);
  const asked: string[] = [];
  const objects = new Map<string, string>();
  const web = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push(`${request.method} ${pathname}`);
      if (pathname.endsWith("/objects/batch")) return batch(await request.json(), new URL(request.url).origin, objects);
      const object = objects.get(pathname.split("/").at(-1)!);
      if (pathname.startsWith("/lfs-objects/") && object !== undefined) return new Response(object);
      const file = Bun.file(join(folder, normalize(pathname)));
      return (await file.exists()) ? new Response(file) : new Response("not there", { status: 404 });
    },
  });
  const { daemon, git } = await startDaemon(folder);
  return {
    ...{ folder, git, http: `http://127.0.0.1:${web.port}`, asked },
    async commit(name, files) {
      const repo = join(folder, name);
      mkdirSync(repo, { recursive: true });
      run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repo]);
      const sha = await commit(repo, files);
      run(["git", "--git-dir", repo, "update-ref", `refs/tags/${sha}`, sha]);
      run(["git", "--git-dir", repo, "update-server-info"]);
      return sha;
    },
    lfs(content, isThere = true) {
      const oid = new Bun.CryptoHasher("sha256").update(content).digest("hex");
      if (isThere) objects.set(oid, content);
      return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${content.length}\n`;
    },
    async stop() {
      process.kill(-daemon.pid, "SIGKILL");
      await daemon.exited;
      await web.stop(true);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** git's own daemon, on a port that nobody else took meanwhile. */
async function startDaemon(folder: string): Promise<{ daemon: Bun.Subprocess; git: string }> {
  for (;;) {
    const port = await freePort();
    const argv = [
      "git",
      "daemon",
      "--export-all",
      `--base-path=${folder}`,
      "--listen=127.0.0.1",
      `--port=${port}`,
      folder,
    ];
    const env = { PATH: process.env["PATH"] ?? "" };
    const daemon = Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"], env, detached: true });
    // Itself: somebody else may answer there by now.
    const isThere = () => listeningPorts(descendants([daemon.pid])).some((socket) => socket.port === port);
    await until("git's daemon", () => daemon.exitCode !== null || isThere());
    if (daemon.exitCode === null) return { daemon, git: `git://127.0.0.1:${port}` };
  }
}

interface Batch {
  objects: { oid: string; size: number }[];
}

/** The answer of an LFS server: where each object is. */
function batch(wanted: unknown, origin: string, there: Map<string, string>): Response {
  const objects = (wanted as Batch).objects.map(({ oid, size }) =>
    there.has(oid)
      ? { oid, size, actions: { download: { href: `${origin}/lfs-objects/${oid}` } } }
      : { oid, size, error: { code: 404, message: "there is no such object" } },
  );
  const headers = { "content-type": "application/vnd.git-lfs+json" };
  return new Response(JSON.stringify({ transfer: "basic", objects }), { headers });
}
