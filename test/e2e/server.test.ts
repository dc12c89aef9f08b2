// The first days with dp on a fresh Debian server: everything over ssh, with real packages.
// The tests of a describe build on each other, in this order, on one server.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { boxUnavailable, freePort } from "../support/box.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, type Outcome, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();

const FLASK = (version: string, body = "") => `import os, sys
from flask import Flask
app = Flask(__name__)
if os.environ.get("BROKEN_BY_OPERATOR"):
    raise RuntimeError("BROKEN_BY_OPERATOR is set")
${body}

@app.get("/")
def index():
    return "${version}"

@app.get("/health")
def health():
    return "ok"
`;

const config = (command: string, startTimeout = "2s") => `name: shop
type: python
healthCheck: {path: /health, startTimeout: ${startTimeout}}
command: ${command}
`;
const GUNICORN = 'gunicorn --bind "$DP_HOST:$PORT" app:app';

describe.skipIf(why !== null)(`a new server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let api: Laptop;
  let [shopPort, apiPort, otherPort] = [0, 0, 0];
  let requirements = "";
  let first: Outcome;

  beforeAll(async () => {
    box = await startServer("server");
    shop = await openLaptop(box, "shop");
    api = await openLaptop(box, "api");
    [shopPort, apiPort, otherPort] = [await freePort(), await freePort(), await freePort()];
  });
  afterAll(async () => {
    shop?.remove();
    api?.remove();
    await box?.stop();
  });

  /** What must hold whenever nothing is under way: one release, healthy, and the branch is its commit. */
  const expectLive = async (app: string, id: string, sha: string) => {
    expect(await box.live(app)).toBe(id);
    expect(await box.instances(app)).toEqual([id]);
    expect(await box.branch(app)).toBe(sha);
    expect(JSON.parse(await box.mustDp("status", app, "--json"))).toMatchObject({
      live: id,
      isHealthy: true,
      strays: [],
      deploying: null,
    });
  };

  test("dp setup makes an app, says what to type, and says so when there is nothing to do", async () => {
    const made = await box.mustDp("setup", "shop");
    expect(made).toContain("made the system user dp-shop");
    expect(made).toContain(`git remote add production ${box.gitUrl("/var/repos/shop.git")}`);
    expect(await box.mustDp("setup", "shop")).toContain("nothing to change for shop");
    expect(await box.mustDp("status")).toContain("nothing yet: push to deploy");
  });

  test("a second app gets a port and a user of its own, and cannot take another's", async () => {
    expect(await box.mustDp("setup", "api")).toContain("made the system user dp-api");
    // The box shares the host's network, where somebody else may have 8000, or has just left it.
    const [api, shop] = JSON.parse(await box.mustDp("status", "--json")).map(({ url }: { url: string }) =>
      Number(url.split(":")[2]),
    );
    expect(Math.min(api, shop)).toBeGreaterThanOrEqual(8000);
    expect(api).not.toBe(shop);
    expect(await box.dp("setup", "api", "--port", `${shop}`)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(new RegExp(`port ${shop} belongs to the app "shop"\n.*the next free one is 8\\d+`)),
    });
    const moved = await box.mustDp("setup", "shop", "--port", `${shopPort}`);
    expect(moved).toContain(`port is now ${shopPort}, it was ${shop}`);
    expect(moved).toContain(`the relay holds 127.0.0.1:${shopPort} for shop`);
    expect(await box.mustDp("setup", "api", "--port", `${apiPort}`)).toContain(`port is now ${apiPort}, it was ${api}`);
  });

  test.each(["Shop", "../shop", "ssh", "a--b", "shop app", "0shop", "a".repeat(29), "shop\nUser=root"])(
    "dp setup refuses the name %j",
    async (name) => {
      const listing = "ls -A /opt/deployments /var/repos /etc/systemd/system | sha256sum";
      const script = `${listing}; dp setup "$1" 2>&1; echo "code $?"; ${listing}`;
      const lines = (await box.must(["sh", "-c", script, "sh", name])).split("\n");
      expect(lines).toContain("code 2");
      expect(lines[1]).toContain(`dp: app name ${JSON.stringify(name)}`);
      expect(lines.at(-1)).toBe(lines[0]!);
    },
  );

  test("the example of dp init is pushed as it is, and serves", async () => {
    await shop.dp("init", "--name", "shop", "--example", "flask");
    const sha = await shop.commit({}, "Deploy with dp");
    first = await shop.push();
    expect(first.text).toMatch(/remote: +\| pip: \d+ collected, .*\d+ installed/);
    const id = `1-${sha.slice(0, 7)}`;
    expect(first.text).toContain(`live: shop ${id} at http://127.0.0.1:${shopPort}`);
    expect(JSON.parse(await box.get(shopPort))).toEqual({ app: "shop", release: id });
    await expectLive("shop", id, sha);
    requirements = await Bun.file(`${shop.dir}/requirements.txt`).text();
    await box.hurry("shop", "api");
  }, 120_000);

  test("a second push with the same requirements installs nothing again", async () => {
    const installed = (await box.newestRun("shop"))!.journal["install"]!.took!;
    // To read all units again takes systemd longer the more there are.
    const reloads = () => box.must("journalctl --boot --quiet _PID=1 -o cat | grep -c ^Reloading");
    const reloaded = await reloads();
    const sha = await shop.commit({ "app.py": FLASK("two"), "deploy.yml": config(GUNICORN, "30s") });
    const { text } = await shop.push();
    expect(text).toContain("dependencies unchanged");
    expect(text).not.toMatch(/\| pip: /);
    expect((await box.newestRun("shop"))!.journal["install"]!.took!).toBeLessThan(installed / 4);
    expect(await reloads()).toBe(reloaded);
    expect(await box.get(shopPort)).toBe("two");
    await expectLive("shop", `2-${sha.slice(0, 7)}`, sha);
  });

  const broken: [string, () => Record<string, string>, RegExp[]][] = [
    [
      "pip finds no such version",
      () => ({ "requirements.txt": `${requirements}click==0.0.999\n` }),
      [/FAILED at install/, /No matching distribution found for click==0\.0\.999|conflict/],
    ],
    [
      "it crashes at boot",
      () => ({
        "app.py": FLASK("bad", 'raise RuntimeError("there is no database")'),
        "deploy.yml": config(GUNICORN, "30s"),
      }),
      [/FAILED at check: shop@\d+-\w+ is not running: exited with code 3/, /RuntimeError: there is no database/],
    ],
    [
      "its health check says 500",
      () => ({ "app.py": FLASK("bad").replace('return "ok"', 'return "sick", 500') }),
      [/FAILED at check: GET .*\/health: .*\b500\b/],
    ],
    [
      "deploy.yml has an unknown key",
      () => ({ "deploy.yml": "name: shop\ntype: python\nhelthCheck: /health\n" }),
      [/FAILED at read/, /deploy\.yml:3:1 helthCheck: unknown key, did you mean "healthCheck"\?/],
    ],
    [
      "it listens on another port",
      () => ({ "deploy.yml": config(`gunicorn --bind 127.0.0.1:${otherPort} app:app`, "5s") }),
      [/FAILED at check/, /the app listens on 127\.0\.0\.1:\d+; it must listen on \$PORT/],
    ],
    [
      "its web server is not among its dependencies, before any hook",
      () => ({
        "requirements.txt": "# nothing\n",
        "deploy.yml": `${config(GUNICORN).replace(/^command: .*\n/m, "")}hooks:\n  preDeploy: echo a hook ran\n`,
      }),
      [/FAILED at build: app\.py is a WSGI app, and gunicorn is not/, /→ add gunicorn/, /^(?![^]*\| a hook ran)/],
    ],
    [
      "its preDeploy hook fails",
      () => ({ "deploy.yml": `${config(GUNICORN)}hooks:\n  preDeploy: echo no migration; exit 4\n` }),
      [/FAILED at pre-deploy: .*exited with code 4/, /\| no migration/],
    ],
  ];
  test.each(broken)("a push is rejected when %s, and the old release serves", async (_what, files, words) => {
    const [id, sha] = [await box.live("shop"), await box.branch("shop")];
    await shop.commit({ "app.py": FLASK("bad"), "deploy.yml": config(GUNICORN), ...files() });
    const { text } = await shop.failingPush();
    for (const word of words) expect(text).toMatch(word);
    expect(text).toContain(`serving: ${id}`);
    expect(text).toMatch(/remote: next: /);
    expect(text).toContain("[remote rejected] HEAD -> main");
    expect(await box.get(shopPort)).toBe("two");
    await expectLive("shop", id, sha);
    await shop.git("reset", "-q", "--hard", sha);
  });

  test("a commit that failed because of the server can be pushed again, once that is mended", async () => {
    const [id, live] = [await box.live("shop"), await box.branch("shop")];
    await box.write("/opt/deployments/shop/.env.production", "BROKEN_BY_OPERATOR=1\n", 0o600);
    // The live release has started without that variable; its own way back must not depend on it.
    await box.must("sed -i '/BROKEN_BY/,+1d' /opt/deployments/shop/current/app.py");
    const sha = await shop.commit({ "app.py": FLASK("three") });
    expect((await shop.failingPush()).text).toContain("BROKEN_BY_OPERATOR is set");
    await expectLive("shop", id, live);
    await box.write("/opt/deployments/shop/.env.production", "GREETING=hello-from-the-env-file\n", 0o600);
    const { text } = await shop.push();
    expect(text).toMatch(/live: shop \d+-/);
    expect(await box.get(shopPort)).toBe("three");
    await expectLive("shop", await box.live("shop"), sha);
  });

  test("two apps live side by side", async () => {
    await api.dp("init", "--name", "api", "--example", "fastapi");
    const sha = await api.commit({}, "Deploy with dp");
    await api.push();
    const id = `1-${sha.slice(0, 7)}`;
    expect(JSON.parse(await box.get(apiPort))).toEqual({ app: "api", release: id });
    await expectLive("api", id, sha);
    expect(await box.get(shopPort)).toBe("three");
    const status = await box.mustDp("status");
    expect(status.match(/health +healthy: 200/g)).toHaveLength(2);
    const users = await box.must("ps -eo user:20,args | grep -E '[g]unicorn|[u]vicorn' | cut -d' ' -f1 | sort -u");
    expect(users).toBe("dp-api\ndp-shop");
  }, 120_000);

  test("two apps are deployed at the same time", async () => {
    await shop.commit({ "deploy.yml": `${config(GUNICORN, "30s")}build: ${meet("shop", "api")}\n` });
    await api.commit({
      "deploy.yml": `${await Bun.file(`${api.dir}/deploy.yml`).text()}build: ${meet("api", "shop")}\n`,
    });
    await box.must("install -d -m 1777 /srv/meeting");
    await Promise.all([shop.push(), api.push()]);
    expect(await box.must("ls /srv/meeting")).toBe("api\nshop");
  });

  test("systemd and dp show the app and what it says", async () => {
    const id = await box.live("shop");
    expect(await box.must("systemctl --no-pager status 'shop@*'")).toContain(
      `shop@${id}.service - shop, release ${id}`,
    );
    expect(await box.must(`journalctl --no-pager -u shop@${id}`)).toContain("Listening at: http://127.0.0.1:");
    const lines = (await box.mustDp("logs", "shop", "-n", "2")).split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/gunicorn|Booting worker|Listening|worker/);
    expect(await box.mustDp("logs", "shop", "--deploy")).toContain(`live: shop ${id}`);
  });

  test("dp logs -f goes on until the reader leaves", async () => {
    const argv = ["ssh", ...box.sshArgs, "root@127.0.0.1", "dp logs shop -n 1 -f"];
    const follower = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
    try {
      const reader = follower.stdout.pipeThrough(new TextDecoderStream()).getReader();
      expect((await reader.read()).value).not.toBe("");
      await box.must(["systemctl", "kill", "--signal=HUP", "--kill-whom=main", `shop@${await box.live("shop")}`]);
      let text = "";
      while (!text.includes("Hang up")) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`dp logs -f ended: ${text}`);
        text += value;
      }
    } finally {
      follower.kill("SIGKILL");
      await follower.exited;
    }
  });

  test("dp rollback goes back without a name and with one, and a reboot changes nothing", async () => {
    const before = await box.live("shop");
    const back = await box.mustDp("rollback", "shop");
    const id = await box.live("shop");
    expect(back).toContain(`live: shop ${id}`);
    // What status says to type leads to that release, also when it is the newer one.
    expect(await box.mustDp("status", "shop")).toContain(`dp rollback shop ${before} returns to it`);
    expect(id).not.toBe(before);
    expect(await box.get(shopPort)).toBe("three");
    await box.reboot();
    await box.must("systemctl is-system-running --wait || :");
    await untilServes(shopPort);
    expect([await box.live("shop"), await box.instances("shop")]).toEqual([id, [id]]);
    await box.mustDp("rollback", "shop", "2");
    expect(await box.get(shopPort)).toBe("two");
    expect(await box.live("shop")).toMatch(/^2-/);
    expect(await box.dp("rollback", "shop", "2")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("is already live"),
    });
    expect(await box.dp("rollback", "shop", "3")).toMatchObject({ code: 2, stderr: expect.stringContaining("failed") });
  });

  test("a release that crashed at boot does not come back with a reboot", async () => {
    const id = await box.live("shop");
    await shop.commit({ "app.py": FLASK("bad", 'raise RuntimeError("crash")') });
    await shop.failingPush();
    await box.reboot();
    await untilServes(shopPort);
    expect([await box.live("shop"), await box.instances("shop")]).toEqual([id, [id]]);
    expect(await box.get(shopPort)).toBe("two");
    expect(await box.must("ls /etc/systemd/system/multi-user.target.wants | grep shop@")).toBe(`shop@${id}.service`);
  });

  test("git push -o dry-run says what a push would do, and does nothing", async () => {
    const before = [await box.live("shop"), await box.branch("shop"), await box.must("ls /opt/deployments/shop/runs")];
    await shop.git("checkout", "-q", "--detach", await box.branch("shop"));
    await shop.commit({ "app.py": FLASK("four"), "deploy.yml": config(GUNICORN, "30s") });
    const { text } = await shop.failingPush("-o", "dry-run");
    expect(text).toMatch(/dry run: nothing was deployed/);
    expect(text).toMatch(/command +gunicorn/);
    expect([await box.live("shop"), await box.branch("shop"), await box.must("ls /opt/deployments/shop/runs")]).toEqual(
      before,
    );
    expect((await shop.failingPush("-o", "dryrun")).text).toContain('unknown push option "dryrun"');
  });

  test("with gate: false the push is accepted, then deployed", async () => {
    await box.must("echo 'gate: false' >> /opt/deployments/shop/config.yml");
    const [live, old] = [await box.live("shop"), await box.branch("shop")];
    const bad = await shop.commit({ "app.py": FLASK("bad", 'raise RuntimeError("crash")') });
    const { text } = await shop.push();
    expect(text).toContain("FAILED at check");
    expect([await box.live("shop"), await box.branch("shop")]).toEqual([live, bad]);
    expect(bad).not.toBe(old);
    const good = await shop.commit({ "app.py": FLASK("five"), "deploy.yml": config(GUNICORN, "30s") });
    expect((await shop.push()).text).toContain("live: shop");
    expect(await box.get(shopPort)).toBe("five");
    await expectLive("shop", await box.live("shop"), good);
    await box.must("sed -i '/^gate: false/d' /opt/deployments/shop/config.yml");
  });

  test("an app is fetched from another repository, without a push", async () => {
    const port = await freePort();
    await box.must(
      "git clone -q --bare --upload-pack=/usr/local/bin/git-upload-pack file:///var/repos/api.git /srv/origin.git",
    );
    await api.commit({
      "deploy.yml": (await Bun.file(`${api.dir}/deploy.yml`).text())
        .replace(/^name: api/m, "name: copy")
        .replace(/^build:.*\n/m, ""),
    });
    await api.git("push", "-q", box.gitUrl("/srv/origin.git"), "HEAD:main");
    const made = await box.mustDp("setup", "copy", "file:///srv/origin.git", "--port", `${port}`);
    expect(made).toContain("fetched main from file:///srv/origin.git");
    expect(await box.mustDp("deploy", "copy")).toContain("live: copy 1-");
    const sha = await api.commit({ "main.py": `${await Bun.file(`${api.dir}/main.py`).text()}# changed\n` });
    await api.git("push", "-q", box.gitUrl("/srv/origin.git"), "HEAD:main");
    expect(await box.mustDp("deploy", "copy")).toContain(`live: copy 2-${sha.slice(0, 7)}`);
    await expectLive("copy", `2-${sha.slice(0, 7)}`, sha);
  }, 120_000);

  test("apps outlive dp, and pushes work again with the next dp", async () => {
    await box.must("/srv/dp/install.sh --uninstall");
    expect((await box.ssh("dp --version")).code).toBe(127);
    expect(await box.get(shopPort)).toBe("five");
    const live = await box.branch("shop");
    await shop.commit({ "app.py": FLASK("six") });
    const refused = await shop.push().catch((error: Error) => error.message);
    expect(refused).toContain("dp is not installed on this server any more: run its install.sh, then push again");
    expect(await box.branch("shop")).toBe(live);
    await box.must("DP_BUN=/usr/local/lib/bun /srv/dp/install.sh");
    await shop.push();
    expect(await box.get(shopPort)).toBe("six");
    // An upgrade: another tree, the same hooks.
    await box.must("echo '// newer' >> /srv/dp/lib/text/table.ts && DP_BUN=/usr/local/lib/bun /srv/dp/install.sh");
    await shop.commit({ "app.py": FLASK("seven") });
    await shop.push();
    expect(await box.get(shopPort)).toBe("seven");
    expect(await box.mustDp("setup", "shop")).toContain("nothing to change for shop");
  });

  const untilServes = (port: number) =>
    box.must([
      "curl",
      "-sSf",
      "--retry",
      "60",
      "--retry-delay",
      "1",
      "--retry-connrefused",
      `http://127.0.0.1:${port}/health`,
    ]);
});

/** A build line that ends only when another app's build runs as well. */
const meet = (me: string, other: string) =>
  `touch /srv/meeting/${me}; until [ -e /srv/meeting/${other} ]; do sleep 0.05; done`;
