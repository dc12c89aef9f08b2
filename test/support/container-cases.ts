// How a push of an app in containers ends, whichever engine makes them: what the tests of Docker and of podman share.
import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BASE, dockerYml, example, type DockerBox } from "./docker-run.ts";
import { configure, ended } from "./load-run.ts";

const SERVER = example("server.ts");
/** deploy.yml of an app that is not waited for. */
export const SHORT = dockerYml("shop").replace("20s", "2s");

/** A commit that is refused: what it is, its files, what the push says. */
export type Refusal = [what: string, files: Record<string, string | null>, says: RegExp];

export const REFUSALS: Refusal[] = [
  [
    "a build that fails",
    { Dockerfile: `${example("Dockerfile")}RUN echo no luck; exit 3\n` },
    /no luck[\s\S]*FAILED at install: docker build exited with code 3/,
  ],
  [
    "a crash at boot",
    { "server.ts": 'console.log("boom"); process.exit(4);' },
    /FAILED at check: shop@\S+ is not running: exited with code 4[\s\S]*\| boom/,
  ],
  [
    "an unhealthy answer",
    {
      "deploy.yml": SHORT,
      "server.ts": SERVER.replace('Response.json({ status: "ok" })', 'new Response("", { status: 503 })'),
    },
    /FAILED at check: GET \S+\/health: .*503/,
  ],
];

/** The release that answers. */
export const answering = async (box: DockerBox) => (JSON.parse(await box.answer()) as { release: string }).release;

/** That release is live, it is what answers, and of the app nothing else runs. */
export async function expectServing(box: DockerBox, id: string): Promise<void> {
  expect([box.link("current"), await answering(box), await box.running()]).toEqual([id, id, [id]]);
}

/** A push that is refused at a step, and changes nothing that serves. The commit is taken back. */
export async function expectRefused(box: DockerBox, files: Refusal[1], says: RegExp): Promise<void> {
  const live = box.link("current")!;
  await box.commit(files);
  const pushed = await box.push();
  await box.git("reset", "--quiet", "--hard", "HEAD~1");
  expect(pushed.text).toMatch(says);
  expect(pushed.text).not.toMatch(/undo failed|Emulate Docker/);
  expect(ended(pushed, 1)).toBe("1");
  if (pushed.text.includes("FAILED at check")) expect(box.run().result).toMatchObject({ state: "failed", code: 7 });
  await expectServing(box, live);
}

const FOREIGN = "shop-1-aaaaaaa";

/** Starts somebody else's container, with a name as dp gives. */
export const startForeign = (box: DockerBox) =>
  box.engine.must("run", "--detach", `--name=${FOREIGN}`, BASE, "sleep", "10000");

/** Which container that is, and since when it runs. */
export const foreign = (box: DockerBox) =>
  box.engine.must("container", "inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.State.Running}}", FOREIGN);

/** Deploys a release of which few are kept: images go with their releases, and those of others stay. */
export async function expectPruned(box: DockerBox): Promise<void> {
  configure(box, { keep: 1 });
  const live = await box.release({ say: "pruned" });
  const images = await box.engine.must("image", "ls", "--format", "{{.Repository}}:{{.Tag}}");
  const names = images.replace(/^localhost\//gm, "").split("\n");
  const own = names.flatMap((name) => /^dp\/.*:(.+)$/.exec(name)?.[1] ?? []).sort();
  expect(own).toEqual(own.filter((tag) => existsSync(join(box.base, "releases", tag.split(".")[0]!))));
  expect(own).toEqual(expect.arrayContaining([box.link("previous")!, live]));
  expect(names).toContain(BASE);
}

/** Destroys the app: of all containers and images only those of others are left. */
export async function expectDestroyed(box: DockerBox): Promise<void> {
  expect(ended(await box.dp("destroy", "shop", "--yes"))).toBe("0");
  expect(await box.engine.must("container", "ls", "--all", "--format", "{{.Names}}")).toBe(FOREIGN);
  const images = await box.engine.must("image", "ls", "--all", "--format", "{{.Repository}}:{{.Tag}}");
  expect(images.replace(/^localhost\//, "")).toBe(BASE);
}
