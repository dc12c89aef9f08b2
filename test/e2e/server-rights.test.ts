// What is pushed is handled with the least rights: git runs as a user of its own, its hooks ask root's dp, and nothing
// that this user writes is obeyed by root. The tests build on each other, on one server with two apps.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { PATIENT_BUILD, plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const REPO = "/var/repos/depot.git";
const BASE = "/opt/deployments/depot";
const RUN = "/run/test";
const AS_GIT = "setpriv --reuid=dp-git --regid=dp-git --clear-groups --";
/** What an earlier dp left: the repository is root's, with hooks of its own, and ssh finds git's own commands. */
const AS_EARLIER = `set -e
rm ${BASE}/repository-given /usr/local/bin/git-receive-pack /usr/local/bin/git-upload-pack
chown -R root: ${REPO}
git config -f ${REPO}/config --unset core.hooksPath
git config -f ${REPO}/config remote.origin.url https://host.invalid/depot.git
DP_ROOT=/srv/earlier dp setup depot --manager builtin >/dev/null 2>&1
for hook in pre-receive update post-receive; do
    sed 's/^DP_ROOT=.*/unset DP_ROOT/; /^export DP_ROOT/d' /srv/earlier/var/repos/depot.git/hooks/$hook >${REPO}/hooks/$hook
    chmod 755 ${REPO}/hooks/$hook
done
echo password=sesame >${REPO}/dp-credentials
rm -rf /srv/earlier`;

/** Notes every git that runs, with its user, as often as it can look. */
const WATCH = `import os, time
seen = set()
while not os.path.exists("${RUN}/over"):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open("/proc/" + pid + "/cmdline").read().split("\\0")
            if os.path.basename(words[0]) in ("git", "git-receive-pack", "git-upload-pack", "sh"):
                uid, cwd = os.stat("/proc/" + pid).st_uid, os.readlink("/proc/" + pid + "/cwd")
                seen.add("%d %s" % (uid, " ".join(words + [cwd])))
        except OSError:
            pass
open("${RUN}/seen", "w").write("\\n".join(sorted(seen)))
`;

/** Notes every git that is found on PATH, however short: user, arguments, folder. */
const GIT = `#!/bin/sh\necho "$(id -u) git $* $(pwd)" >>/run/gits\nexec /usr/bin/git "$@"\n`;

/** A program that notes as whom it was started. */
const EVIL = `#!/bin/sh\nid -u >>${RUN}/obeyed\nexec cat\n`;

/** Everything that git may be told to run, or to read, by files in a repository. */
const PLANT = `set -e
cd ${REPO}
evil=${RUN}/evil
for key in core.fsmonitor core.sshCommand core.gitProxy core.pager core.editor core.askPass core.alternateRefsCommand \\
    credential.helper diff.external uploadpack.packObjectsHook gpg.program filter.lfs.process filter.lfs.smudge \\
    filter.evil.smudge filter.evil.clean gc.recentObjectsHook sequence.editor; do
    git config -f config $key $evil
done
git config -f config core.hooksPath ${RUN}/hooks
git config -f config include.path ${RUN}/more
git config -f config remote.origin.url "ext::$evil"
git config -f config alias.archive "!$evil"
git config -f config alias.ls-tree "!$evil"
mkdir -p ${RUN}/hooks hooks
for hook in pre-receive update post-receive post-update reference-transaction pre-auto-gc proc-receive post-checkout; do
    cp $evil hooks/$hook
    cp $evil ${RUN}/hooks/$hook
done
mkdir -p info objects/info
echo '* filter=evil export-subst diff=evil' >info/attributes
for name in dp-owed dp-credentials dp-origin; do ln -sfn /root/secret/$name $name; done
for name in dp-pushes dp-push-options; do ln -sfn /root/secret/folder $name; done
printf '%s' '[user]' >.gitconfig`;

const SECRET = "find /root/secret -printf '%p %M %U %s\\n' | sort; cat /root/secret/dp-*";

