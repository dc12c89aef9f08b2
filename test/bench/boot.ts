// After a boot without systemd: how long it takes from the start of `dp reconcile` until all apps answer, beside the same
// programs started at once by hand; and how long the whole command takes.
import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/core-server.ts";
import { leaveAsAfterReboot } from "../support/reboot.ts";
import { until, type Sandbox } from "../support/sandbox.ts";
import { filesOf, flaskFiles, giveWayToPip, withApp, withFlask } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { addCopy } from "./status.ts";
import { push } from "./timing.ts";

const rows = {
  "all answer after dp reconcile": { unit: "ms" },
  "all answer, started by hand at once": { unit: "ms" },
  "dp to by hand": { unit: "" },
  "dp reconcile, the whole command": { unit: "ms" },
  "Flask: all answer after dp reconcile": { unit: "ms" },
  "Flask: all answer, started by hand at once": { unit: "ms" },
  "Flask: dp to by hand": { unit: "" },
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
  leaveAsAfterReboot(join(box.base, ".."));
  const begun = performance.now();
  const command = box.dp("reconcile").then(({ code, text }) => {
    if (code !== 0) throw new Error(`dp reconcile exited with code ${code}: ${text}`);
    return performance.now() - begun;
  });
  return Promise.all([allAnswer(ports, begun), command]);
}

/** Milliseconds until as many of the app's processes answer, started as dp starts them, but without it. */
async function byHand(box: Sandbox, apps: number): Promise<number> {
  await box.cutPower();
  const ports = await Promise.all(Array.from({ length: apps }, freePort));
  const record = readFileSync(join(box.base, "instances", `${box.link("current")}.json`), "utf8");
  const { script, folder, env } = JSON.parse(record) as { script: string; folder: string; env: Record<string, string> };
  const begun = performance.now();
  const children = ports.map((port) =>
    Bun.spawn(["/bin/sh", script], {
      cwd: folder,
      env: { ...env, PORT: String(port) },
      stdio: ["ignore", "ignore", "ignore"],
      // Each in a session of its own, as those of dp: the kernel may share the processors out by sessions.
      detached: true,
    }),
  );
  try {
    return await allAnswer(ports, begun);
  } finally {
    // With what it has started.
    for (const { pid } of children) process.kill(-pid, "SIGKILL");
    await Promise.all(children.map(({ exited }) => exited));
  }
}

interface Boots {
  /** Milliseconds, of each time. */
  own: number[];
  hand: number[];
  command: number[];
}

/** Boots of as many apps with these files, in turns with and without dp. */
async function bootsOf(options: Options, files: Record<string, string | null>, times: number): Promise<Boots> {
  return withApp(options, APP, ["verifyTime: 0s"], async (box) => {
    giveWayToPip(box);
    await box.commit(files);
    await push(box, "first");
    const apps = options.isQuick ? FEW : APPS;
    const copies = Array.from({ length: apps - 1 }, (_, copy) => `copy-${copy + 1}`);
    for (const name of copies) {
      await addCopy(box, name);
      const [from, to] = [join(box.base, "venvs"), join(box.base, "..", name, "venvs")];
      if (existsSync(from)) symlinkSync(from, to);
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
    const all: Boots = { own: [], hand: [], command: [] };
    for (let time = 0; time < times; time++) {
      const [answer, whole] = await byDp(box, ports);
      all.own.push(answer);
      all.command.push(whole);
      all.hand.push(await byHand(box, apps));
    }
    options.say(`${all.own.map(Math.round).join(", ")} ms; by hand ${all.hand.map(Math.round).join(", ")} ms`);
    return all;
  });
}

/** An app that takes as long to boot as many do. */
async function flask(options: Options): Promise<Partial<Record<Name, number>>> {
  const files = { "server.py": null, say: null, ...flaskFiles(APP, "first") };
  const { own, hand } = await bootsOf(options, files, 3);
  return {
    "Flask: all answer after dp reconcile": median(own),
    "Flask: all answer, started by hand at once": median(hand),
    "Flask: dp to by hand": median(own) / median(hand),
  };
}

async function measure(options: Options): Promise<Measured<Name>> {
  const { own, hand, command } = await bootsOf(options, filesOf(APP, "first"), options.isQuick ? 1 : 5);
  const values: Partial<Record<Name, number>> = {
    "all answer after dp reconcile": median(own),
    "all answer, started by hand at once": median(hand),
    "dp to by hand": median(own) / median(hand),
    "dp reconcile, the whole command": median(command),
  };
  const apps = options.isQuick ? FEW : APPS;
  const notes = [`${apps} apps under dp's own supervisor; by hand there is no supervisor, no log and no relay`];
  return withFlask({ values, notes }, options, flask);
}

export default section({ name: "boot", rows, measure });
