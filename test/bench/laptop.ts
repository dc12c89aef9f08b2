// How long `dp status` takes from a laptop, with a connection of its own and over the shared one, beside `ssh HOST true`.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { connect } from "../support/remote-laptop.ts";
import { sshdUnavailable } from "../support/sshd.ts";
import { filesOf, withApp } from "./app.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { push } from "./timing.ts";

const ms = { unit: "ms" };
const rows = {
  "ssh HOST true, a connection of its own": ms,
  "ssh HOST true, the shared connection": ms,
  "dp status, a connection of its own": ms,
  "dp status, the shared connection": ms,
  "dp status, on the server": ms,
};

type Name = keyof typeof rows;

const APP = "bench";

async function measure(options: Options): Promise<Measured<Name>> {
  const why = sshdUnavailable();
  if (why !== null) return { values: {}, notes: [`not measured: ${why}`] };
  return withApp(options, APP, ["verifyTime: 0s"], async (box) => {
    await box.commit(filesOf(APP, "first"));
    await push(box, "first");
    const pair = await connect(box);
    try {
      const sockets = join(dirname(box.root), "sockets");
      mkdirSync(sockets, { mode: 0o700 });
      const ssh = ["ssh", "-F", pair.sshd.config];
      const shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", `ControlPath=${sockets}/%C`];
      const ways: Record<Name, () => Promise<{ code: number; text: string }>> = {
        "ssh HOST true, a connection of its own": () => pair.start([...ssh, "server", "true"]).done,
        "ssh HOST true, the shared connection": () => pair.start([...ssh, ...shared, "server", "true"]).done,
        "dp status, a connection of its own": () => pair.dpWith({ env: { DP_MUX: "0" } }, "status"),
        "dp status, the shared connection": () => pair.dp("status"),
        "dp status, on the server": () => box.dp("status", APP),
      };
      return {
        values: await medians(ways, options),
        notes: ["sshd is on the same machine, with a key exchange that costs little"],
      };
    } finally {
      await pair.sshd.stop();
    }
  });
}

/** The ways in turn, so that a busy moment is no single one's; the first round makes the shared connections. */
async function medians(
  ways: Record<Name, () => Promise<{ code: number; text: string }>>,
  { isQuick, say }: Options,
): Promise<Record<Name, number>> {
  const times = Object.fromEntries(Object.keys(ways).map((name) => [name, []])) as unknown as Record<Name, number[]>;
  for (let round = 0; round < (isQuick ? 2 : 21); round++) {
    for (const [name, way] of Object.entries(ways) as [Name, (typeof ways)[Name]][]) {
      const begun = performance.now();
      const { code, text } = await way();
      if (code !== 0) throw new Error(`${name}: exited with code ${code}: ${text}`);
      if (round > 0) times[name].push(performance.now() - begun);
    }
  }
  for (const [name, all] of Object.entries(times)) say(`${name}: ${all.map(Math.round).join(", ")} ms`);
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)])) as Record<Name, number>;
}

export default section({ name: "laptop", rows, measure });
