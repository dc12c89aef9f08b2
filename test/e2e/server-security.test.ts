// What a pushed commit may do on a real server: its build, its hooks and the app itself look for more than they
// were given. The tests build on each other, on one server with a second app as the neighbour.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Status } from "../../lib/commands/status.ts";
import { watchArguments } from "../support/argv-watch.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const BASE = "/opt/deployments/shop";
const SECRET = "tr0ub4dor-and-3-horses";

/** Files that neither an app nor a user without rights may read. */
const HIDDEN = [
  `${BASE}/.env.production`,
  `${BASE}/config.yml`,
  `${BASE}/runs`,
  `${BASE}/queue`,
  "/opt/deployments/other/config.yml",
  "/opt/deployments/other/runs",
  "/opt/deployments/other/instances",
  "/opt/deployments/other/venvs",
  "/opt/deployments/other/node",
  "/var/repos/other.git",
  "/var/repos/other.git/HEAD",
  "/var/repos/other.git/config",
  "/var/log/deployments/other",
  "/var/log/deployments/audit.log",
  "/var/lib/dp/haproxy",
  "/var/lib/dp/static/run",
  "/var/backups/dp",
  "/opt/deployments/other/.env.production",
  "/opt/deployments/other/shared/diary",
  "/opt/deployments/other/home/key",
  "/opt/deployments/other/current/app.py",
  "/var/log/deployments/shop",
  "/var/lib/dp/relay",
  "/var/lib/dp/relay/routes.json",
  "/var/lib/dp/relay/control.sock",
  "/etc/shadow",
  "/root/.ssh",
];

/** Places where no part of an app may write. */
const CLOSED = [
  `${BASE}`,
  `${BASE}/releases`,
  `${BASE}/venvs`,
  `${BASE}/instances`,
  `${BASE}/runs`,
  "/opt/deployments/other/shared",
  "/opt/deployments",
  "/var/repos/shop.git",
  "/var/repos/shop.git/hooks",
  "/var/repos/other.git/refs/heads",
  "/var/lib/dp/relay",
  "/opt/dp/bin",
  "/etc/systemd/system",
];

/** Says who it is and what it could read and write, one word each line: the names that it was refused are not there. */
const PROBE = `#!/bin/sh
exec 2>/dev/null
cat /etc/hostname >/dev/null && echo "reads /etc/hostname"
for path in . ${BASE}/shared ${BASE}/home; do touch "$path/probe" && echo "writes $path"; done
echo "I am $(id -un) $(id -Gn)"
grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|Uid|Gid|Groups):' /proc/self/status | tr -s '\\t ' ' '
for path in ${HIDDEN.join(" ")}; do
    { [ -d "$path" ] && ls -A "$path" >/dev/null && echo "lists $path"; } || { cat "$path" >/dev/null && echo "reads $path"; }
done
for path in ${CLOSED.join(" ")}; do
    touch "$path/probe" && echo "writes $path"
done
ln -sfn releases/evil ${BASE}/current && echo "moves current"
ln -sfn /tmp ${BASE}/previous && echo "moves previous"
mv -T ${BASE}/releases ${BASE}/away && echo "moves releases"
git --git-dir /var/repos/shop.git update-ref refs/heads/evil HEAD && echo "writes refs"
kill -0 1 && echo "signals init"
git -c safe.directory='*' --git-dir /var/repos/other.git log -1 >/dev/null && echo "reads commits of other"
for process in /proc/[0-9]*; do
    [ "$(stat -c %U $process)" = dp-other ] || continue
    tr '\\0' ' ' <$process/environ >/dev/null && echo "reads the environment of other"
    kill -0 "\${process#/proc/}" && echo "signals other"
done
for name in relay/control.sock static/run/control.sock; do
    python3 -c "import socket; socket.socket(socket.AF_UNIX).connect('/var/lib/dp/$name')" && echo "speaks to $name"
done
sudo -n true && echo "is root"
systemd-run --no-ask-password --quiet true && echo "starts units"
systemctl --no-ask-password stop dp-relay.service && echo "stops the relay"
journalctl -n 1 --no-pager -o cat --grep=. >/dev/null && echo "reads the journal"
find /opt/dp /usr/local/bin /opt/deployments /var/lib/dp /var/repos /var/log/deployments -writable ! -type l |
    grep -Ev "^${BASE}/(home|shared|(releases|venvs)/[^/]*)(/|$)" | sed 's/^/may write /'
env | grep -E '^(SSH_|GIT_(DIR|QUARANTINE)|SUDO_|DP_ROOT)' && echo "inherits"
true
`;

