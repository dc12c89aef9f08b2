// ssh as git would start it, against an sshd of the test's own: words byte for byte, exit codes, the shared connection.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GitSettings } from "../../lib/remote/git.ts";
import { lineOf, sshTo } from "../../lib/remote/ssh.ts";
import { sharing } from "../../lib/remote/shared-connection.ts";
import { sshdUnavailable, startSshd, type Sshd } from "../support/sshd.ts";
import { until } from "../support/sandbox.ts";

const GIT: GitSettings = { sshCommand: undefined, remote: undefined, isShared: false };
const VARIABLES = [
  "GIT_SSH_COMMAND",
  "GIT_SSH",
  "XDG_RUNTIME_DIR",
  "DP_MUX",
  "HOME",
  "SSH_AUTH_SOCK",
  "SHLVL",
] as const;
const before = VARIABLES.map((name) => [name, process.env[name]] as const);
const folder = mkdtempSync(join(tmpdir(), "dp-ssh-"));

afterEach(() => {
  for (const [name, value] of before)
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the program", () => {
  const shell = (line: string) => ["/bin/sh", "-c", `exec ${line} "$@"`, line];
  const program = async (git: Partial<GitSettings> = {}) =>
    (await sshTo({ user: "root", host: "h", port: 2222 }, { ...GIT, ...git })).argv("true", "-T");

  test("is what git would start", async () => {
    expect(await program()).toEqual(["ssh", "-T", "-p", "2222", "root@h", "true"]);
    process.env["GIT_SSH"] = "/opt/my ssh";
    expect((await program())[0]).toBe("/opt/my ssh");
    expect((await program({ sshCommand: "ssh -i k" })).slice(0, 4)).toEqual(shell("ssh -i k"));
    process.env["GIT_SSH_COMMAND"] = "ssh -v";
    expect((await program({ sshCommand: "ssh -i k" })).slice(0, 4)).toEqual(shell("ssh -v"));
    process.env["GIT_SSH_COMMAND"] = "A=1 ssh";
    expect((await program())[2]).toBe('A=1 ssh "$@"');
  });

  test.each(["-oProxyCommand=touch x", "-l", "", "a b", "a\nb"])("refuses the host %j", async (host) => {
    expect(sshTo({ host }, GIT)).rejects.toThrow("is not the name of a server");
  });

  test("refuses a user that ssh would take for an option", async () => {
    expect(sshTo({ user: "-oProxyCommand=x", host: "h" }, GIT)).rejects.toThrow("is not the name of a server");
  });

  test("that is not there is named", async () => {
    process.env["GIT_SSH"] = join(folder, "none");
    const ssh = await sshTo({ host: "h" }, GIT);
    expect(ssh.ask("true")).rejects.toThrow(`${join(folder, "none")} is not installed here`);
  });
});

describe("the shared connection", () => {
  const SETTINGS = "hostname h\nserveraliveinterval 0\n";

  test("has a folder that only its user enters", () => {
    process.env["XDG_RUNTIME_DIR"] = join(folder, "run");
    expect(sharing(SETTINGS, [])).toEqual([
      ...["-o", "ControlMaster=auto", "-o", "ControlPersist=60s"],
      ...[
        "-o",
        expect.stringMatching(new RegExp(`^ControlPath=${folder}/run/dp/[0-9a-f]{40}$`)),
        "-o",
        "ServerAliveInterval=15",
      ],
    ]);
    expect(statSync(join(folder, "run/dp")).mode & 0o777).toBe(0o700);
    chmodSync(join(folder, "run/dp"), 0o777);
    expect(sharing(SETTINGS, [])).not.toEqual([]);
    expect(statSync(join(folder, "run/dp")).mode & 0o777).toBe(0o700);
  });

  test("is in the home where there is no other place", () => {
    delete process.env["XDG_RUNTIME_DIR"];
    process.env["HOME"] = join(folder, "h");
    expect(sharing(SETTINGS, []).join(" ")).toMatch(new RegExp(`ControlPath=${folder}/h/.cache/dp/s/[0-9a-f]{40} `));
  });

  test.each([
    ["the user has a ControlPath", "hostname h\ncontrolpath ~/.ssh/%C\n", "r"],
    ["ssh is not OpenSSH", "", "r"],
    ["the path would be too long", SETTINGS, "r".repeat(90)],
    ["ssh would read the path in another way", SETTINGS, "a %h"],
  ])("is not used when %s", (_, settings, name) => {
    process.env["XDG_RUNTIME_DIR"] = join(folder, name);
    expect(sharing(settings, [])).toEqual([]);
  });

  test("is not used when its folder is a link or a file of somebody else", () => {
    process.env["XDG_RUNTIME_DIR"] = join(folder, "other");
    mkdirSync(join(folder, "other"));
    writeFileSync(join(folder, "other/dp"), "");
    expect(sharing(SETTINGS, [])).toEqual([]);
  });

  test("is another one when something that chooses the key is", () => {
    process.env["XDG_RUNTIME_DIR"] = join(folder, "run");
    const key = join(folder, "a key");
    writeFileSync(key, "one");
    const paths: string[] = [];
    const look = (settings: string, ...argv: string[]) => paths.push(sharing(settings, argv)[5]!);
    const own = `${SETTINGS}identityfile ${key}\n`;
    look(SETTINGS, "ssh");
    look(SETTINGS, "ssh", "-i", "k");
    look(own, "ssh");
    writeFileSync(key, "other");
    look(own, "ssh");
    process.env["SSH_AUTH_SOCK"] = "/tmp/agent";
    look(own, "ssh");
    process.env["HOME"] = folder;
    look(own, "ssh");
    expect(new Set(paths).size).toBe(6);
    process.env["SHLVL"] = "7";
    look(own, "ssh");
    expect(paths[6]).toBe(paths[5]!);
  });

  test("keeps a setting of the user's about a server that does not answer", () => {
    process.env["XDG_RUNTIME_DIR"] = join(folder, "run");
    expect(sharing("hostname h\nserveraliveinterval 60\n", []).join(" ")).not.toContain("ServerAlive");
  });
});