describe.skipIf(why !== null)(`the rights of git${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let depot: Laptop;
  let other: Laptop;
  let [uid, count] = ["", 0];

  beforeAll(async () => {
    box = await startServer("rights");
    depot = await openLaptop(box, "depot");
    other = await openLaptop(box, "other");
    expect(await box.mustDp("setup", "depot", "--port", `${await freePort()}`)).toContain(
      "made the system user dp-git",
    );
    await box.hurry("depot");
    await box.must(`mkdir -p -m 1777 ${RUN}`);
    uid = await box.must("id -u dp-git");
  });
  afterAll(async () => {
    depot?.remove();
    other?.remove();
    await box?.stop();
  });

  const asGit = (script: string) => box.must(`${AS_GIT} sh -c ${quoted(script)}`);
  const owner = () => box.must(`stat -c '%U %a' ${REPO}`);
  /** Pushes a change; answers what the push has said, when its commit is live and the branch is there. */
  const pushed = async (...options: string[]) => {
    const sha = await depot.commit(plainApp("depot"), `change ${++count}`);
    const { text } = await depot.push(...options);
    expect((await box.live("depot")).split("-")[1]).toBe(sha.slice(0, 7));
    expect(await box.branch("depot")).toBe(sha);
    return text;
  };

  test("a repository of an earlier dp: pushes go on as root's, until dp's commands are there and give it away", async () => {
    await box.must(AS_EARLIER);
    expect(await owner()).toBe("root 700");
    await pushed();
    expect(await owner()).toBe("root 700");
    expect(await box.mustDp("setup", "other", "--port", `${await freePort()}`)).toContain("git-receive-pack");
    const { stdout } = await box.dp("doctor", "depot");
    expect(stdout).toContain(`${REPO} belongs to root: git has all rights in a push`);
    await pushed();
    expect(await owner()).toBe("dp-git 700");
    expect(await box.must(`find ${REPO} ! -user dp-git; ls ${REPO} ${REPO}/hooks | grep -v sample`)).not.toMatch(
      /dp-|\/update$|^root/m,
    );
    const kept = await box.must(
      `cat ${BASE}/repository-credentials ${BASE}/repository-origin; rm ${BASE}/repository-[co]*`,
    );
    expect(kept).toBe("password=sesame\nhttps://host.invalid/depot.git");
    expect(await box.mustDp("setup", "depot")).toContain("nothing to change for depot");
    expect((await box.dp("doctor", "depot")).code).toBe(0);
  }, 120_000);

  test("every git of a push, a deploy and a rollback runs as its own user", async () => {
    await box.write(`${RUN}/watch.py`, WATCH);
    await box.write("/usr/local/bin/git", GIT);
    await box.must(`chmod 755 /usr/local/bin/git; install -m 666 /dev/null /run/gits`);
    await box.must(`rm -f ${RUN}/over; setsid python3 ${RUN}/watch.py >/dev/null 2>&1 &`);
    for (let times = 0; times < 2; times++) await pushed();
    await box.mustDp("deploy", "depot");
    await box.mustDp("rollback", "depot", "1");
    expect((await depot.push()).text).toContain(
      `${await box.live("depot")} is live; dp deploy depot deploys the branch`,
    );
    await box.must(`touch ${RUN}/over; until [ -s ${RUN}/seen ]; do sleep 0.05; done`);
    await box.must("rm /usr/local/bin/git");
    const seen = `${await box.read(`${RUN}/seen`)}\n${await box.read("/run/gits")}`
      .split("\n")
      .filter((line) => (line.includes(REPO) || line.includes("hooks/")) && !line.includes("rev-parse main"));
    const own = seen.filter((line) => line.startsWith(`${uid} `));
    expect(own.some((line) => line.includes("receive-pack"))).toBe(true);
    expect(own.some((line) => line.includes("hooks/update"))).toBe(true);
    expect(own.some((line) => line.includes("ls-tree") || line.includes("archive"))).toBe(true);
    // The command that ssh starts is a shell of root's, and no git.
    expect(seen.filter((line) => !line.startsWith(`${uid} `) && !line.includes("/usr/local/bin/git-"))).toEqual([]);
  }, 120_000);

  test("what a push may say: other refs, two at once, options, a dry run, a shallow clone", async () => {
    await depot.git("tag", "-f", "v1");
    await depot.commit({}, `change ${++count}`);
    const both = await depot.git("push", "--porcelain", "production", "HEAD:main", "HEAD:refs/heads/feature", "v1");
    expect(both).toContain("[new branch]");
    expect(both).toContain("[new tag]");
    const sha = await depot.git("rev-parse", "HEAD");
    expect([await box.branch("depot"), await box.branch("depot", "feature")]).toEqual([sha, sha]);
    expect((await box.live("depot")).split("-")[1]).toBe(sha.slice(0, 7));
    await depot.commit({}, `change ${++count}`);
    expect((await depot.failingPush("-o", "nonsense")).text).toContain('unknown push option "nonsense"');
    expect((await depot.failingPush("-o", "dry-run")).text).toContain("dry run: nothing was deployed");
    expect(await box.branch("depot")).toBe(sha);
    const text = await pushed();
    expect(text).toContain("live: depot");
    const deleted = await refused(depot, "production", ":main");
    expect(deleted).toContain("depot is deployed from main, which cannot be deleted");
    await depot.git("clone", "-q", "--depth", "1", `file://${depot.dir}`, `${depot.dir}/../shallow`);
    const shallow = ["-C", `${depot.dir}/../shallow`];
    await depot.git(...shallow, "commit", "-q", "--allow-empty", "-m", "from a shallow clone");
    await depot.git(...shallow, "push", "-q", await depot.git("remote", "get-url", "production"), "HEAD:main");
    await depot.git("pull", "-q", "production", "main");
    expect(await box.branch("depot")).toBe(await depot.git("rev-parse", "HEAD"));
  }, 120_000);

  test("with gate: false the branch moves first, and the deploy follows", async () => {
    await box.must(`echo 'gate: false' >>${BASE}/config.yml`);
    const bad = await depot.commit({ "app.py": "raise SystemExit(1)\n" }, "bad");
    expect((await depot.push()).text).toContain("FAILED at check");
    expect(await box.branch("depot")).toBe(bad);
    expect(await box.must(`ls ${BASE} | grep -c repository-owed || true`)).toBe("0");
    await pushed();
    await box.must(`sed -i '/^gate: false/d' ${BASE}/config.yml`);
  }, 120_000);

  test("a client that goes away, and a git that is killed: the deploy goes on, and the branch follows", async () => {
    for (const how of ["INT", "KILL"]) {
      const sha = await depot.commit(
        plainApp("depot", `build: ${JSON.stringify(PATIENT_BUILD)}\n`),
        `change ${++count}`,
      );
      await box.must(`rm -f ${BASE}/home/go`);
      const client = Bun.spawn(["env", "--default-signal=INT", ...depot.pushArgv()], {
        cwd: depot.dir,
        env: depot.env,
        detached: true,
        stdio: ["ignore", "ignore", "ignore"],
      });
      await box.untilRun(
        "depot",
        "the build runs",
        ({ facts, journal }) => facts.sha === sha && journal["build"]?.state === "running",
      );
      if (how === "INT") process.kill(-client.pid, "SIGINT");
      else await box.must("pkill -KILL -u dp-git -f receive-pack");
      // A client whose git was killed learns the end of the deploy.
      if (how === "INT") await client.exited;
      await box.must(`touch ${BASE}/home/go`);
      await client.exited;
      const run = await box.untilRun(
        "depot",
        "the deploy ends",
        ({ facts, result }) => facts.sha === sha && result !== undefined,
      );
      expect(run.result).toMatchObject({ state: "good" });
      await until("the branch follows", async () => (await box.branch("depot")) === sha);
      expect((await box.live("depot")).split("-")[1]).toBe(sha.slice(0, 7));
    }
  }, 120_000);

  test("a process of the deploy that is killed is told, and dp resume ends it", async () => {
    const sha = await depot.commit(plainApp("depot", `build: ${JSON.stringify(PATIENT_BUILD)}\n`), `change ${++count}`);
    await box.must(`rm -f ${BASE}/home/go`);
    const push = depot.failingPush();
    await box.untilRun(
      "depot",
      "the build runs",
      ({ facts, journal }) => facts.sha === sha && journal["build"]?.state === "running",
    );
    await box.must("pkill -KILL -u root -f 'dp serve-git receive-pack depot$'");
    expect((await push).text).toContain("the process of the deploy was killed; to finish or undo it: dp resume depot");
    await box.must(`touch ${BASE}/home/go`);
    expect(await box.mustDp("resume", "depot")).toContain("live: depot");
    await until("the branch follows", async () => (await box.branch("depot")) === sha);
  }, 120_000);

  test("a push on the server itself is refused in one line, or goes by dp's command", async () => {
    await box.must(`git clone -q --upload-pack=/usr/local/bin/git-upload-pack file://${REPO} /srv/clone 2>&1`);
    const clone = "git -C /srv/clone -c user.name=d -c user.email=d@localhost";
    await box.must(`${clone} commit -q --allow-empty -m local`);
    const before = await box.live("depot");
    expect((await box.ssh(`git -C /srv/clone push -q ${REPO} HEAD:main`)).text).toContain("dubious ownership");
    // Git's own advice does not help either.
    await box.must(`git config --global --add safe.directory ${REPO}`);
    const { code, text } = await box.ssh(`git -C /srv/clone push -q ${REPO} HEAD:main`);
    expect(code).toBe(1);
    expect(text).toContain(
      "pushes to this repository go through dp: git push --receive-pack=/usr/local/bin/git-receive-pack",
    );
    await box.must("rm /root/.gitconfig");
    expect(await box.live("depot")).toBe(before);
    await box.must(`git -C /srv/clone push -q --receive-pack=/usr/local/bin/git-receive-pack ${REPO} HEAD:main 2>&1`);
    expect(await box.live("depot")).not.toBe(before);
    // Every other repository is git's own business, and a name that is none of dp's stays one.
    await box.must(
      "git init -q --bare /srv/own.git && git -C /srv/clone push -q --receive-pack=/usr/local/bin/git-receive-pack /srv/own.git HEAD:main",
    );
    for (const path of ["/var/repos/none.git", "/var/repos/../repos/none.git", "/var/repos/depot.git/objects"])
      expect((await box.ssh(["git-receive-pack", path])).text).toContain("fatal:");
    for (const path of ["/var/repos/depot", "/var/repos//depot.git/", "/var/repos/other.git/../depot.git"])
      expect(
        (await box.ssh(["sh", "-c", `printf 0000 | git-upload-pack ${path} | tr -d '\\0' | grep -c refs/heads/main`]))
          .stdout,
      ).toMatch(/^[1-9]/);
    await depot.git("pull", "-q", "production", "main");
  }, 120_000);

  test("another repository is fetched with the operator's key and the owner's rights, not by git's user", async () => {
    await box.must(
      "git clone -q --bare /srv/clone /root/origin.git && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519 && cat /root/.ssh/id_ed25519.pub >>/root/.ssh/authorized_keys",
    );
    expect(await box.mustDp("setup", "other", "/root/origin.git")).toContain("fetched main from /root/origin.git");
    const sha = await box.must("git -C /root/origin.git rev-parse main");
    expect(await box.branch("other")).toBe(sha);
    await box.must(`${AS_GIT} git --git-dir /var/repos/other.git update-ref -d refs/heads/main`);
    const port = await box.must("sshd -T | sed -n 's/^port //p'");
    const url = `ssh://root@127.0.0.1:${port}/root/origin.git`;
    const command = "GIT_SSH_COMMAND='ssh -o StrictHostKeyChecking=accept-new'";
    expect(await box.must(`${command} dp setup other ${url}`)).toContain(`fetched main from ${url}`);
    expect(await box.branch("other")).toBe(sha);
    const { code, text } = await box.dp("setup", "other", "ext::touch /tmp/never");
    expect(code).not.toBe(0);
    expect(text).toContain("cannot be fetched: dp fetches by https, http, git and ssh, and from a path");
    await asGit("git --git-dir /var/repos/other.git config remote.origin.url 'ext::touch /tmp/never'");
    await box.must(`${command} dp setup other ${url}`);
    expect((await box.ssh("ls /tmp/never")).code).not.toBe(0);
  }, 120_000);

  test("git's user and the app cannot read what is the other's, or root's", async () => {
    const reads = (user: string, ...paths: string[]) => {
      const script = 'for path in "$@"; do [ ! -r "$path" ] || echo "$path"; done';
      const drop = ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--"];
      return box.must([...drop, "sh", "-c", script, "sh", ...paths]);
    };
    const files = [
      `${BASE}/.env.production`,
      `${BASE}/config.yml`,
      `${BASE}/runs`,
      `${BASE}/home`,
      `${BASE}/shared`,
      `${BASE}/repository-given`,
    ];
    expect(
      await reads("dp-git", ...files, `${BASE}/current/app.py`, "/root", "/etc/shadow", "/var/log/deployments/depot"),
    ).toBe("");
    expect(await reads("dp-depot", REPO, `${REPO}/HEAD`, "/var/repos/other.git/config")).toBe("");
    expect(await reads("dp-git", `${REPO}/HEAD`)).toBe(`${REPO}/HEAD`);
    const writable =
      "find /opt /usr/local /var/lib/dp /var/repos /var/log/deployments /etc -xdev -writable ! -type l 2>/dev/null || true";
    expect(await box.must(`${AS_GIT} sh -c ${quoted(`${writable} | grep -v '^/var/repos/[a-z]*.git'`)} || true`)).toBe(
      "",
    );
    expect(await box.must("getent passwd dp-git")).toMatch(/:\/usr\/sbin\/nologin$/);
    expect((await box.ssh("true", { user: "dp-git" })).code).not.toBe(0);
  });

  test("what root's git has written in between is found by doctor, and mended by setup", async () => {
    await box.must(`git --git-dir ${REPO} branch by-root main && mkdir -m 700 ${REPO}/objects/zz`);
    expect((await box.dp("doctor", "depot")).stdout).toMatch(/does not belong to dp-git: pushes fail/);
    await box.must(
      "mv /usr/local/bin/git-upload-pack /usr/local/bin/upload && echo 'PATH=/usr/bin:/bin:/usr/local/bin' >/etc/environment",
    );
    const found = (await box.dp("doctor")).stdout;
    expect(found).toContain("/usr/local/bin/git-upload-pack is missing");
    expect(found).toContain("ssh finds /usr/bin/git-receive-pack before /usr/local/bin/git-receive-pack");
    await box.must("rm /etc/environment");
    const mended = await box.mustDp("setup", "depot");
    expect(mended).toContain("wrote /usr/local/bin/git-upload-pack");
    expect(mended).toContain(`gave what was not dp-git's in ${REPO} to it`);
    await box.must(`rmdir ${REPO}/objects/zz`);
    // As an interruption leaves it.
    await box.must(`chown root: ${REPO}`);
    expect((await box.dp("doctor", "depot")).stdout).toContain(`${REPO} belongs to root, not to dp-git`);
    expect((await box.dp("deploy", "depot", "main")).text).toContain("dp setup depot");
    expect(await box.mustDp("setup", "depot")).toContain(`gave ${REPO} to the user dp-git`);
    await box.must(`chown root: ${REPO}`);
    await pushed();
    expect((await box.dp("doctor", "depot")).code).toBe(0);
    await pushed();
  }, 120_000);

  test("nothing that git's user has planted is obeyed, or followed, by root", async () => {
    await box.must(
      "mkdir -m 700 -p /root/secret/folder /root/secret/objects && echo kept | tee /root/secret/dp-owed /root/secret/dp-credentials >/root/secret/dp-origin",
    );
    const secret = await box.must(SECRET);
    await box.write(`${RUN}/evil`, EVIL, 0o755);
    await asGit(PLANT);
    await pushed();
    await pushed("-o", "skip-hooks");
    await box.mustDp("deploy", "depot", "main");
    await box.mustDp("plan", "depot");
    await box.mustDp("rollback", "depot");
    await box.dp("doctor", "depot");
    await box.mustDp("status", "depot");
    await box.mustDp("setup", "depot");
    await box.mustDp("doctor", "--fix").catch(() => "");
    for (let times = 0; times < 3; times++) await box.mustDp("deploy", "depot", "main");
    await depot.git("fetch", "-q", "production");
    expect(await box.must(`sort -u ${RUN}/obeyed 2>/dev/null || true`)).toBe(uid);
    expect(await box.must(SECRET)).toBe(secret);
    // The same with places that root would enter.
    await asGit(
      `cd ${REPO} && mv objects/info away && ln -s /root/secret objects/info && ln -sfn /root/secret/folder hooks.d`,
    );
    await box.dp("deploy", "depot", "main");
    await box.dp("doctor", "depot", "--fix");
    await box.dp("setup", "depot");
    expect(await box.must(SECRET)).toBe(secret);
    await asGit(
      `cd ${REPO} && rm objects/info hooks.d && mv away objects/info && mv config bad && git init -q --bare . && rm -r dp-* hooks info`,
    );
    expect(await box.mustDp("setup", "depot")).toContain(`set receive.maxInputSize in ${REPO}`);
    await pushed();
  }, 240_000);
});

/** What git says of a push that it refuses. */
const refused = (laptop: Laptop, ...words: string[]) =>
  laptop.git("push", ...words).then(
    () => "it was taken",
    (error: Error) => error.message,
  );
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
