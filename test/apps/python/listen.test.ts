// gunicorn and uvicorn, told nothing, listen on the instance's own port of the loopback.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import python from "../../../lib/apps/python.ts";
import { listeningPorts } from "../../../lib/host/process/process.ts";
import { plainEnv } from "../../../lib/host/run.ts";
import { until } from "../../managers/contract.ts";
import { freePort } from "../../support/port.ts";

const WSGI = "def app(environ, start):\n    start('200 OK', [])\n    return [b'ok']\n";
const ASGI = "async def app(scope, receive, send):\n    pass\n";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-listen-"));
  writeFileSync(join(folder, "wsgi.py"), WSGI);
  writeFileSync(join(folder, "asgi.py"), ASGI);
  for (const argv of [
    ["python3", "-m", "venv", join(folder, "venv")],
    [
      join(folder, "venv/bin/pip"),
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "gunicorn==23.0.0",
      "uvicorn==0.38.0",
    ],
  ])
    expect(Bun.spawnSync(argv, { cwd: folder, env: plainEnv(), stderr: "inherit" }).exitCode).toBe(0);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["gunicorn", "wsgi:app", "127.0.0.1"],
  ["uvicorn", "asgi:app", "127.0.0.1"],
])("%s %s", async (program, app, address) => {
  const port = await freePort();
  const env = { ...plainEnv(), PORT: String(port), ...python.listenVariables!("127.0.0.1", port) };
  const child = Bun.spawn([join(folder, "venv/bin", program), app], {
    cwd: folder,
    env,
    stdio: ["ignore", "ignore", "ignore"],
  });
  try {
    const sockets = await until("it listens", () => {
      const open = listeningPorts([child.pid]);
      return open.length > 0 && open;
    });
    expect(sockets).toEqual([{ port, address }]);
  } finally {
    child.kill();
    await child.exited;
  }
});
