// Notifications on a real server: the timer, the sender's user and sandbox, an app that is killed, that crashes again and
// again, and a reboot. The tests build on each other, on one server; the receiver is on this machine's loopback.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { receiver, type Receiver } from "../notify/support/receivers.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const LIMIT = 600_000;
/** How long a message may take, in ms: the timer looks twice a minute, and the machine may be busy. */
const PATIENCE = 180_000;
const QUEUE = "/var/lib/dp/notify";
const HOME = "/opt/deployments/shop/home";
/** The promise: who is told is told within this time, in ms. */
const PROMISE = 60_000;
const METRICS = "/srv/metrics";
/** The timer looks as soon as the last look has ended; without this twice a minute. */
const OFTEN =
  "mkdir -p /etc/systemd/system/dp-watch.timer.d && printf '[Timer]\\nOnUnitInactiveSec=\\nOnActiveSec=1s\\nOnUnitInactiveSec=1s\\nAccuracySec=100ms\\nRandomizedDelaySec=0\\n' > /etc/systemd/system/dp-watch.timer.d/often.conf && systemctl daemon-reload && systemctl restart dp-watch.timer";
const SELDOM =
  "rm -r /etc/systemd/system/dp-watch.timer.d && systemctl daemon-reload && systemctl restart dp-watch.timer";

/** What the tests read in watch.json. */
interface Look {
  at: string;
  apps: Record<string, { state: string }>;
}