const fakes =
  "setpriv git sh tar sync install find chmod mkdir systemctl journalctl useradd sudo bun dp env flock".split(" ");
/** Puts programs of its own first on the PATH: each notes who runs it, then runs the real one. */
const PLANT = `#!/bin/sh
mkdir -p "$HOME/bin" && cd "$HOME/bin" && bin=$PWD
for name in ${fakes.join(" ")}; do
    printf '#!/bin/sh\\n/usr/bin/id -u >>"$HOME/fake-%s"\\nexec /usr/bin/%s "$@"\\n' "$name" "$name" >"$bin/$name"
    chmod 755 "$bin/$name"
done
ls "$bin/setpriv"
`;

/** Writes into files of its folder as a build may; says what it could, when the app runs it. */
const WRITES = `#!/bin/sh
[ "$1" = app ] || exec sh -ec 'echo "$1" >>kept; chmod 600 asset; chmod 644 asset; touch -c -d @1700000000 write.sh' sh "$1"
exec 2>/dev/null
(echo evil >>asset) && echo "writes asset"
chmod 666 asset && echo "opens asset"
touch -c asset && echo "touches asset"
rm -f asset && echo "removes asset"
ln asset ../../home/asset && echo "links asset"
true
`;

describe.skipIf(why !== null)(`what is pushed${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let other: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("security");
    shop = await openLaptop(box, "shop");
    port = await freePort();
    other = await openLaptop(box, "other");
    await box.mustDp("setup", "shop", "--port", `${port}`);
    await box.mustDp("setup", "other", "--port", `${await freePort()}`);
    await box.hurry("shop", "other");
    await other.commit(plainApp("other"));
    await other.push();
    const plant = "for f in shared/diary home/key; do echo private >$f; chown dp-other: $f; chmod 644 $f; done";
    await box.must(`cd /opt/deployments/other && ${plant}`);
    await box.write(
      `${BASE}/.env.production`,
      `TOKEN=${SECRET}\nDATABASE_URL=postgres://me:${SECRET}-too@db/shop\n`,
      0o600,
    );
  });
  afterAll(async () => {
    shop?.remove();
    other?.remove();
    await box?.stop();
  });

  /** What the probe said: who it is, what it writes to, and that it has nothing else. */
  const judge = (text: string, who: string, ...writes: string[]) => {
    // What it reads and writes proves that the probe would tell.
    const [reads, ...rest] = text.trim().split("\n");
    const lines = rest.slice(writes.length + 1);
    const first = ["reads /etc/hostname", ...writes.map((path) => `writes ${path}`), `I am ${who}`];
    expect([reads, ...rest.slice(0, writes.length + 1)]).toEqual(first);
    const status = lines.filter((line) => /^\w+: /.test(line));
    const zero = "0000000000000000";
    for (const name of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) expect(status).toContain(`${name}: ${zero}`);
    expect(status).toContain("NoNewPrivs: 1");
    expect(lines.filter((line) => !status.includes(line))).toEqual([]);
  };

  test("build, hooks and app have no rights, and see and write only what is theirs", async () => {
    const probe = (file: string) => `./probe.sh > ${file}`;
    const [pre, post] = ["pre", "post"].map((when) => probe(`${BASE}/shared/${when}`));
    const lines = `build: ${probe("built")}\nhooks:\n  preDeploy: ${pre}\n  postDeploy: ${post}\n`;
    await shop.commit({ ...plainApp("shop", lines), "probe.sh": PROBE });
    await shop.push();
    const [shared, home] = [`${BASE}/shared`, `${BASE}/home`];
    const user = "dp-shop dp-shop";
    judge(await box.read(`${BASE}/current/built`), "dpb-shop dpb-shop dp-shop", ".");
    judge(await box.read(`${BASE}/shared/pre`), user, ".", shared, home);
    judge(await box.read(`${BASE}/shared/post`), user, shared, home);
    judge(await box.get(port, "/probe"), user, shared, home);
  });

  test("a user without rights sees and changes no more than an app", async () => {
    await box.must("id mallory >/dev/null 2>&1 || useradd --create-home mallory");
    await box.write("/home/mallory/probe.sh", PROBE, 0o755);
    await box.must("chown mallory: /home/mallory/probe.sh");
    const text = await box.must(
      "cd / && env -i PATH=/usr/bin:/bin setpriv --reuid=mallory --regid=mallory --init-groups /home/mallory/probe.sh",
    );
    const [reads, who, ...lines] = text.trim().split("\n");
    expect([reads, who]).toEqual(["reads /etc/hostname", "I am mallory mallory"]);
    expect(lines.filter((line) => !/^\w+: /.test(line))).toEqual([]);
  });

  test("another app that takes its port while it is down gets none of its requests", async () => {
    const id = await box.live("shop");
    const at = Number(await box.read(`${BASE}/instances/${id}.port`));
    const uid = Number(await box.must("id -u dp-shop"));
    const { routes } = JSON.parse(await box.read("/var/lib/dp/relay/routes.json")) as { routes: { app: string }[] };
    expect(routes.find(({ app }) => app === "shop")).toMatchObject({ uid, target: { id, port: at, uid } });
    await box.write("/srv/steal.py", await Bun.file(join(import.meta.dir, "../fixtures/attack/port-steal.py")).text());
    const unit = "--unit=steal -p User=dp-other -p StandardOutput=file:/run/stolen";
    await box.must(`touch /run/taken; systemd-run --quiet ${unit} python3 -u /srv/steal.py ${at} 3`);
    await box.must(`systemctl kill --signal=KILL shop@${id}`);
    await until("the port is taken", async () => (await box.read("/run/stolen")).includes("BOUND"));
    const ask = () =>
      fetch(`http://127.0.0.1:${port}/`, { headers: { Cookie: "session=1", Connection: "close" } }).then(
        (answer) => answer.text(),
        () => "nothing",
      );
    const answers: string[] = [];
    while ((await box.ssh("systemctl is-active --quiet steal")).code === 0) answers.push(await ask());
    expect(answers.filter((answer) => answer.includes("answered by A"))).toEqual([]);
    expect(answers.some((answer) => answer.includes("is held by another user"))).toBe(true);
    expect(await box.read("/run/stolen")).toContain("requests stolen 0");
    expect(await box.must("journalctl -u dp-relay --no-pager")).toContain(`${id} is held by dp-other `);
    await until("it serves again", async () => (await ask()) === id);
  }, 60_000);

  test("dp passes its own front by a secret word, and whoever takes the public port while the relay is down does not get it", async () => {
    const word = await box.read(`${BASE}/check.key`);
    await box.mustDp("maintenance", "shop", "on");
    const health = async () =>
      (JSON.parse((await box.dp("status", "shop", "--json")).stdout) as Status).isHealthy === true;
    expect(await health()).toBe(true);
    await box.write(
      "/srv/port-take.py",
      await Bun.file(join(import.meta.dir, "../fixtures/attack/port-take.py")).text(),
    );
    await box.must("systemctl stop dp-relay");
    try {
      const unit = "--unit=take -p User=dp-other -p StandardOutput=file:/run/taken";
      await box.must(`systemd-run --quiet ${unit} python3 -u /srv/port-take.py ${port}`);
      await until("the port is taken", async () => (await box.read("/run/taken")).includes("BOUND"));
      for (const command of ["status", "doctor", "watch"])
        await box.dp(command, ...(command === "watch" ? [] : ["shop"]));
      const taken = await box.read("/run/taken");
      expect(taken).toMatch(/^GET /m);
      expect(taken.toLowerCase()).not.toContain("x-dp-check");
      expect(taken).not.toContain(word);
    } finally {
      await box.must("systemctl stop take; systemctl start dp-relay");
    }
    await until("dp passes again", health);
    await box.mustDp("maintenance", "shop", "off");
    expect(await box.must("systemctl show -P After shop@x")).toContain("dp-relay.service");
  }, 60_000);

  test("the app's sandbox holds: systemd calls its exposure low", async () => {
    const said = await box.must(`systemd-analyze security --no-pager shop@${await box.live("shop")}`);
    const exposure = Number(/exposure level for .*: ([\d.]+)/.exec(said)?.[1]);
    expect(exposure).toBeLessThan(3);
  });

  test("programs that the app puts first on the PATH never run as root", async () => {
    await box.must(`echo 'path: ${BASE}/home/bin:/usr/local/bin:/usr/bin:/bin' >> ${BASE}/config.yml`);
    await shop.commit({
      ...plainApp("shop", "build: git --version\nhooks:\n  preDeploy: ./plant.sh\n  postDeploy: git --version\n"),
      "plant.sh": PLANT,
    });
    expect((await shop.push()).text).toContain("bin/setpriv");
    // The same environment again, for every step from the first on.
    await shop.commit({}, "once more");
    await shop.push();
    await box.mustDp("rollback", "shop");
    for (const [home, user] of [["home", "dp-shop"] as const, ["build/home", "dpb-shop"] as const]) {
      expect(await box.must(`sort -u ${BASE}/${home}/fake-*`)).toBe(await box.must(`id -u ${user}`));
      expect(await box.must(`ls ${BASE}/${home}`)).toContain("fake-git");
    }
    expect(await box.must("ls -d /root/fake-* 2>/dev/null; true")).toBe("");
    await box.must(`sed -i '/^path:/d' ${BASE}/config.yml && rm -r ${BASE}/home/bin`);
  });

  test("settings that bun would read from a folder do nothing to dp", async () => {
    const evil = 'require("fs").appendFileSync("/tmp/evil", String(process.getuid()));';
    await shop.commit({
      ...plainApp("shop"),
      "bunfig.toml": 'preload = ["./evil.js"]\n[test]\npreload = ["./evil.js"]\n',
      "evil.js": evil,
      ".env": "BUN_OPTIONS=--preload=/opt/deployments/shop/current/evil.js\nDP_ROOT=/tmp/elsewhere\nPORT=1\n",
      "package.json": '{"name":"evil","dependencies":{}}\n',
      "tsconfig.json": '{"compilerOptions":{"paths":{"*":["./evil.js"]}}}\n',
    });
    await shop.push();
    await box.must("cd /opt/deployments/shop/current && dp status && dp releases shop && dp setup shop");
    const programs = "for file in /opt/dp/bin/dp /opt/dp/steps/*; do PATH=/opt/dp/bun/bin:$PATH $file; done";
    expect((await box.ssh(`cd /opt/deployments/shop/current && { ${programs}; }`)).text).toMatch(
      /usage: swap\.ts RUN-FILE/,
    );
    expect(await box.must("ls -d /tmp/evil /tmp/elsewhere /opt/deployments/shop/home/evil 2>/dev/null; true")).toBe("");
    expect(await box.live("shop")).toMatch(/^\d+-/);
  });

  test("values of the env file reach the app, and appear nowhere else", async () => {
    const say = 'echo "token $TOKEN"; echo "$DATABASE_URL" >&2; printf %s "$TOKEN" > "$HOME/token"';
    const watching = watchArguments(SECRET);
    const hook = (when: string) => `${when}: 'echo "${when} $TOKEN"'`;
    const lines = `build: ${JSON.stringify(say)}\nhooks: {${hook("preDeploy")}, ${hook("postDeploy")}}\n`;
    await shop.commit(plainApp("shop", lines));
    const good = await shop.push();
    for (const what of ["token", "preDeploy", "postDeploy"]) expect(good.text).toContain(`| ${what} ***`);
    const crash =
      'import os, sys\nprint("crash with", os.environ["TOKEN"], flush=True)\nsys.exit(os.environ["DATABASE_URL"])\n';
    await shop.commit({ "app.py": crash });
    const bad = await shop.failingPush();
    expect(bad.text).toContain("crash with ***");
    expect(await watching.stop()).toEqual([]);
    // What the app says itself is in the journal under its unit, and nothing of it under another.
    const entries = await box.must(["journalctl", "--no-pager", "--output=json", `--grep=${SECRET}`]);
    const units = entries.split("\n").map((line) => (JSON.parse(line) as Record<string, string>)["_SYSTEMD_UNIT"]);
    expect(units.filter((unit) => !unit?.startsWith("shop@"))).toEqual([]);
    expect(await box.must("systemctl show 'shop@*'")).not.toContain(SECRET);
    expect(await box.read(`${BASE}/build/home/token`)).toBe(SECRET);
    const logs = await box.must(
      "cat /var/log/deployments/shop/*.log /opt/deployments/shop/runs/*.json; dp logs shop --deploy",
    );
    for (const text of [good.text, bad.text, logs]) expect(text).not.toContain(SECRET);
    const kept = `/var/log ${BASE}/runs ${BASE}/releases /etc/systemd /tmp`;
    expect(await box.must(`grep -rlF --exclude-dir=journal --exclude='*.env' -- ${SECRET} ${kept} || :`)).toBe("");
    expect(
      await box.must(`su nobody -s /bin/sh -c 'cat ${BASE}/.env.production ${BASE}/instances/*' 2>/dev/null; true`),
    ).toBe("");
    expect(await box.must("find /opt/deployments /var/log/deployments -user root ! -type l -perm /022")).toBe("");
  });

  test("releases share what is the same, and no build, hook or app reaches another release through it", async () => {
    const asset = "an asset\n".repeat(4_000);
    const scripts = { "probe.sh": WRITES, "write.sh": WRITES };
    const push = async (lines: string, files: Record<string, string> = {}) => {
      await shop.commit({ ...plainApp("shop", lines), ...scripts, ...files });
      const text = (await shop.push()).text;
      return { text, release: `${BASE}/releases/${await box.live("shop")}` };
    };
    const inode = (release: string) => box.must(`stat -c '%i %h %U %a' ${release}/asset`);
    const first = await push("build: ./write.sh build\n", { asset, kept: "kept\n" });
    const second = await push("build: ./write.sh again\n");
    const third = await push("hooks: {preDeploy: ./write.sh hook}\n");
    // What a build or a hook has written in place is in its own release, and nothing else is.
    for (const [{ release }, written] of [
      [first, "build\n"],
      [second, "again\n"],
      [third, "hook\n"],
    ] as const)
      expect(await box.must(`cd ${release} && cat asset kept`)).toBe(`${asset}kept\n${written}`.trimEnd());
    const shared = await inode(first.release);
    expect(shared).toEndWith(" 3 root 644");
    expect([await inode(second.release), await inode(third.release)]).toEqual([shared, shared]);
    expect(await box.must(`find ${BASE} -maxdepth 1 -name 'shared.tmp'`)).toBe("");
    // The app has none of the rights that a build had.
    expect(await box.get(port, "/probe")).toBe("");
    const again = await box.dp("step", "build", "--app", "shop");
    expect(again.text).toContain("shares files with other releases");
    await box.mustDp("rollback", "shop", second.release.split("/").at(-1)!);
    expect(await box.must(`cat ${BASE}/current/asset`)).toBe(asset.trimEnd());
    await box.must(`echo 'keep: 1' >> ${BASE}/config.yml`);
    const last = await push("");
    expect(await box.must(`ls ${BASE}/releases`)).not.toContain(first.release.split("/").at(-1)!);
    expect((await inode(last.release)).split(" ")[0]).toBe(shared.split(" ")[0]!);
    expect(await box.must(`cat ${last.release}/asset`)).toBe(asset.trimEnd());
    await box.must(`sed -i '/^keep:/d' ${BASE}/config.yml`);
  }, 180_000);

  test.each([
    ["a link out of the repository", { leak: "/etc/passwd" }, /leak: a link out of the repository/],
    ["deploy.yml as a link", { "deploy.yml": "app.py" }, /deploy\.yml is a symlink/],
  ])("%s is refused", async (_what, links, words) => {
    const live = await box.live("shop");
    const sha = await shop.git("rev-parse", "HEAD");
    for (const [name, target] of Object.entries(links)) {
      const { symlinkSync, rmSync } = await import("node:fs");
      rmSync(`${shop.dir}/${name}`, { force: true });
      symlinkSync(target, `${shop.dir}/${name}`);
    }
    await shop.commit({ "app.py": plainApp("shop")["app.py"]! });
    expect((await shop.failingPush()).text).toMatch(words);
    expect(await box.live("shop")).toBe(live);
    await shop.git("reset", "-q", "--hard", sha);
  });

  test("a name in deploy.yml that is another app's is refused", async () => {
    await shop.commit(plainApp("other"));
    expect((await shop.failingPush()).text).toContain('deploy.yml is for "other", and this is "shop"');
  });
});
