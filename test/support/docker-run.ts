// A sandbox whose app is a container: an engine, an image to build from, and the example that dp init writes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { baseFolder, startEngine, type Engine } from "./engine.ts";
import { configure } from "./load-run.ts";
import { project, sandbox, type Sandbox } from "./sandbox.ts";

/** The image that stands for what a user would name after FROM: none can be pulled here. */
export const BASE = "base:bun";

export interface DockerBox extends Sandbox {
  engine: Engine;
  /** IDs of the instances whose container runs. */
  running(): Promise<string[]>;
}

/** deploy.yml of the app, with the base image of the tests. */
export const dockerYml = (app: string, more = "", args = "") =>
  `name: ${app}
type: docker
healthCheck: {path: /health, timeout: 2s, startTimeout: 20s, interval: 50ms}
docker: {args: {BASE: "${BASE}"${args}}}
${more}`;

/** A file of the example. */
export const example = (name: string) => readFileSync(join(project, "templates/apps/docker", name), "utf8");

/** Starts the engine and the sandbox, with the example committed and not yet pushed. */
export async function dockerSandbox(front: "relay" | "none" = "relay", start = startEngine): Promise<DockerBox> {
  const engine = await start();
  const folder = mkdtempSync(join(tmpdir(), "dp-docker-base-"));
  let box: Sandbox | undefined;
  try {
    await engine.import(BASE, baseFolder(folder, true));
    box = await sandbox("shop", front);
    Object.assign(box.env, engine.variables(box.env["PATH"]!));
    configure(box, { stopTimeout: "5s", drainTimeout: "10s" });
    await box.git("rm", "--quiet", "say", "server.py");
    await box.git("rm", "--quiet", "deploy.yml");
    const written = await box.dp("init", "--example", "docker", "--name", box.app);
    if (written.code !== 0) throw new Error(written.text);
    const yml = readFileSync(join(box.code, "deploy.yml"), "utf8");
    await box.commit({ "deploy.yml": yml.replace(/BASE: .*/, `BASE: ${BASE}`) }, "The example, on another base");
  } catch (error) {
    await box?.stop();
    await engine.stop();
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { stop } = box;
  return Object.assign(box, {
    engine,
    async running() {
      const names = await engine.must("container", "ls", "--filter=label=dp.app=shop", "--format", "{{.Names}}");
      // A name ends with eight digits that stand for the DP_ROOT.
      return names.split("\n").flatMap((name) => /^shop-(.+)-[0-9a-f]{8}$/.exec(name)?.[1] ?? []);
    },
    async stop() {
      await engine.stop();
      await stop();
    },
  });
}

/** Settings of the app. */
export const settings = (box: Sandbox, text: string) => writeFileSync(join(box.base, ".env.production"), text);
