// The port of an instance: one look finds it, whatever a neighbour listens on.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const canUnshare =
  process.getuid?.() === 0 && Bun.spawnSync(["unshare", "-n", "ip", "link", "set", "lo", "up"]).exitCode === 0;

/** Runs in a network of its own: a neighbour there takes every port of the range but those, then an instance wants one. */
function portBeside(left: readonly number[]): { port: number; isFree: boolean } {
  const root = mkdtempSync(join(tmpdir(), "dp-ports-"));
  try {
    mkdirSync(join(root, "opt/deployments/shop/instances"), { recursive: true });
    const script = join(root, "take.ts");
    writeFileSync(
      script,
      `import { takePort } from ${JSON.stringify(resolve(import.meta.dir, "../../lib/release/ports.ts"))};
      import { namedApp } from ${JSON.stringify(resolve(import.meta.dir, "../../lib/release/app.ts"))};
      const left = new Set(${JSON.stringify(left)});
      const data = () => undefined;
      for (let port = 20000; port <= 29999; port++)
        if (!left.has(port)) Bun.listen({ hostname: "127.0.0.1", port, socket: { data } });
      const port = await takePort(namedApp("shop"), "1-aaaaaaa");
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data } });
      console.log(JSON.stringify({ port, isFree: true }));
      process.exit(0);`,
    );
    const argv = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$1"', process.execPath, script];
    const child = Bun.spawnSync(["prlimit", "--nofile=20000:20000", ...argv], {
      env: { PATH: process.env["PATH"] ?? "", DP_ROOT: root },
      cwd: "/",
    });
    expect(`${child.exitCode} ${child.stderr}`).toBe("0 ");
    return JSON.parse(child.stdout.toString()) as { port: number; isFree: boolean };
  } finally {
    rmSync(root, { recursive: true });
  }
}

test.skipIf(!canUnshare)("a neighbour that listens on all ports but two leaves those", () => {
  expect([23_456, 29_999]).toContain(portBeside([23_456, 29_999]).port);
});

test.skipIf(!canUnshare)("one that listens on all of them keeps nobody from a deploy", () => {
  const { port, isFree } = portBeside([]);
  expect([port > 29_999, isFree]).toEqual([true, true]);
});
