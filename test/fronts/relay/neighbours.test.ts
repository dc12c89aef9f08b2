// What a neighbour on the same server tries against an app behind the relay: on a real server, by the attacks' own scripts,
// against the relay as dp sets it up there, a service without rights.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Box, boxUnavailable, freePort, startBox, until } from "../../support/box.ts";

const why = boxUnavailable();
const SOURCE = "/opt/dp-source";
const ATTACKS = join(import.meta.dir, "../../fixtures/attack");
const serveAs = (name: string, port: number) =>
  `Bun.serve({ port: ${port}, hostname: "127.0.0.1", fetch: () => new Response("the app ${name}") })`;

// Sets up the routes of the apps a and b, each with its own user.
const ROUTES = `
  const [source, ...ports] = process.argv.slice(2);
  const { makeIo, silentLog } = await import(source + "/lib/host/io.ts");
  const { default: front } = await import(source + "/lib/fronts/relay.ts");
  const { idsOf } = await import(source + "/lib/host/users.ts");
  const io = makeIo(silentLog);
  for (const app of ["a", "b"]) {
    const [uid] = await idsOf("dp-" + app), [port, at] = ports.splice(0, 2).map(Number);
    await front.setup({ app, listen: { host: "127.0.0.1", port }, protocol: "http", trustedProxies: ["127.0.0.1"], uid }, io);
    await front.point(app, { id: "1-aaaaaaa", port: at, uid }, io);
  }
  process.exit(0);
`;

// Lets only one address reach the app b, with these trusted proxies; without any, everybody.
const ALLOW = `
  const [source, port, ...trustedProxies] = process.argv.slice(2);
  const { makeIo, silentLog } = await import(source + "/lib/host/io.ts");
  const { default: front } = await import(source + "/lib/fronts/relay.ts");
  const { idsOf } = await import(source + "/lib/host/users.ts");
  const [uid] = await idsOf("dp-b");
  const allow = trustedProxies.length > 0 ? { allow: ["203.0.113.7"] } : {};
  const listen = { host: "127.0.0.1", port: Number(port) };
  const proxies = trustedProxies.length > 0 ? trustedProxies : ["127.0.0.1"];
  await front.setup({ app: "b", listen, protocol: "http", trustedProxies: proxies, uid, ...allow }, makeIo(silentLog));
  process.exit(0);
`;

