// What dp itself needs: the relay with twenty apps, and the supervisor of one instance.
import { readFileSync } from "node:fs";
import { load } from "../fronts/relay/support/load.ts";
import { freePort } from "../support/core-server.ts";
import { pidsWith } from "../support/sandbox.ts";
import { filesOf, withApp } from "./app.ts";
import { host, route, startApp, startRelay } from "./fronts.ts";
import { section, type Measured, type Options } from "./section.ts";
import { push } from "./timing.ts";

const rows = {
  "relay with 20 apps, idle": { unit: "MB", below: 80 },
  "relay with 20 apps, after a load on all": { unit: "MB", below: 80 },
  "supervisor of an instance (manager builtin)": { unit: "MB" },
};

type Name = keyof typeof rows;

const APPS = 20;
const APP = "bench";

/** The resident memory of a process, in MB. */
export const rss = (pid: number) =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

async function relay({ isQuick }: Options): Promise<{ idle: number; loaded: number; failed: number }> {
  const of = host();
  try {
    const to = await startApp(of);
    const pid = await startRelay(of);
    const ports: number[] = [];
    for (let number = 0; number < APPS; number++) {
      const port = await freePort();
      await route(of, `app${number}`, port, to);
      ports.push(port);
    }
    const idle = rss(pid);
    const loads = ports.map((port) => load({ port, keepAlive: 4, fresh: 2, think: 5 }));
    await Bun.sleep(isQuick ? 1_000 : 15_000);
    const seen = await Promise.all(loads.map((one) => one.stop()));
    return { idle, loaded: rss(pid), failed: seen.reduce((sum, one) => sum + one.failed, 0) };
  } finally {
    await of.stop();
  }
}

async function supervisor(options: Options): Promise<number> {
  return withApp(options, APP, ["verifyTime: 0s"], async (box) => {
    await box.commit(filesOf(APP, "first"));
    await push(box, "first");
    // The shell that guards it, too.
    const pids = pidsWith(`${box.base}/instances/${box.link("current")}.json`);
    return pids.length === 0 ? Number.NaN : pids.reduce((sum, pid) => sum + rss(pid), 0);
  });
}

async function measure(options: Options): Promise<Measured<Name>> {
  const { idle, loaded, failed } = await relay(options);
  const values = {
    "relay with 20 apps, idle": idle,
    "relay with 20 apps, after a load on all": loaded,
    "supervisor of an instance (manager builtin)": await supervisor(options),
  };
  return { values, notes: [`resident memory; ${failed} requests of the load failed`] };
}

export default section({ name: "memory", rows, measure });
