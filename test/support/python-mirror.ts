// A mirror of pythons for uv on loopback: the python that the tests run on, packed as uv expects it.
import { createServer } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { run } from "../../lib/host/run.ts";
import { pythonPath } from "../apps/python/support.ts";

/** The mirror; `env` leads uv to it. */
export interface Mirror {
  /** Of the python that it has: `3.11.2`. */
  version: string;
  env: Record<string, string>;
  /** From now on archives are not found. */
  close(): void;
  stop(): Promise<void>;
}

const WHERE =
  "import sys, sysconfig; print(sys.base_prefix, sysconfig.get_path('stdlib'), '%d.%d.%d' % sys.version_info[:3])";
const LEFT_OUT = [
  "site-packages",
  "dist-packages",
  "test",
  "__pycache__",
  "config-3*",
  "idlelib",
  "EXTERNALLY-MANAGED",
];

// python/bin/python3.11 and python/lib/python3.11: a python finds its library from where it lies itself.
const PACK = `program=$1 above=$2 library=$3; shift 3
mkdir -p python/bin python/lib
cp -L "$program" python/bin/ && ln -s "\${program##*/}" python/bin/python3
tar -c -C "$above" "$@" -- "$library" | tar -x -C python/lib
tar -c python | gzip -1 > python.tar.gz`;

/** Starts it. */
export async function pythonMirror(): Promise<Mirror> {
  const folder = await mkdtemp(join(tmpdir(), "dp-mirror-"));
  const env = { PATH: await pythonPath() };
  const [prefix = "", library = "", version = ""] = (await run(["python3", "-I", "-c", WHERE], { env })).text.split(
    " ",
  );
  const [major, minor, patch] = version.split(".").map(Number);
  const left = LEFT_OUT.map((name) => `--exclude=${name}`);
  const program = join(prefix, `bin/python${major}.${minor}`);
  const argv = ["sh", "-ec", PACK, "sh", program, dirname(library), basename(library), ...left];
  await run(argv, { cwd: folder, timeout: 240_000 });
  const archive = Buffer.from(await Bun.file(join(folder, "python.tar.gz")).bytes());
  await rm(folder, { recursive: true });
  let isOpen = true;
  const server = createServer((request, response) => {
    if (request.url === "/downloads.json") return void response.end(listing(url));
    if (request.url === "/python.tar.gz" && isOpen) return void response.end(archive);
    return void response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  function listing(from: string): string {
    const machine = process.arch === "x64" ? "x86_64" : "aarch64";
    const sha256 = new Bun.CryptoHasher("sha256").update(archive).digest("hex");
    const about = { name: "cpython", arch: { family: machine, variant: null }, os: "linux", libc: "gnu" };
    const which = {
      major,
      minor,
      patch,
      prerelease: "",
      url: `${from}/python.tar.gz`,
      sha256,
      variant: null,
      build: null,
    };
    return JSON.stringify({ [`cpython-${version}-linux-${machine}-gnu`]: { ...about, ...which } });
  }

  return {
    version,
    env: { UV_PYTHON_DOWNLOADS_JSON_URL: `${url}/downloads.json`, UV_HTTP_RETRIES: "0" },
    close: () => void (isOpen = false),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