describe.skipIf(why !== null)(`neighbours${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Box;
  let a: { port: number; at: number };
  let b: { port: number; at: number };

  beforeAll(async () => {
    box = await startBox("neighbours");
    await box.copyIn(process.execPath, "/usr/local/bin/bun");
    await box.copyTree(SOURCE);
    await box.copyIn(ATTACKS, "/cases");
    await box.must("for user in dp-a dp-b dpb-a dp-worker guest; do useradd --system $user; done");
    [a, b] = [
      { port: await freePort(), at: await freePort() },
      { port: await freePort(), at: await freePort() },
    ];
    await start("a", a.at);
    await start("b", b.at);
    await box.write("/root/routes.ts", ROUTES);
    await box.must(["bun", "/root/routes.ts", SOURCE, ...[a.port, a.at, b.port, b.at].map(String)]);
    await until("both serve", async () => (await ask(a.port)) === "the app a" && (await ask(b.port)) === "the app b");
  }, 120_000);
  afterAll(() => box?.stop(), 60_000);

  const start = (app: string, at: number) =>
    box.must([
      ...["systemd-run", "--quiet", `--unit=${app}`, `--property=User=dp-${app}`, "--property=Restart=always"],
      ...["--property=RestartSec=1", "--property=StartLimitIntervalSec=0", "bun", "-e", serveAs(app, at)],
    ]);

  /** What a customer of an app gets, who sends a cookie. */
  async function ask(port: number): Promise<string> {
    const headers = { Cookie: "session=of-a-customer", Connection: "close" };
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers }).catch(() => null);
    return answer === null ? "nothing" : (await answer.text()).trim();
  }

  test("the relay has no rights, and asks the kernel all the same", async () => {
    const pid = await box.must("systemctl show -P MainPID dp-relay");
    expect(await box.must(`ps -o user= -p ${pid}`)).toBe("dp-relay");
    expect(await box.must("journalctl -u dp-relay --no-pager")).not.toContain("does not report the owner of a socket");
  });

  test.each([
    ["dp-a", "127.0.0.1", "403"],
    ["dpb-a", "127.0.0.1", "403"],
    ["dp-worker", "127.0.0.1", "403"],
    ["guest", "127.0.0.1", "200"],
    ["dp-a", "own", "403"],
    ["guest", "own", "200"],
  ])("%s as a proxy at %s of an app with an allow list: %s", async (user, source, status) => {
    const own = (await box.must("hostname -I")).trim().split(" ")[0]!;
    const trusted = ["127.0.0.1", own];
    await box.write("/root/allow.ts", ALLOW);
    await box.must(["bun", "/root/allow.ts", SOURCE, String(b.port), ...trusted]);
    const address = source === "own" ? own : source;
    const ask = `curl -s -o /dev/null -w '%{http_code}' --interface ${address} -H 'X-Forwarded-For: 203.0.113.7'`;
    expect(await box.must(`setpriv --reuid=${user} --clear-groups ${ask} http://127.0.0.1:${b.port}/`)).toBe(status);
    await box.must(["bun", "/root/allow.ts", SOURCE, String(b.port)]);
  });

  test.each(["dp-a", "guest"])(
    "%s waits for the port of b, and gets none of its requests",
    async (user) => {
      const pid = await box.must("systemctl show -P MainPID b");
      const output = `/tmp/steal-${user}`;
      await box.must(
        `systemd-run --quiet --unit=steal -p User=${user} -p StandardOutput=file:${output} python3 -u /cases/port-steal.py ${b.at} 8`,
      );
      await box.must("systemctl kill --signal=KILL b");
      await until("the port is stolen", async () => (await box.ssh(`cat ${output}`)).text.includes("BOUND"));
      const answers = new Set<string>();
      while ((await box.ssh("systemctl is-active --quiet steal")).code === 0) answers.add(await ask(b.port));
      expect(
        [...answers].filter(
          (answer) =>
            !/^502 Bad Gateway\nb: its port \d+ is held by another user$|^503 [^]*b: nothing listens|^the app b$/.test(
              answer,
            ),
        ),
      ).toEqual([]);
      expect(answers.size).toBeGreaterThan(0);
      expect(await box.must(`cat ${output}`)).toContain("requests stolen 0");
      expect(await box.must("journalctl -u dp-relay --no-pager")).toContain(
        `b: port ${b.at} of 1-aaaaaaa is held by ${user} `,
      );
      await until("b serves again", async () => (await ask(b.port)) === "the app b");
      expect(await box.must("systemctl show -P MainPID b")).not.toBe(pid);
    },
    60_000,
  );

  test.each(["dp-a", "guest"])(
    "%s takes no connections from others, though it opens thousands",
    async (user) => {
      const median = async () => {
        const times: number[] = [];
        for (let i = 0; i < 200; i++) {
          const begun = performance.now();
          expect(await ask(b.port)).toBe("the app b");
          times.push(performance.now() - begun);
        }
        return times.toSorted((one, other) => one - other)[100]!;
      };
      const before = await median();
      const output = `/tmp/exhaust-${user}`;
      await box.must(
        `systemd-run --quiet --unit=exhaust -p User=${user} -p LimitNOFILE=65536 -p StandardOutput=file:${output} python3 -u /cases/relay-exhaust.py 600 ${a.port} ${b.port}`,
      );
      await until(
        "it has opened what it can",
        async () => (await box.ssh(`cat ${output}`)).text.split("opened").length === 3,
      );
      const during = await median();
      console.log(
        `${user}: the median of 200 requests: ${before.toFixed(2)} ms before, ${during.toFixed(2)} ms while it holds`,
      );
      expect(during).toBeLessThan(before * 5 + 5);
      expect(await ask(a.port)).toBe("the app a");
      await box.must("systemctl stop exhaust");
    },
    60_000,
  );
});
