// Settings of an app in containers: as they are in its processes, its hooks and dp run, and seen nowhere else.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { watchArguments } from "../support/argv-watch.ts";
import { dockerSandbox, dockerYml, example, settings, type DockerBox } from "../support/docker-run.ts";
import { engineUnavailable } from "../support/engine.ts";
import { ended } from "../support/load-run.ts";
import { ODD_VALUES, valuesIn } from "../support/odd-values.ts";
import type { Outcome } from "../support/sandbox.ts";

setDefaultTimeout(120_000);

const why = engineUnavailable();
const SECRET = "tr0ub4dor-and-3-horses";
const SERVER = example("server.ts").replace('"/health"', '"/env": () => Response.json(process.env),\n    "/health"');
const yml = (preDeploy: string) => dockerYml("shop", `shared: {dirs: [dump]}\nhooks: {preDeploy: '${preDeploy}'}\n`);

describe.skipIf(why !== null)(`settings of containers${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: DockerBox;
  beforeAll(async () => {
    box = await dockerSandbox();
    await box.commit({ "server.ts": SERVER, "deploy.yml": yml('env -0 > "dump/hook"') });
  });
  afterAll(() => box?.stop());

  test("odd values reach the app, its hooks and dp run as they are", async () => {
    const words = Object.entries(ODD_VALUES).map(([name, value]) => `${name}=${value}`);
    expect(ended(await box.dp("env", "shop", "set", ...words))).toBe("0");
    expect(ended(await box.push())).toBe("0");
    expect(JSON.parse(await box.answer("/env"))).toMatchObject(ODD_VALUES);
    expect(valuesIn(readFileSync(join(box.base, "shared/dump/hook"), "utf8"))).toMatchObject(ODD_VALUES);
    const { code, stdout } = await box.dp("doctor", "shop");
    expect([code, stdout]).toEqual([0, "nothing wrong: shop\n"]);
    const asked = await box.dp("run", "shop", "--", "env", "-0");
    expect(valuesIn(asked.stdout)).toMatchObject(ODD_VALUES);
  });

  test("dp run whose reader has gone leaves no container, of a program that obeys no signal either", async () => {
    const stubborn = `trap "" HUP TERM; echo begun; while :; do sleep 1; done`;
    const line = `'${box.program}' run shop -- sh -c '${stubborn}' | head -n 1`;
    expect((await box.start(["sh", "-c", line]).done).stdout).toBe("begun\n");
    const left = ["container", "ls", "--all", "--filter", "name=-run-", "--format", "{{.Names}}"];
    expect(await box.engine.must(...left)).toBe("");
  });

  test("dp doctor names a container that would not come up at boot, and mends it", async () => {
    const label = `label=dp.release=${box.link("current")}`;
    const name = await box.engine.must("container", "ls", "--filter", label, "--format", "{{.Names}}");
    await box.engine.must("container", "update", "--restart=no", name);
    const { code, stdout } = await box.dp("doctor", "shop");
    expect(`${code} ${stdout}`).toContain("nothing starts at boot, but it should be shop@");
    expect(`${code} ${stdout}`).toStartWith("7 ");
    expect(ended(await box.dp("doctor", "shop", "--fix"))).toBe("0");
    const format = "{{.HostConfig.RestartPolicy.Name}}";
    expect(await box.engine.must("container", "inspect", "--format", format, name)).toBe("unless-stopped");
  });

  test("a value that app, hook and build would print is in no log, run file, image or list of processes", async () => {
    settings(box, `SECRET=${SECRET}\nDATABASE_URL=postgres://me:${SECRET}-too@db/shop\n`);
    const watching = watchArguments(SECRET);
    const said: string[] = [];
    const heard = async (outcome: Promise<Outcome>, code: number) => {
      const { text } = await outcome;
      said.push(text);
      expect(`${code} ${text}`).toStartWith(`${(await outcome).code} `);
    };
    const say = 'echo "hook has $SECRET"; echo "$DATABASE_URL" >&2';
    const Dockerfile = `${example("Dockerfile")}RUN echo "build has [$SECRET]"\n`;
    await box.commit({
      "deploy.yml": yml(say),
      "server.ts": `console.log("app has", process.env.SECRET);\n${SERVER}`,
      Dockerfile,
    });
    await heard(box.push(), 0);
    expect(said[0]).toMatch(/build has \[\][\s\S]*hook has \*\*\*/);
    await heard(box.dp("logs", "shop"), 0);
    expect(said[1]).toContain("app has ***");
    for (const command of [["status"], ["ps"], ["releases"], ["restart"], ["rollback"]])
      await heard(box.dp(command[0]!, "shop"), 0);
    await box.commit({
      "server.ts": 'console.log("crash with", process.env.SECRET); throw process.env.DATABASE_URL;\n',
    });
    await heard(box.push(), 1);
    expect(said.at(-1)).toContain("crash with ***");
    await box.commit({ "deploy.yml": yml(`${say}; exit 3`), "server.ts": SERVER });
    await heard(box.push(), 1);
    expect(await watching.stop()).toEqual([]);
    for (const text of said) expect(text).not.toContain(SECRET);
    const logs = join(box.root, "var/log/deployments");
    const daemon = join(dirname(box.env["DOCKER_HOST"]!.slice("unix://".length)), "dockerd.log");
    // What the app says itself is in its own log as it said it.
    const exclude = ["--exclude=*.env", "--exclude=*.app.log"];
    const kept = ["grep", "-rlF", ...exclude, "--", SECRET, join(box.base, "runs"), logs, daemon];
    expect(Bun.spawnSync(kept).stdout.toString()).toBe("");
    const images = (await box.engine.must("image", "ls", "--quiet", "dp/*")).split("\n");
    expect(await box.engine.must("image", "inspect", ...images)).not.toContain(SECRET);
  });
});
