// A sandbox for node apps: node, npm and bun on its PATH, registries that may need a certificate, and dp's examples.
import { readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { envFile } from "../../lib/config/env-file.ts";
import { formatEnv } from "../../lib/config/env.ts";
import { handedOn } from "../apps/node/support.ts";
import { nodeFolder } from "./node-folder.ts";
import { configure } from "./load-run.ts";
import { sandbox, type Sandbox } from "./sandbox.ts";

/** A sandbox without an app in it yet. */
export async function nodeSandbox(app?: string): Promise<Sandbox> {
  const box = await sandbox(app);
  const tools = join(dirname(box.root), "tools");
  for (const name of ["node", "npm"]) symlinkSync(join(await nodeFolder(), "bin", name), join(tools, name));
  configure(box, { stopTimeout: "5s", drainTimeout: "10s" });
  settings(box, {});
  for (const name of readdirSync(box.code)) if (name !== ".git") rmSync(join(box.code, name), { recursive: true });
  return box;
}

/** Writes the settings of the app, for the next deploy: these, and what its registries need. */
export function settings(box: Sandbox, values: Record<string, string>): void {
  writeFileSync(envFile(box.base, "production"), formatEnv({ ...handedOn(), ...values }), { mode: 0o600 });
}
