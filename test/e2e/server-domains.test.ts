// Domains on a real server: the relay's own user and the keys, sockets that systemd keeps, and the timer.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { missing, startAcme, type Acme } from "../support/acme.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable() ?? (missing.length > 0 ? `there is no ${missing.join(", ")}` : null);
const NAMES = "/var/lib/dp/tls/names";

describe.skipIf(why !== null)(`domains on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let acme: Acme;

  beforeAll(async () => {
    acme = await startAcme();
    box = await startServer("domains");
    await box.copyIn(Bun.which("lego")!, "/usr/bin/lego");
    await box.must("mkdir -p /etc/dp");
    await box.copyIn(acme.ca, "/etc/dp/ca.pem");
    await box.must([
      "sh",
      "-c",
      'printf %s "$1" > /etc/dp/tls.yml',
      "sh",
      acme.settings.replace(acme.ca, "/etc/dp/ca.pem"),
    ]);
    shop = await openLaptop(box, "shop");
    await box.mustDp("setup", "shop", "--port", `${await freePort()}`);
    await box.hurry("shop");
    await shop.commit(plainApp("shop"), "first");
    await shop.push();
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
    await acme?.end();
  });

  const live = () => box.live("shop");
  const ca = () => readFileSync(acme.root, "utf8");

  /** The page over https, on a connection of its own, whose certificate is checked. */
  async function page(): Promise<string> {
    const init = { tls: { ca: ca(), serverName: "shop.test" }, headers: { Host: "shop.test", Connection: "close" } };
    const answer = await fetch(`https://127.0.0.1:${acme.https}/`, { ...init, keepalive: false } as RequestInit);
    return answer.text();
  }

  /** Asks for the page again and again while something is done; answers how often, and what went wrong. */
  async function load(work: () => Promise<unknown>): Promise<{ count: number; errors: string[] }> {
    const seen = { count: 0, errors: [] as string[] };
    let isOver = false;
    const client = async () => {
      while (!isOver) {
        seen.count++;
        await page().catch((error: Error) => void seen.errors.push(error.message));
      }
    };
    const clients = [client(), client(), client(), client()];
    try {
      await work();
    } finally {
      isOver = true;
      await Promise.all(clients);
    }
    return seen;
  }

  test("a name is live with its certificate, and the timer looks after it", async () => {
    const said = await box.mustDp("domains", "shop", "add", "shop.test");
    expect(said).toContain("live: https://shop.test");
    expect(await page()).toBe(await live());
    expect(await box.must("systemctl is-active dp-certs.timer")).toBe("active");
    expect(await box.must("systemctl is-enabled dp-certs.timer")).toBe("enabled");
    expect(await box.mustDp("doctor", "shop")).toContain("nothing wrong");
  });

  test("the key is the relay's alone, and the account's key not even that", async () => {
    expect(await box.must(`stat -c '%a %U' ${NAMES}/shop.test/pair.pem`)).toBe("600 dp-relay");
    const account = (await box.must("find /var/lib/dp/tls/lego -name '*.key'")).split("\n");
    expect(account.length).toBeGreaterThan(1);
    const reads = async (user: string, file: string) =>
      (await box.ssh(["runuser", "-u", user, "--", "cat", file])).code === 0;
    expect(await reads("dp-relay", `${NAMES}/shop.test/pair.pem`)).toBe(true);
    for (const user of ["dp-shop", "dp-shop-build", "nobody"])
      if ((await box.ssh(["id", user])).code === 0)
        expect([user, await reads(user, `${NAMES}/shop.test/pair.pem`)]).toEqual([user, false]);
    for (const file of account) expect(await reads("dp-relay", file)).toBe(false);
    expect(await box.must("journalctl -u dp-relay -u dp-certs --no-pager")).not.toContain("PRIVATE KEY");
  });

  test("a restart of the relay, a renewal and a deploy under load refuse nobody", async () => {
    await shop.commit({ note: "second" }, "second");
    const { count, errors } = await load(async () => {
      await box.must("systemctl restart dp-relay");
      await box.mustDp("domains", "shop", "renew");
      await shop.push();
    });
    expect(errors).toEqual([]);
    expect(count).toBeGreaterThan(20);
    expect(await page()).toBe(await live());
  });

  test("after SIGKILL new connections wait in the sockets that systemd keeps", async () => {
    await box.must("systemctl kill --signal=SIGKILL dp-relay");
    // The first may be of the killed relay still.
    await page().catch(() => "");
    expect(await page()).toBe(await live());
    await until(
      "the relay is active again",
      async () => (await box.ssh(["systemctl", "is-active", "dp-relay"])).code === 0,
    );
  });

  test("the timer's service gets what is due", async () => {
    await box.must(`rm ${NAMES}/shop.test/pair.pem`);
    await box.must("systemctl start dp-certs.service");
    expect(await box.must("journalctl -u dp-certs --no-pager")).toContain("shop.test: has a new certificate");
    expect(await page()).toBe(await live());
  });

  test("without Bun's own handlers node:tls takes the kept socket, and dp doctor says so", async () => {
    const folder = "/etc/systemd/system/dp-relay.service.d";
    await box.must(`mkdir -p ${folder} && printf '[Service]\\nEnvironment=DP_RELAY_TLS=node\\n' > ${folder}/node.conf`);
    await box.must("systemctl daemon-reload");
    const restart = () => box.must("systemctl restart dp-relay");
    for (let times = 0; times < 2; times++) {
      const { errors } = await load(restart);
      expect(errors).toEqual([]);
      expect(await page()).toBe(await live());
    }
    expect(await box.mustDp("doctor", "shop")).toContain("warning  certificates: https goes by node:tls");
    await box.must(`rm -r ${folder} && systemctl daemon-reload && systemctl restart dp-relay`);
    expect(await box.mustDp("doctor", "shop")).toContain("nothing wrong");
  });

  test("HAProxy serves the same names as a user of its own, and the relay gets them back", async () => {
    const install = "DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends haproxy";
    await box.must(`apt-get update -q && ${install}`, { timeout: 200_000 });
    await box.mustDp("setup", "shop", "--front", "haproxy");
    await box.mustDp("restart", "shop");
    expect(await page()).toBe(await live());
    const copy = "/var/lib/dp/haproxy/certificates/shop.test.pem";
    const owners = () => box.must(`stat -c '%a %U' ${copy} ${NAMES}/shop.test/pair.pem`);
    expect(await owners()).toBe("600 dp-haproxy\n600 root");
    for (const user of ["dp-relay", "dp-shop", "nobody"])
      expect([user, (await box.ssh(["runuser", "-u", user, "--", "cat", copy])).code]).not.toEqual([user, 0]);
    const { count, errors } = await load(async () => {
      await box.mustDp("domains", "shop", "add", "www.shop.test");
      await box.mustDp("domains", "shop", "renew", "www.shop.test");
      await box.mustDp("domains", "shop", "remove", "www.shop.test");
    });
    expect([errors, count > 20]).toEqual([[], true]);
    expect(await owners()).toBe("600 dp-haproxy\n600 root");
    await box.must("systemctl restart dp-haproxy");
    expect(await page()).toBe(await live());
    expect(await box.must("journalctl -u dp-haproxy --no-pager")).not.toContain("PRIVATE KEY");
    expect(await box.mustDp("doctor", "shop")).toContain("nothing wrong");
    await box.mustDp("setup", "shop", "--front", "relay");
    await box.mustDp("restart", "shop");
    expect(await page()).toBe(await live());
    expect(await box.must(`stat -c '%a %U' ${NAMES}/shop.test/pair.pem`)).toBe("600 dp-relay");
    expect((await box.ssh(["ls", copy])).code).not.toBe(0);
  }, 400_000);

  test("it is all there after a reboot, and gone with the last domain", async () => {
    await box.reboot();
    await until("the page is back", () =>
      page().then(
        (text) => text !== "",
        () => false,
      ),
    );
    expect(await page()).toBe(await live());
    expect(await box.must("systemctl is-active dp-certs.timer")).toBe("active");
    await box.mustDp("domains", "shop", "clear");
    await expect(page()).rejects.toThrow();
    expect((await box.ssh(["ls", `${NAMES}/shop.test`])).code).not.toBe(0);
    expect((await box.ssh(["systemctl", "cat", "dp-certs.timer"])).code).not.toBe(0);
    expect(await box.mustDp("doctor", "shop")).toContain("nothing wrong");
  });
});
