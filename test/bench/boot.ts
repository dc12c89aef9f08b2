// After a boot without systemd: how long it takes from the start of `dp reconcile` until all apps answer, beside the same
// programs started at once by hand; and how long the whole command takes.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/core-server.ts";
import { until, type Sandbox } from "../support/sandbox.ts";
import { filesOf, withApp } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { addCopy } from "./status.ts";
import { push } from "./timing.ts";

const rows = {
  "all answer after dp reconcile": { unit: "ms" },
  "all answer, started by hand at once": { unit: "ms" },
  "dp to by hand": { unit: "" },
  "dp reconcile, the whole command": { unit: "ms" },
};

type Name = keyof typeof rows;

const APP = "bench";
/** How many apps there are, and how many in a quick run. */
const [APPS, FEW] = [50, 6];

async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`)
    .then(({ ok }) => ok)
    .catch(() => false);
}

/** Milliseconds from `begun` until there was a good answer at each port. They are asked in the same way, whoever starts the apps. */
async function allAnswer(ports: readonly number[], begun: number): Promise<number> {
  await Promise.all(ports.map((port) => until(`port ${port}`, () => answers(port))));
  return performance.now() - begun;
}

/** Milliseconds after everything was killed: until all apps answer through their public ports, and of the whole command. */
async function byDp(box: Sandbox, ports: readonly number[]): Promise<[answer: number, command: number]> {
  await box.cutPower();
  for (const path of new Bun.Glob("*/instances/*.json").scanSync({ cwd: join(box.base, ".."), absolute: true })) {
    const record = JSON.parse(readFileSync(path, "utf8")) as { boot?: string };
    // As a reboot leaves it.
    writeFileSync(path, JSON.stringify({ ...record, boot: "another" }), { mode: 0o600 });
  }
  const begun = performance.now();
  const command = box.dp("reconcile").then(({ code, text }) => {
    if (code !== 0) throw new Error(`dp reconcile exited with code ${code}: ${text}`);
    return performance.now() - begun;
  });
  return Promise.all([allAnswer(ports, begun), command]);
}

/** Milliseconds until as many of the app's processes answer, started without dp. */
async function byHand(box: Sandbox, apps: number): Promise<number> {
  await box.cutPower();
  const ports = await Promise.all(Array.from({ length: apps }, freePort));
  const cwd = join(box.base, "releases", box.link("current")!);
  const begun = performance.now();
  const children = ports.map((port) =>
    Bun.spawn(["/bin/sh", "-c", "exec python3 server.py"], {
      cwd,
      env: { ...box.env, DP_HOST: "127.0.0.1", PORT: String(port) },
      stdio: ["ignore", "ignore", "ignore"],
      // Each in a session of its own, as those of dp: the kernel may share the processors out by sessions.
      detached: true,
    }),
  );
  try {
    return await allAnswer(ports, begun);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map(({ exited }) => exited));
  }
}

async function measure(options: Options): Promise<Measured<Name>> {
  return withApp(options, APP, ["verifyTime: 0s"], async (box) => {
    await box.commit(filesOf(APP, "first"));
    await push(box, "first");
    const apps = options.isQuick ? FEW : APPS;
    const copies = Array.from({ length: apps - 1 }, (_, copy) => `copy-${copy + 1}`);
    for (const name of copies) {
      await addCopy(box, name);
      // It is started as a process of its own, on a port of its own.
      rmSync(join(box.base, "..", name, "instances", `${box.link("current")}.port`));
    }
    const bases = [APP, ...copies];
    const ports = bases.map((name) => {
      const config = readFileSync(join(box.base, "..", name, "config.yml"), "utf8");
      return Number(/^port: (\d+)$/m.exec(config)?.[1]);
    });
    // Until it is started for the first time, a copy is answered for by the first app.
    await byDp(box, ports);
    const [own, hand, command]: number[][] = [[], [], []];
    for (let time = 0; time < (options.isQuick ? 1 : 5); time++) {
      const [answer, whole] = await byDp(box, ports);
      own!.push(answer);
      command!.push(whole);
      hand!.push(await byHand(box, apps));
    }
    options.say(`${own!.map(Math.round).join(", ")} ms; by hand ${hand!.map(Math.round).join(", ")} ms`);
    const values = {
      "all answer after dp reconcile": median(own!),
      "all answer, started by hand at once": median(hand!),
      "dp to by hand": median(own!) / median(hand!),
      "dp reconcile, the whole command": median(command!),
    };
    return {
      values,
      notes: [`${apps} apps under dp's own supervisor; by hand there is no supervisor, no log and no relay`],
    };
  });
}

export default section({ name: "boot", rows, measure });