const why = sshdUnavailable();
describe.skipIf(why !== null)(`over ssh${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let sshd: Sshd;
  beforeAll(async () => {
    mkdirSync(join(folder, "home"));
    sshd = await startSshd(join(folder, "sshd"), { PATH: "/usr/bin:/bin", HOME: join(folder, "home") });
  });
  afterAll(() => sshd?.stop());
  const settings = (isShared: boolean): GitSettings => ({ ...GIT, sshCommand: `ssh -F ${sshd.config}`, isShared });

  test("words arrive byte for byte, and codes as they are", async () => {
    const words = ["a b", "it's", '"x" $HOME `id` $(id) *', "a\nb", "", "-n", "\\", "grüße 🌱", "#", "~", "!"];
    const ssh = await sshTo({ host: "server" }, settings(false));
    const told = await ssh.ask(lineOf(["printf", "%s\\0", ...words]));
    expect(told).toEqual({ code: 0, stdout: words.map((word) => `${word}\0`).join(""), stderr: "" });
    expect((await ssh.ask("exit 41")).code).toBe(41);
    expect((await ssh.ask("kill -9 $$")).code).toBe(255);
  });

  test("data goes in and answers come out, apart", async () => {
    const ssh = await sshTo({ user: "root", host: "127.0.0.1", port: sshd.port }, settings(false));
    const bytes = "x".repeat(1_000_000);
    const answer = await ssh.ask("cat; echo told >&2", { stdin: bytes });
    expect({ ...answer, stdout: answer.stdout === bytes }).toEqual({ code: 0, stdout: true, stderr: "told\n" });
    expect((await ssh.ask("sleep 60", { timeout: 300 })).code).toBe(255);
  });

  test("a second command makes no connection, and none after a master that was killed makes trouble", async () => {
    process.env["XDG_RUNTIME_DIR"] = join(folder, "s");
    const sockets = join(folder, "s/dp");
    const ask = async () => (await sshTo({ host: "server" }, settings(true))).ask("echo here");
    const first = sshd.connections();
    for (let time = 0; time < 3; time++) expect(await ask()).toMatchObject({ code: 0, stdout: "here\n", stderr: "" });
    expect(sshd.connections()).toBe(first + 1);

    const masters = () => readdirSync(sockets);
    expect(masters()).toHaveLength(1);
    const socket = join(sockets, masters()[0]!);
    const checked = Bun.spawnSync(["ssh", "-F", sshd.config, "-S", socket, "-O", "check", "server"]);
    const pid = Number(/pid=(\d+)/.exec(checked.stderr.toString())![1]);
    process.kill(pid, "SIGKILL");
    await until("the end of the master", () => !/^State:\t[^Z]/m.test(stateOf(pid)));
    expect(existsSync(socket)).toBe(true);
    expect(await ask()).toEqual({ code: 0, stdout: "here\n", stderr: "" });
    expect(sshd.connections()).toBe(first + 2);

    process.env["DP_MUX"] = "0";
    expect((await ask()).code).toBe(0);
    expect(sshd.connections()).toBe(first + 3);
    Bun.spawnSync(["ssh", "-F", sshd.config, "-S", socket, "-O", "exit", "server"]);
  });
});

function stateOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