describe.skipIf(why !== null)(`notifications on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let team: Receiver;

  beforeAll(async () => {
    team = receiver();
    box = await startServer("notify");
    shop = await openLaptop(box, "shop");
    await box.mustDp("setup", "shop", "--port", `${await freePort()}`);
    await box.hurry("shop");
    await shop.commit(plainApp("shop"));
    await shop.push();
  }, LIMIT);
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
    team?.stop();
  });

  const texts = () => team.got.map(({ body }) => (JSON.parse(body) as { text: string }).text.split("\n")[0]!);
  const told = (word: string) => texts().filter((text) => text.includes(word));
  const arrives = (word: string, count = 1) => until(`"${word}" arrives`, () => told(word).length >= count, PATIENCE);
  const add = (name: string, kind: string, line: string) =>
    box.must(`printf '%s\\n' '${line}' | dp notify add ${name} ${kind}`);
  const unit = async () => `shop@${await box.live("shop")}.service`;
  const lastLook = async () => {
    const { code, stdout } = await box.ssh(["cat", "/var/lib/dp/watch.json"]);
    return (code === 0 ? JSON.parse(stdout) : { at: "", apps: {} }) as Look;
  };
  // An app is not asked for half a minute after a deploy or a lock: these were a minute ago.
  const rested = () =>
    box.must(
      `cd /opt/deployments/shop && touch -d '-1 minute' lock && sed -i -E 's/("endedAt": ?")20[0-9]{2}/\\12020/' runs/*.json`,
    );
  const stateIs = (state: string) =>
    until(`shop is ${state}`, async () => (await lastLook()).apps["shop"]?.state === state, PATIENCE);

  test(
    "the first target makes timer, unit, user and folders, and root writes where nobody else can put links",
    async () => {
      expect(await add("team", "webhook", `URL=${team.url}`)).toContain("sent to team: 200");
      expect(await box.must("systemctl is-active dp-watch.timer")).toBe("active");
      expect(await box.must("systemctl is-enabled dp-watch.timer dp-notify.service")).toBe("enabled\nenabled");
      expect(await box.must(`stat -c '%U:%G %a' ${QUEUE} ${QUEUE}/new ${QUEUE}/own ${QUEUE}/targets.json`)).toBe(
        ["root:dp-notify 750", "root:dp-notify 2770", "dp-notify:dp-notify 700", "root:dp-notify 640"].join("\n"),
      );
      expect(await box.must("stat -c '%U %a' /opt/deployments/notify.yml")).toBe("root 600");
      const tries = ["mv new x", "rm -rf own", "ln -s /etc/shadow y", "echo x > targets.json"].map(
        (line) =>
          `! setpriv --reuid=dp-notify --regid=dp-notify --clear-groups sh -c 'cd ${QUEUE} && ${line}' 2>/dev/null`,
      );
      await box.must(tries.join(" && "));
      const rating = await box.must("systemd-analyze security dp-notify.service --no-pager | tail -n 1");
      expect(Number(/([0-9.]+) OK/.exec(rating)?.[1])).toBeLessThan(2.5);
      expect((await box.dp("doctor")).stdout).not.toContain("notify");
      await box.must(OFTEN);
    },
    LIMIT,
  );

  test(
    "the app is killed just after a look: one message within a minute; it is started: one message",
    async () => {
      await rested();
      await stateIs("ok");
      const live = await unit();
      const { at } = await lastLook();
      await box.must(SELDOM);
      await until("the look that the new timer begins with", async () => (await lastLook()).at !== at);
      const stopped = Number(await box.must(`systemctl stop ${live} && date +%s%3N`));
      await arrives("shop is down");
      // The receiver is a process of the same kernel: its clock is the server's own.
      expect(team.got.find(({ body }) => body.includes("shop is down"))!.at - stopped).toBeLessThan(PROMISE);
      expect(told("shop is down")[0]).toContain("it was stopped, but not by dp stop");
      await box.must(OFTEN);
      await box.must(`systemctl start ${live}`);
      await arrives("shop is up again");
      expect([told("shop is down").length, told("shop is up again").length]).toEqual([1, 1]);
      expect(await box.must(`stat -c %U ${QUEUE}/own/log`)).toBe("dp-notify");
    },
    LIMIT,
  );

  test(
    "it crashes again and again until its manager gives up: one message, and one when it is mended",
    async () => {
      // Without the past: a third change within ten minutes would be flapping.
      await box.must("systemctl stop dp-watch.timer && rm /var/lib/dp/watch.json && systemctl start dp-watch.timer");
      await stateIs("ok");
      await box.must(`touch ${HOME}/die`);
      await arrives("shop is down", 2);
      await until(
        "systemd has given up",
        async () => (await box.ssh(["systemctl", "is-failed", await unit()])).code === 0,
      );
      await stateIs("down");
      await box.must(`rm ${HOME}/die && systemctl reset-failed ${await unit()} && systemctl start ${await unit()}`);
      await stateIs("ok");
      await arrives("shop is up again", 2);
      expect([told("shop is down").length, told("shop is up again").length]).toEqual([2, 2]);
    },
    LIMIT,
  );

  test(
    "a deploy that fails, and programs that run as dp-notify, also through sendmail",
    async () => {
      await box.must(
        `printf '#!/bin/sh\\nid -un > ${QUEUE}/own/who\\n' > /usr/local/bin/page-me && chmod 755 /usr/local/bin/page-me`,
      );
      await box.must(
        "mkdir -p /var/spool/sink && chown dp-notify /var/spool/sink && printf '#!/bin/sh\\n{ echo \"$@\"; cat; } >> /var/spool/sink/mail\\n' > /usr/sbin/sendmail && chmod 755 /usr/sbin/sendmail",
      );
      await add("own", "command", "command=/usr/local/bin/page-me");
      await add("ops", "mail", "mail=ops@example.com\nfrom=dp@example.com");
      expect(await box.must(`cat ${QUEUE}/own/who`)).toBe("dp-notify");
      await box.must(`rm ${QUEUE}/own/who /var/spool/sink/mail`);
      await shop.commit({ "app.py": "raise SystemExit('boom')\n" }, "Break it");
      await shop.failingPush();
      await arrives("failed at");
      expect(told("failed at")).toEqual([
        expect.stringMatching(/^✗ shop: deploy \d+-\S+ failed at check, \S+ serves as before$/),
      ]);
      await until(
        "the program",
        async () => (await box.ssh(["cat", `${QUEUE}/own/who`])).stdout.trim() === "dp-notify",
      );
      await until("the mail", async () =>
        (await box.ssh(["cat", "/var/spool/sink/mail"])).stdout.includes("ops@example.com"),
      );
      await box.mustDp("notify", "remove", "ops");
      await box.mustDp("notify", "remove", "own");
      expect(await box.must("systemctl show -P NoNewPrivileges dp-notify.service")).toBe("yes");
    },
    LIMIT,
  );

  test(
    "links in the sender's own folder lead root nowhere",
    async () => {
      await box.must(`mv ${QUEUE}/own/log ${QUEUE}/own/kept && ln -s /etc/shadow ${QUEUE}/own/log`);
      expect(await box.mustDp("notify", "log")).toBe("no message yet");
      await box.must(`mkfifo ${QUEUE}/own/log.1`);
      expect(await box.mustDp("notify", "log")).toBe("no message yet");
      await box.must(`rm ${QUEUE}/own/log ${QUEUE}/own/log.1 && mv ${QUEUE}/own/kept ${QUEUE}/own/log`);
      expect(await box.mustDp("notify", "log")).toContain("shop is down");
    },
    LIMIT,
  );

  test(
    "doctor finds each unit that was changed, taken away or switched off, and mends it",
    async () => {
      await box.must(`mkdir ${METRICS}`);
      await box.mustDp("metrics", "--install", METRICS);
      const found = async () => (await box.dp("doctor")).stdout;
      const before = await found();
      for (const name of ["notify:", "metrics:"]) expect(before).not.toContain(name);
      const units = "/etc/systemd/system";
      for (const unit of ["dp-watch.service", "dp-notify.service", "dp-metrics.service"])
        await box.must(`echo '# mine' >> ${units}/${unit}`);
      await box.must(`rm ${units}/dp-metrics.timer`);
      const changed = await found();
      for (const unit of ["dp-watch.service", "dp-notify.service", "dp-metrics.service"])
        expect(changed).toContain(`${unit} is not as this dp writes it`);
      expect(changed).toContain("dp-metrics.timer is missing");
      expect(changed).toContain(`→ dp metrics --install ${METRICS}`);
      await box.ssh("dp doctor --fix");
      await box.must("systemctl disable --now --quiet dp-watch.timer dp-notify.service dp-metrics.timer");
      const off = await found();
      for (const unit of ["dp-watch.timer", "dp-notify.service", "dp-metrics.timer"])
        expect(off).toContain(`systemd does not know ${units}/${unit}, or does not start it at boot`);
      for (const timer of ["dp-watch.timer", "dp-metrics.timer"]) expect(off).toContain(`${timer} does not run`);
      await box.ssh("dp doctor --fix");
      const mended = await found();
      for (const name of ["notify:", "metrics:"]) expect(mended).not.toContain(name);
      await box.must(`rmdir ${METRICS} 2>/dev/null || mv ${METRICS} ${METRICS}.gone`);
      expect(await found()).toContain(`${METRICS}, where the metrics go, is not a folder`);
      await box.must(`mkdir -p ${METRICS}`);
    },
    LIMIT,
  );

  test(
    "a reboot: one message, that all came up with it",
    async () => {
      const before = texts().length;
      await box.reboot();
      await arrives("came up again");
      await rested();
      expect(await box.must("systemctl show -P Result dp-reconcile.service")).toBe("success");
      await stateIs("ok");
      expect(texts().slice(before)).toEqual([expect.stringMatching(/^○ \S+ came up again, and its app with it$/)]);
    },
    LIMIT,
  );

  test(
    "dp goes: so do the units that would start it; dp comes again: so do they",
    async () => {
      const gone = await box.ssh("/srv/dp/install.sh --uninstall");
      const all = ["dp-watch.timer", "dp-watch.service", "dp-notify.service", "dp-metrics.timer", "dp-metrics.service"];
      expect([gone.code, gone.stderr]).toEqual([0, expect.stringContaining(`removed the units ${all.join(" ")}\n`)]);
      expect((await box.ssh("ls /etc/systemd/system")).stdout).not.toMatch(
        /dp-(watch|notify|metrics)\.(timer|service)\n/,
      );
      const known = `systemctl list-units --all --no-legend --plain 'dp-*'`;
      expect(await box.must(known)).not.toMatch(/dp-(watch|notify|metrics)/);
      expect(await box.must(known)).toContain("dp-relay.service");
      await box.must("DP_BUN=/usr/local/lib/bun /srv/dp/install.sh");
      expect((await box.dp("doctor")).stdout).toContain("dp-watch.timer is missing");
      await box.mustDp("reconcile");
      expect(await box.must("systemctl is-active dp-watch.timer")).toBe("active");
      expect((await box.dp("doctor")).stdout).not.toContain("notify:");
    },
    LIMIT,
  );

  test(
    "the last target takes timer and unit with it, and destroy leaves nothing to look at",
    async () => {
      await box.mustDp("notify", "remove", "team");
      expect(
        (await box.ssh("ls /etc/systemd/system/dp-watch.* /etc/systemd/system/dp-notify.service")).stdout,
      ).not.toContain("dp-notify.service\n");
      expect((await box.ssh("systemctl is-active dp-watch.timer")).stdout.trim()).toBe("inactive");
      expect((await box.dp("doctor")).stdout).not.toContain("notify");
    },
    LIMIT,
  );
});
