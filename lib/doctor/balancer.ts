// The balancers of this server: HAProxy must serve them, and their servers must answer.
import { byHand, type Check, type Finding } from "../contracts/check.ts";
import { balancerDrift, balancerStates, restoreBalancers } from "../fronts/haproxy/balance.ts";
import { makeIo, silentLog } from "../host/io.ts";

const check: Check = {
  summary: "the balancers in front of other servers",
  async server() {
    const all = await balancerStates();
    if (all.length === 0) return [];
    const fix = async () => (await restoreBalancers(makeIo(silentLog))).join(", ") || "HAProxy serves the balancers";
    const drift = (await balancerDrift()).map((what): Finding => {
      return { severity: "error", what, command: "dp doctor --fix", fix };
    });
    return [...drift, ...all.filter(({ error }) => error === null).flatMap(ofServers)];
  },
};
export default check;

function ofServers({ name, servers }: Awaited<ReturnType<typeof balancerStates>>[number]): Finding[] {
  const up = servers.filter(({ isUp }) => isUp).length;
  if (up === 0) return [byHand("error", `no server of the balancer ${name} gets requests`, "dp balancer")];
  return servers.flatMap((each): Finding[] => {
    if (each.isUp) return [];
    const at = `${each.name} (${each.address})`;
    if (each.isDrained)
      return [byHand("note", `${at} of the balancer ${name} is drained`, `dp balancer ready ${name} ${each.name}`)];
    return [byHand("warning", `${at} of the balancer ${name} fails its check: ${each.check}`, "dp balancer")];
  });
}
