// The second step of `dp launch`: one connection, and one script that asks what the server is and what it has.
import { DpError } from "../../errors.ts";
import { shown } from "../../text/text.ts";
import { type Answer, lineOf, type Ssh } from "../ssh.ts";
import { script } from "./hands.ts";
import { PLATFORM } from "./platform.ts";

/** What the server says of itself. */
export interface Found {
  /** `Debian GNU/Linux 12 (bookworm)`. */
  system: string;
  /** As in platform.ts. */
  platform: string;
  hasSystemd: boolean;
  /** It has apt-get. */
  hasApt: boolean;
  user: string;
  /** How the login becomes root: it is, by sudo without a password, or not at all. */
  root: "yes" | "sudo" | "no";
  /** Bytes; null: not known. */
  memory: number | null;
  /** Free bytes where dp and its apps are. */
  disk: number | null;
  /** Which of the packages that were asked for are missing. */
  missing: string[];
  /** The installed dp, `0.3.0`, and the commit it was built from; null: none. */
  dp: { version: string; commit: string | null } | null;
}

// What dp keeps is below /opt. The words are packages, each followed by what succeeds where it is there.
const PROBE = `
${PLATFORM}
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/bin:/usr/sbin:/sbin
say() { printf 'dp-%s=%s\\n' "$1" "$2"; }
if [ -r /etc/os-release ]; then say system "$(. /etc/os-release; echo "$PRETTY_NAME")"; fi
say platform "$(platform)"
say user "$(id -un)"
if [ -d /run/systemd/system ]; then say systemd yes; fi
if command -v apt-get >/dev/null; then say apt yes; fi
if [ "$(id -u)" = 0 ]; then say root yes; elif sudo -n true >/dev/null 2>&1; then say root sudo; else say root no; fi
say memory "$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)"
say disk "$({ df -Pk /opt || df -Pk /; } 2>/dev/null | awk 'END {print $4}')"
if [ -x /usr/local/bin/dp ]; then say dp "$(cd / && /usr/local/bin/dp --version)"; fi
while [ $# -gt 0 ]; do
    (cd / && eval "$2") >/dev/null 2>&1 || say missing "$1"
    shift 2
done
say end yes`;

/** The packages, and the shell line that succeeds where each of them is there. */
export type Packages = Readonly<Record<string, string>>;

/** Asks the server. Throws DpError "host" when it is not reached, or is no Linux with a shell. */
export async function reach(ssh: Ssh, packages: Packages): Promise<Found> {
  const answer = await ssh.ask(lineOf(script(PROBE, ...Object.entries(packages).flat())));
  const lines = answer.stdout.split("\n").flatMap((line) => {
    const [, name, value] = /^dp-([a-z]+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, shown(value!)] as const];
  });
  const said = new Map(lines);
  if (!said.has("end")) throw unreached(ssh, answer);
  const number = (name: string) => (/^\d+$/.test(said.get(name) ?? "") ? Number(said.get(name)) * 1024 : null);
  const [, version, commit] = /^dp (\d+\.\d+\.\d+[\w.-]*)(?: \((\S+)\))?$/.exec(said.get("dp") ?? "") ?? [];
  return {
    system: said.get("system") ?? "unknown system",
    platform: said.get("platform")!,
    hasSystemd: said.has("systemd"),
    hasApt: said.has("apt"),
    user: said.get("user")!,
    root: said.get("root") as Found["root"],
    memory: number("memory"),
    disk: number("disk"),
    missing: lines.filter(([name]) => name === "missing").map(([, value]) => value),
    dp: version === undefined ? null : { version, commit: commit ?? null },
  };
}

function unreached(ssh: Ssh, answer: Answer): DpError {
  const lines = `${answer.stdout}\n${answer.stderr}`.split("\n").filter((line) => line.trim() !== "");
  // Images of clouds refuse root with the name of the account that they made.
  const [, other] = /login as the user "([a-z_][\w-]*)"/.exec(answer.stdout) ?? [];
  const { host } = ssh.server;
  const hint = other === undefined ? `try it: ssh ${ssh.name}` : `dp launch ${other}@${host}`;
  return new DpError("host", `${ssh.name} was not reached by ssh, or has no shell`, { lines: lines.slice(-8), hint });
}

const GB = 1024 ** 3;
const inGb = (bytes: number) => `${(bytes / GB).toFixed(1)} GB`;

/** What was found, in one line. */
export function foundLine({ system, platform, hasSystemd, user, memory, disk }: Found): string {
  const what = [system, platform.split(" ")[1], hasSystemd ? "systemd" : "no systemd", user];
  const room = [memory === null ? null : `${inGb(memory)} memory`, disk === null ? null : `${inGb(disk)} disk free`];
  return [what.join(", "), room.filter(Boolean).join(", ")].filter(Boolean).join("; ");
}
