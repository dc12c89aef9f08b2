// The step `dp` of `dp launch`: this dp, and its Bun where it runs there, are sent and installed by install.sh.
import { existsSync } from "node:fs";
import { mkdtemp, mkdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { BUN, treeOfDp } from "../../host/self.ts";
import { commitOfDp, isOlder, version } from "../../host/version.ts";
import { DP, failed, here, script, type Hands } from "./hands.ts";
import { PLATFORM } from "./platform.ts";
import type { Found } from "./reach.ts";

/** Whether the server gets this dp, which is never older than what it has; an older server's is "old". */
export function stateOfDp({ dp }: Found): "none" | "old" | "there" {
  if (dp === null) return "none";
  return isOlder(dp.version, version) ? "old" : "there";
}

/** Whether the Bun that runs this runs on the server, too. */
export async function runsThere({ platform }: Found): Promise<boolean> {
  const own = await here("sh", "-c", `${PLATFORM}\nplatform`);
  return own.code === 0 && own.text === platform;
}

// In a folder beside the installed trees: /tmp may be small, or forbid programs. What a cut connection left is removed
// first; the lock says that nobody is sending. tar fails when its input ends too early.
const RECEIVE = `
set -eu
umask 022
mkdir -p /opt/dp.d
exec 8>/opt/dp.d/.sent.lock
if command -v flock >/dev/null; then flock 8; fi
rm -rf /opt/dp.d/.sent.??????
sent=$(mktemp -d /opt/dp.d/.sent.XXXXXX)
trap 'rm -rf "$sent"' EXIT
trap 'exit 143' INT TERM HUP
tar -x -z -f - --no-same-owner -C "$sent"
if [ -n "$1" ]; then echo "$1" >"$sent/.commit"; fi
sh "$sent/install.sh" 2>&1`;

/** Sends dp and installs it. Throws DpError "command" when that fails, and then what was installed is as before. */
export async function sendDp(hands: Hands, sendsBun: boolean): Promise<string> {
  const { ssh } = hands;
  const temp = await mkdtemp(join(tmpdir(), "dp-send-"));
  try {
    const pack = await packer(temp, sendsBun);
    const commit = (await commitOfDp()) ?? "";
    let packing: ReturnType<typeof start> | undefined;
    const from = () => (packing = start(pack)).stdout;
    const answer = await hands.change(script(RECEIVE, commit), from, pack.join(" "));
    if (answer === null) return `would send ${version}${sendsBun ? " and its Bun" : ""}`;
    packing!.kill();
    if (answer.code !== 0) throw failed(`dp could not be installed on ${ssh.server.host}`, answer, "command");
    return `sent ${version}${sendsBun ? " and its Bun" : ""}, installed in /opt/dp`;
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

/** The command that packs what is sent. The Bun and the packages may lie elsewhere: links in `temp` lead to them. */
async function packer(temp: string, sendsBun: boolean): Promise<string[]> {
  const parts = /^PARTS="([^"]+)"$/m.exec(await installer())?.[1]?.split(" ") ?? [];
  const { dependencies } = JSON.parse(await readFile(join(treeOfDp, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const packages = Object.keys(dependencies).map((name) => `node_modules/${name}`);
  // install.sh fetches a package that is missing.
  const own = [...parts, ...packages].filter((part) => existsSync(join(treeOfDp, part)));
  if (sendsBun) {
    await mkdir(join(temp, "bun/bin"), { recursive: true });
    await symlink(BUN, join(temp, "bun/bin/bun"));
  }
  const bun = sendsBun ? ["-C", temp, "bun"] : [];
  return ["tar", "-c", "-z", "-h", "-f", "-", "-C", treeOfDp, ...own, ...bun];
}

async function installer(): Promise<string> {
  const path = join(treeOfDp, "install.sh");
  if (existsSync(path)) return readFile(path, "utf8");
  throw new DpError("host", `${treeOfDp} is no whole dp, and cannot be sent: it has no install.sh`, {
    hint: "./install.sh, in a clone of dp",
  });
}

function start(argv: string[]) {
  // Without the first, tar of macOS packs files of its own beside each file; the second makes gzip four times as quick.
  const env = { ...process.env, COPYFILE_DISABLE: "1", GZIP: "-1" };
  return Bun.spawn(argv, { env, stdin: "ignore", stdout: "pipe", stderr: "ignore" });
}

/** After an upgrade: the new dp sets all apps of the server up as it does. Their errors stop no launch. */
export async function upgradeApps(hands: Hands): Promise<string> {
  const answer = await hands.change([DP, "upgrade"]);
  if (answer === null) return "would bring all apps up to it";
  const { host } = hands.ssh.server;
  return answer.code === 0 ? "all apps are brought up to it" : `not every app: dp upgrade, typed on ${host}, says why`;
}
