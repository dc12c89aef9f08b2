// A child with a terminal of its own that root starts for an app's user: the terminal is the user's, and nothing else.
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { project } from "../../support/sandbox.ts";
import { inTerminal } from "../../support/typed.ts";

const USER = "nobody";
const folder = mkdtempSync(join(tmpdir(), "dp-terminal-"));
chmodSync(folder, 0o755);
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a line of sh as the user, as `dp run` does; dp goes on only when the file `seen` is there. */
async function runAsUser(line: string, seen: string, keys = ""): Promise<string> {
  const source = `
    const { existsSync } = await import("node:fs");
    const { spawn } = Bun;
    Bun.spawn = (...words) => {
      const child = spawn(...words);
      while (!existsSync(${JSON.stringify(seen)})) Bun.sleepSync(1);
      return child;
    };
    const { inTerminal } = await import(${JSON.stringify(join(project, "lib/host/process/terminal.ts"))});
    const argv = ["/bin/sh", "-c", ${JSON.stringify(line)}];
    const env = { PATH: "/usr/bin:/bin" };
    process.exitCode = await inTerminal({ argv, cwd: "/", env, user: ${JSON.stringify(USER)} });`;
  const typed = inTerminal([process.execPath, "--no-env-file", "--config=/dev/null", "-e", source], {
    PATH: process.env["PATH"] ?? "",
  });
  typed.type(keys);
  expect([await typed.done, typed.shown()]).toEqual([0, expect.anything()]);
  return typed.shown();
}

describe.skipIf(process.getuid?.() !== 0)("as root", () => {
  mkdirSync(join(folder, "open"));
  chmodSync(join(folder, "open"), 0o777);
  const seen = (name: string) => join(folder, "open", name);

  test("the child's terminal is the user's own, and opens by its name", async () => {
    const line = `stat -c %U "$(tty)"; echo written > "$(tty)"; : > ${seen("own")}; read -r _`;
    expect(await runAsUser(line, seen("own"), "\r")).toContain(`${USER}\nwritten\n`);
  });

  test("a child that puts another file in its terminal's place gets nothing by it", async () => {
    const victim = join(folder, "root's");
    writeFileSync(victim, "root's own");
    const before = statSync(victim);
    // A shell of its own waits for the key: a redirection here would put the terminal back.
    const line = `exec 3<&0 0< "${victim}"; : > ${seen("swapped")}; (head -n 1 <&3); cat`;
    expect(await runAsUser(line, seen("swapped"), "\r")).toContain("root's own");
    const { uid, gid } = statSync(victim);
    expect([uid, gid]).toEqual([before.uid, before.gid]);
  });
});
