// HAProxy as a service, in a real server where somebody else's site runs in Debian's own haproxy.service.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { expectNoLoss, figure, get } from "../contract.ts";
import { load } from "../relay/support/load.ts";
import { type Box, boxUnavailable, freePort, startBox, until } from "../../support/box.ts";

const why = boxUnavailable();
const SOURCE = "/opt/dp-source";
// What needs a service of systemd; the rest of the contract runs under DP_ROOT.
const TESTS = "setup takes the port|somebody else has|lose nothing .harsh|costs another app nothing|remove lets go";

describe.skipIf(why !== null)(`in a server of its own${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Box;
  let site: number;
  let config: string;

  beforeAll(async () => {
    box = await startBox("haproxy");
    await box.copyIn(process.execPath, "/usr/local/bin/bun");
    await box.copyTree(SOURCE);
    await box.must(
      "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends haproxy",
      {
        timeout: 200_000,
      },
    );
    const backend = await freePort();
    site = await freePort();
    const serve = `Bun.serve({ port: ${backend}, hostname: "127.0.0.1", fetch: () => new Response("the other site") })`;
    await box.must(["systemd-run", "--quiet", "--unit=site", "bun", "-e", serve]);
    config =
      (await box.read("/etc/haproxy/haproxy.cfg")) +
      `frontend site\n    bind 127.0.0.1:${site}\n    default_backend site\nbackend site\n    server one 127.0.0.1:${backend}\n`;
    await box.write("/etc/haproxy/haproxy.cfg", config);
    await box.must("systemctl restart haproxy");
    await until("the other site serves", () =>
      get(site).then(
        ({ text }) => text === "the other site",
        () => false,
      ),
    );
  }, 400_000);
  afterAll(() => box?.stop(), 60_000);

  test("the contract holds for the service, and the other site loses nothing meanwhile", async () => {
    const pid = await box.must("systemctl show -p MainPID --value haproxy");
    const running = load({ port: site, keepAlive: 4, fresh: 2, think: 20 });
    const command = `cd ${SOURCE} && DP_TEST_INSIDE=1 DP_TEST_FIGURES=${process.env["DP_TEST_FIGURES"] ?? ""} bun test test/fronts/haproxy.test.ts --timeout 60000 -t '${TESTS}'`;
    const answer = await box.ssh(command, { timeout: 200_000 });
    const result = await running.stop();
    if (answer.code !== 0) throw new Error(answer.text);
    expect(Number(/^ *(\d+) pass$/m.exec(answer.text)?.[1])).toBe(5);
    figure("inside", answer.text.match(/figure: .*/g));
    expectNoLoss(result);
    expect(result.answers).toEqual({ "the other site": expect.any(Number) as unknown as number });
    expect(await box.must("systemctl show -p MainPID --value haproxy")).toBe(pid);
    expect(await box.read("/etc/haproxy/haproxy.cfg")).toBe(config);
    await box.must("test ! -e /etc/systemd/system/dp-haproxy.service");
  }, 250_000);

  test("a restart, a reload by hand, a kill and a reboot bring the same target back", async () => {
    const [port, at] = [await freePort(), await freePort()];
    await box.must(["systemd-run", "--quiet", "--unit=app", "bun", "-e", serveAs(at)]);
    await box.write("/root/two.ts", TWO);
    await box.write("/root/drift.ts", DRIFT);
    await box.must(["bun", "/root/two.ts", SOURCE, String(port), String(at)]);
    const serves = () =>
      get(port).then(
        ({ text }) => text === "the app",
        () => false,
      );
    expect(await serves()).toBe(true);
    for (const change of ["restart dp-haproxy", "reload dp-haproxy", "kill -s KILL dp-haproxy", "restart haproxy"]) {
      await box.must(`systemctl ${change}`);
      await until(`it serves after ${change}`, serves, 15_000);
    }
    const files = "/run/dp-haproxy /run/dp-haproxy/master.sock /var/lib/dp/haproxy /var/lib/dp/haproxy/dp.cfg";
    expect(await box.must(`stat -c '%a %U %G' ${files} /var/lib/dp/haproxy/routes.json`)).toBe(
      "700 dp-haproxy dp-haproxy\n600 dp-haproxy dp-haproxy\n750 root dp-haproxy\n640 root dp-haproxy\n600 root root",
    );
    const main = await box.must("systemctl show -P MainPID dp-haproxy");
    expect(new Set((await box.must(`ps -o user:20= -p ${main} --ppid ${main}`)).split("\n"))).toEqual(
      new Set(["dp-haproxy"]),
    );
    const exposure = await box.must("systemd-analyze security --no-pager dp-haproxy | tail -n 1");
    figure("exposure", exposure);
    expect(Number(/: ([\d.]+) /.exec(exposure)?.[1])).toBeLessThanOrEqual(2);
    const unit = "/etc/systemd/system/dp-haproxy.service";
    await box.must(`echo '# by hand' >> ${unit} && systemctl disable --quiet dp-haproxy`);
    expect(JSON.parse(await box.must(["bun", "/root/drift.ts", SOURCE, String(port)]))).toEqual([
      [`${unit} is not as this dp writes it`],
      [`wrote ${unit}`],
      [],
    ]);
    await box.must("systemctl disable --quiet dp-haproxy");
    expect(JSON.parse(await box.must(["bun", "/root/drift.ts", SOURCE, String(port)]))).toEqual([
      [`systemd does not know ${unit}, or does not start it at boot`],
      [`told systemd about ${unit}`],
      [],
    ]);
    expect(await serves()).toBe(true);
    await box.reboot();
    await box.must(["systemd-run", "--quiet", "--unit=app", "bun", "-e", serveAs(at)]);
    await until("it serves after the reboot", serves, 15_000);
  }, 120_000);
});

const serveAs = (port: number) =>
  `Bun.serve({ port: ${port}, hostname: "127.0.0.1", fetch: () => new Response("the app") })`;

// Sets up a route whose first target is nobody, and points it at the app.
const TWO = `
  const [source, port, at] = process.argv.slice(2);
  const { makeIo, silentLog } = await import(source + "/lib/host/io.ts");
  const { default: front } = await import(source + "/lib/fronts/haproxy.ts");
  const io = makeIo(silentLog), listen = { host: "127.0.0.1", port: Number(port) };
  await front.setup({ app: "two", listen, protocol: "http", trustedProxies: [] }, io);
  await front.point("two", { id: "1-aaaaaaa", port: 1 }, io);
  await front.point("two", { id: "2-bbbbbbb", port: Number(at) }, io);
  process.exit(0);
`;

// What is not as dp wrote it, what setup makes of that, and what is left.
const DRIFT = `
  const [source, port] = process.argv.slice(2);
  const { makeIo, silentLog } = await import(source + "/lib/host/io.ts");
  const { default: front } = await import(source + "/lib/fronts/haproxy.ts");
  const route = { app: "two", listen: { host: "127.0.0.1", port: Number(port) }, protocol: "http", trustedProxies: [] };
  const before = await front.drift(), changes = await front.setup(route, makeIo(silentLog));
  console.log(JSON.stringify([before, changes, await front.drift()]));
  process.exit(0);
`;
