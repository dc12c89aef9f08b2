// A push and a rollback under systemd beside dp's own supervisor, in turns, in a server of its own.
import { boxUnavailable, freePort } from "../support/box.ts";
import { startServer } from "../support/server-box.ts";
import type { Measures, Timed } from "./managers-inside.ts";
import { median, section, type Measured, type Options } from "./section.ts";

const ms = { unit: "ms" };

const rows = {
  "push to the first new answer: builtin": ms,
  "push to the first new answer: systemd": ms,
  "push to the first new answer: systemd to builtin": { unit: "" },
  "processor time of a push: builtin": ms,
  "processor time of a push: systemd": ms,
  "rollback to the first old answer: builtin": ms,
  "rollback to the first old answer: systemd": ms,
};

type Name = keyof typeof rows;

async function measure({ isQuick, say }: Options): Promise<Measured<Name>> {
  const why = isQuick ? "left out by --quick" : boxUnavailable();
  if (why !== null) return { values: {}, notes: [why] };
  const box = await startServer("bench");
  try {
    const [one, two] = [await freePort(), await freePort()];
    const program = ["/usr/local/lib/bun", "/srv/dp/test/bench/managers-inside.ts", "7", String(one), String(two)];
    const answer = await box.ssh(program, { timeout: 600_000 });
    if (answer.code !== 0) throw new Error(answer.text);
    const found = JSON.parse(answer.stdout) as Record<"builtin" | "systemd", Measures>;
    const middle = (timings: readonly Timed[], name: keyof Timed) => median(timings.map((timing) => timing[name]));
    const firsts = (manager: "builtin" | "systemd", what: keyof Measures) =>
      middle(found[manager][what], "firstAnswer");
    const [own, other] = [firsts("builtin", "pushes"), firsts("systemd", "pushes")];
    say(`managers: ${own.toFixed(0)} ms and ${other.toFixed(0)} ms`);
    const values = {
      "push to the first new answer: builtin": own,
      "push to the first new answer: systemd": other,
      "push to the first new answer: systemd to builtin": other / own,
      "processor time of a push: builtin": middle(found.builtin.pushes, "cpu"),
      "processor time of a push: systemd": middle(found.systemd.pushes, "cpu"),
      "rollback to the first old answer: builtin": firsts("builtin", "rollbacks"),
      "rollback to the first old answer: systemd": firsts("systemd", "rollbacks"),
    };
    return { values, notes: ["dp is this folder's, installed in the server; git reaches it without ssh"] };
  } finally {
    await box.stop();
  }
}

export default section({ name: "managers", rows, measure });
