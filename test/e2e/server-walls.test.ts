// Walls between apps on a real server: what a refused push, a neighbour's app and somebody with a login try, and do not get.
// The tests build on each other.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { boxUnavailable, freePort } from "../support/box.ts";
import { plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const VIC = "/opt/deployments/vic";
const ATT = "/opt/deployments/att";
const TOKEN = "tok-4711-of-vic";

/** What somebody else tries to read of an app: names what can be read. */
const READ = `#!/bin/sh
exec 2>/dev/null
echo "I am $(id -un)"
for path in ${VIC}/venvs ${VIC}/venvs/* ${VIC}/node ${VIC}/build ${VIC}/build/files ${VIC}/build/home ${VIC}/home ${VIC}/shared \\
    ${VIC}/releases/* ${VIC}/runs ${VIC}/instances ${VIC}/queue ${VIC}/.env.production ${VIC}/config.yml ${VIC}/config.json \\
    ${VIC}/current/app.py ${VIC}/venvs/*/bin/python3 ${VIC}/build/files/.netrc \\
    /var/repos /var/repos/vic.git /var/repos/vic.git/config /var/repos/vic.git/HEAD /var/repos/vic.git/dp-credentials \\
    /var/log/deployments/vic /var/lib/dp/relay /var/backups/dp /etc/shadow; do
  { [ -d "$path" ] && ls -A "$path" >/dev/null && echo "lists $path"; } || { cat "$path" >/dev/null && echo "reads $path"; }
done
git -c safe.directory='*' --git-dir /var/repos/vic.git log --oneline -1 && echo "reads the log"
for p in /proc/[0-9]*; do
  [ "$(stat -c %U $p)" = dp-vic ] || continue
  cat $p/environ >/dev/null && echo "reads the environment of $p"
  kill -0 "\${p#/proc/}" && echo "may signal $p"
done
for d in ${VIC} ${VIC}/releases ${VIC}/venvs ${VIC}/shared /var/repos /var/repos/vic.git /var/lib/dp; do touch "$d/x" && echo "writes $d"; done
true
`;

/** A build line of a commit that is refused: what it can leave behind in its own app, and whom it can reach. */
const POISON = `#!/bin/sh
exec 2>/dev/null
cd ${ATT}
echo "I am $(id -un)"
for f in releases/*/app.py venvs/*/bin/* venvs/*/pyvenv.cfg shared/data home/.profile; do
  case $PWD/$f in *"$DP_RELEASE"*) continue ;; esac
  echo "# poisoned" >>"$f" && echo "poisons $f"
done
for d in . releases venvs node home shared instances runs build build/files; do touch "$d/left" && echo "writes $d"; done
S=$(ls -d venvs/*/lib/python3*/site-packages | head -1)
[ -z "$S" ] || { echo "import os" >"$S/sitecustomize.py" && echo "poisons $S"; }
mkdir -p home/.config/pip && echo x >home/.config/pip/pip.conf && echo "poisons home"
for p in /proc/[0-9]*; do
  grep -qz "^DP_INSTANCE=" $p/environ && echo "sees $p"
done
kill -9 $(cat shared/pid) && echo "kills the live process"
mkdir -p "$HOME/.config/pip" && printf '[global]\\nindex-url = http://127.0.0.1:9/evil\\n' >"$HOME/.config/pip/pip.conf" && echo "writes its own home"
echo x >"$HOME/.cache-me"; echo 'echo evil' >"$HOME/.profile"
(setsid sleep 300 &)
dd if=/dev/zero of=/tmp/att-left bs=1M count=16
echo x >/dev/shm/att-left; echo x >/var/tmp/att-left
echo "other apps: $(ls /opt/deployments)"
kill -9 -1
exit 1
`;

describe.skipIf(why !== null)(`walls${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let att: Laptop;
  let vic: Laptop;
  let [port, victims] = [0, 0];

  beforeAll(async () => {
    box = await startServer("walls");
    [port, victims] = [await freePort(), await freePort()];
    att = await openLaptop(box, "att");
    vic = await openLaptop(box, "vic");
    await box.mustDp("setup", "att", "--port", `${port}`);
    await box.mustDp("setup", "vic", "--port", `${victims}`);
    await box.hurry("att", "vic");
    await box.must("useradd --create-home mallory");
    await box.must(`echo 'machine example.org password ${TOKEN}' >${VIC}/build/files/.netrc`);
    const inHome = `cat "$HOME/.netrc" >"${"$"}{PWD}/seen" && rm -f "$HOME/.netrc"`;
    await vic.commit({ ...plainApp("vic", `build: ${JSON.stringify(inHome)}\n`), "requirements.txt": "" });
    await vic.push();
    const pid = "python3 app.py & echo $! > /opt/deployments/att/shared/pid; wait";
    const app = plainApp("att");
    const yml = app["deploy.yml"]!.replace(/^command: .*$/m, `command: ${JSON.stringify(pid)}`);
    await att.commit({ ...app, "deploy.yml": yml, "requirements.txt": "", "read.sh": READ, "poison.sh": POISON });
    await att.push();
    await box.must(`echo kept >${ATT}/shared/data; chown dp-att: ${ATT}/shared/data`);
  });
  afterAll(async () => {
    att?.remove();
    vic?.remove();
    await box?.stop();
  });

  test("a build finds what the operator has put into its home, and the app does not", async () => {
    expect(await box.read(`${VIC}/current/seen`)).toContain(TOKEN);
    expect(await box.must(`ls -A ${VIC}/home`)).not.toContain(".netrc");
    expect(await box.must(`cat ${VIC}/build/files/.netrc`)).toContain(TOKEN);
  });

  test("finished releases and dependencies are root's, readable by the app alone, and the app runs", async () => {
    const [uid, gid] = ["0", await box.must("id -g dp-att")];
    const paths = `${ATT}/current/ ${ATT}/current/app.py ${ATT}/venvs/*/ ${ATT}/venvs/*/bin`;
    expect([...new Set((await box.must(`stat -c '%u %g' ${paths}`)).split("\n"))]).toEqual([`${uid} ${gid}`]);
    expect(await box.must(`find ${ATT}/releases ${ATT}/venvs ! -type l -perm /022`)).toBe("");
    expect(await box.get(port, "/health")).toBeDefined();
  });

  test("a login without rights reads nothing of an app, and reaches none of its processes", async () => {
    await box.write("/tmp/read.sh", READ, 0o755);
    expect(await box.must("su mallory -c 'sh /tmp/read.sh'")).toBe("I am mallory");
  });

  test("nor does a neighbour's build, its hook, or its app", async () => {
    const lines = "build: sh read.sh > by-build\nhooks:\n  preDeploy: sh read.sh > by-hook\n";
    const app = plainApp("att", lines);
    await att.commit({ "deploy.yml": app["deploy.yml"]!, "read.sh": READ });
    await att.push();
    expect((await box.read(`${ATT}/current/by-build`)).trim()).toBe("I am dpb-att");
    expect((await box.read(`${ATT}/current/by-hook`)).trim()).toBe("I am dp-att");
    expect(await box.must("dp run att -- sh read.sh")).toBe("I am dp-att");
  });

  test("a refused push changes nothing that serves, nothing of its app's home, and no later build", async () => {
    const live = await box.live("att");
    const sum = `find ${ATT}/releases/${live} ${ATT}/venvs ${ATT}/shared ${ATT}/home -type f ! -name pid | sort | xargs sha256sum`;
    const before = await box.must(sum);
    const process = await box.must(`systemctl show -p MainPID --value att@${live}`);
    const app = plainApp("att", "build: sh poison.sh\n");
    await att.commit({ "deploy.yml": app["deploy.yml"]!, "poison.sh": POISON });
    const said = (await att.failingPush()).text;
    const lines = said.split("\n").flatMap((line) => /\| (.*?)\s*$/.exec(line)?.[1] ?? []);
    expect([...new Set(lines)]).toEqual(["I am dpb-att", "writes its own home", "other apps: att", "Killed"]);
    expect(await box.must(sum)).toBe(before);
    expect(await box.live("att")).toBe(live);
    expect(await box.must(`systemctl show -p MainPID --value att@${live}`)).toBe(process);
    expect(await box.get(port, "/health")).toBeDefined();
    expect(await box.must("ls /tmp/att-left /dev/shm/att-left /var/tmp/att-left 2>/dev/null; true")).toBe("");
    expect((await box.ssh("pgrep -u dpb-att")).stdout).toBe("");
    // The next one begins with a home of its own.
    await att.commit({ "deploy.yml": plainApp("att", 'build: "ls -A $HOME > home-now"\n')["deploy.yml"]! });
    await att.push();
    const home = (await box.read(`${ATT}/current/home-now`)).trim().split("\n");
    expect(home.filter((name) => ![".cache", ""].includes(name))).toEqual([]);
  });

  test("a hook of a refused push leaves the live release and its process alone", async () => {
    const live = await box.live("att");
    const before = await box.must(`find ${ATT}/releases/${live} ${ATT}/venvs -type f | sort | xargs sha256sum`);
    const yml = plainApp("att", "hooks:\n  preDeploy: sh poison.sh\n")["deploy.yml"]!;
    await att.commit({ "deploy.yml": yml, "poison.sh": POISON });
    const lines = (await att.failingPush()).text;
    expect(lines).toContain("| I am dp-att");
    for (const what of [
      "poisons releases",
      "poisons venvs",
      "sees /proc",
      "kills the live",
      "writes releases",
      "writes .",
    ])
      expect(lines).not.toContain(`| ${what}`);
    expect(await box.must(`find ${ATT}/releases/${live} ${ATT}/venvs -type f | sort | xargs sha256sum`)).toBe(before);
    expect(await box.get(port, "/health")).toBeDefined();
  });

  test("a /tmp that a build fills is its own, and has a limit", async () => {
    const line =
      "dd if=/dev/zero of=/tmp/fill bs=1M 2>&1 | tail -n 1; df -m --output=size /tmp | tail -n 1 > room; rm /tmp/fill";
    await att.commit({ "deploy.yml": plainApp("att", `build: ${JSON.stringify(line)}\n`)["deploy.yml"]! });
    await att.push();
    expect(Number(await box.read(`${ATT}/current/room`))).toBeLessThanOrEqual(1024);
    expect(await box.must("ls /tmp")).not.toContain("fill");
  });

  test("an app writes in no other name in the journal, and neither does a build; its own lines are there", async () => {
    const spoof = `import socket
for path, kind in (("/run/systemd/journal/socket", 2), ("/dev/log", 2), ("/run/systemd/journal/stdout", 1)):
    try:
        one = socket.socket(socket.AF_UNIX, kind)
        one.connect(path)
        one.send(b"vic@1-abcdef0\\n\\n6\\n1\\n0\\n0\\n0\\nSPOOFED\\n" if kind == 1 else b"MESSAGE=SPOOFED\\nSYSLOG_IDENTIFIER=sshd\\n")
        print("reaches", path)
    except OSError:
        pass
print("done")
`;
    const yml = plainApp("att", "build: python3 spoof.py > by-build\n")["deploy.yml"]!;
    await att.commit({ "deploy.yml": yml, "spoof.py": spoof, "probe.sh": "#!/bin/sh\npython3 spoof.py\n" });
    await att.push();
    expect((await box.read(`${ATT}/current/by-build`)).trim()).toBe("done");
    expect((await box.get(port, "/probe")).trim()).toBe("done");
    expect((await box.ssh("journalctl --no-pager --quiet --grep=SPOOFED")).stdout).toBe("");
    expect(await box.mustDp("logs", "att")).toContain(`listening as ${await box.live("att")}`);
  });

  test("a command of dp run has a scope with limits", async () => {
    const line = "cat /proc/self/cgroup; cat /proc/self/oom_score_adj; cat > /dev/null; exit 7";
    const pid = box.ssh(`echo x | dp run att -- sh -c ${JSON.stringify(line)}`);
    const { code, stdout } = await pid;
    expect([code, stdout.trim().split("\n").at(-1)]).toEqual([7, "300"]);
    expect(stdout).toMatch(/dp-run\.att\.\d+\.scope/);
  });

  test("the unit of dp reconcile has what its work needs, and does it", async () => {
    const said = await box.must("systemd-analyze security --no-pager dp-reconcile.service");
    expect(Number(/exposure level for .*: ([\d.]+)/.exec(said)?.[1])).toBeLessThan(3.8);
    const live = await box.live("att");
    await box.must(`systemctl stop att@${live} && systemctl start --wait dp-reconcile.service`);
    expect(await box.get(port, "/health")).toBe(live);
  });

  test("the units of an app let it bind its own ports only, and the kernel obeys where it can", async () => {
    const ports = (await box.read(`${ATT}/ports`)).trim();
    expect(ports).toMatch(/^2\d{4}-2\d{4}$/);
    const unit = `att@${await box.live("att")}`;
    const props = await box.must(["systemctl", "show", "-p", "SocketBindAllow,SocketBindDeny", unit]);
    // Some versions of systemd print no colon.
    const shown = props.replaceAll("tcp:", "tcp").split("\n").sort();
    expect(shown).toEqual([`SocketBindAllow=tcp${ports}`, "SocketBindDeny=tcp20000-29999"]);
    expect((await box.ssh(`systemd-analyze verify /etc/systemd/system/att@.service`)).text).toBe("");
    const hasBpf = (await box.must("systemctl --version")).includes("+BPF_FRAMEWORK");
    if (!hasBpf || (await box.must("stat -fc %T /sys/fs/cgroup")) !== "cgroup2fs")
      return console.log("the kernel's refusal is not tried: systemd has no BPF here, or there is no cgroup v2");
    const bind = "import socket; socket.socket().bind(('127.0.0.1', 29999))";
    const properties = `-p SocketBindAllow=tcp:${ports} -p SocketBindDeny=tcp:20000-29999`;
    const tried = await box.ssh(`systemd-run --wait --pipe ${properties} python3 -c "${bind}"`);
    expect(tried.text).toContain("Operation not permitted");
  });

  test("what an earlier dp left to the app is closed by dp setup, and by dp reconcile but for what is live", async () => {
    const live = await box.live("att");
    const [before = ""] = (await box.must(`ls ${ATT}/releases`)).split("\n").filter((id) => id !== live);
    await box.must(`chown -R dp-att:dp-att ${ATT}/releases/${live} ${ATT}/releases/${before} ${ATT}/venvs/*/`);
    await box.must(`chmod -R u+w ${ATT}/releases ${ATT}/venvs; systemctl restart att@${live}`);
    const found = (await box.dp("doctor", "att")).text;
    expect(found).toContain(`${ATT}/releases/${live} belongs to the app's user, who can change it`);
    await box.mustDp("reconcile", "att");
    const owners = () => box.must(`stat -c %U ${ATT}/releases/${live} ${ATT}/releases/${before} ${ATT}/venvs/*/`);
    expect((await owners()).split("\n")).toEqual(["dp-att", "root", "root"]);
    await box.mustDp("setup", "att");
    expect((await owners()).split("\n")).toEqual(["root", "root", "root"]);
    expect((await box.dp("doctor", "att")).text).not.toContain("who can change it");
    expect(await box.get(port, "/health")).toBeDefined();
    await box.mustDp("rollback", "att");
    expect(await box.get(port, "/health")).toBeDefined();
  });

  test("dp destroy takes the builder along", async () => {
    await box.mustDp("destroy", "vic", "--yes", "--purge");
    expect(await box.must("grep -c '^dpb\\?-vic:' /etc/passwd /etc/group || :")).toBe("/etc/passwd:0\n/etc/group:0");
  });
});
