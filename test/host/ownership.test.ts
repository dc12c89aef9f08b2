// A finished release belongs to root: whatever its names and modes are, nobody else can write into it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync, type Stats } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seal } from "../../lib/host/ownership.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { idsOf } from "../../lib/host/users.ts";

const io = makeIo(silentLog);
/** Two users that every Debian has. */
const [MAKER, READER] = ["games", "nobody"];
const SLASH = Buffer.from("/");
const bytes = (...parts: (string | number)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.of(part) : Buffer.from(part))));

// Files can be given to others by root alone.
describe.skipIf(process.getuid?.() !== 0)("sealing", () => {
  let folder: string;
  let release: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "dp-seal-"));
    chmodSync(folder, 0o755);
    release = join(folder, "release");
    mkdirSync(release);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const at = (...names: Buffer[]) => Buffer.concat([Buffer.from(release), ...names.flatMap((name) => [SLASH, name])]);
  const file = (mode: number, ...names: Buffer[]) => {
    writeFileSync(at(...names), "text");
    chmodSync(at(...names), mode);
  };
  const makeFolder = (mode: number, ...names: Buffer[]) => {
    mkdirSync(at(...names));
    chmodSync(at(...names), mode);
  };

  async function sealed(): Promise<Stats[]> {
    const [uid] = await idsOf(MAKER);
    const [, gid] = await idsOf(READER);
    const given = Bun.spawnSync(["chown", "-R", "-h", `${uid}:${gid}`, release]);
    expect(given.exitCode).toBe(0);
    await seal(release, { maker: MAKER, reader: READER }, io);
    const all: Stats[] = [];
    const look = (path: Buffer) => {
      const stat = lstatSync(path);
      all.push(stat);
      if (stat.isDirectory())
        for (const name of readdirSync(path, { encoding: "buffer" })) look(Buffer.concat([path, SLASH, name]));
    };
    look(Buffer.from(release));
    expect(all.filter(({ uid: owner, mode }) => owner !== 0 || (mode & 0o022) !== 0)).toEqual([]);
    return all;
  }

  test("names that are no UTF-8 are closed like others, and the reader may read them", async () => {
    file(0o666, bytes("lib", 0xff, ".js"));
    makeFolder(0o777, bytes("d", 0xff));
    file(0o600, bytes("d", 0xff), bytes("caf", 0xe9));
    file(0o644, bytes("plain"));
    const all = await sealed();
    expect(all.length).toBe(5);
    for (const { mode } of all) expect((mode >> 3) & 0o4).toBe(0o4);
  });

  test("one open file of that kind among closed ones is found", async () => {
    file(0o640, bytes("plain"));
    makeFolder(0o750, bytes("d"));
    file(0o662, bytes("d"), bytes(0xc3, 0x28));
    await sealed();
  });

  test("names with a newline, a leading dash or a quote, and a pipe, are closed", async () => {
    for (const name of ["a\nb", "-rf", "it's"]) file(0o666, bytes(name));
    expect(Bun.spawnSync(["mkfifo", "-m", "666", join(release, "pipe")]).exitCode).toBe(0);
    await sealed();
  });

  test("more than a few entries are closed", async () => {
    for (let number = 0; number < 400; number++) file(0o666, bytes(`file-${number}`));
    expect((await sealed()).length).toBe(401);
  });

  test("a path that is too long for one call is no error, and closed", async () => {
    const deep = "mkdir -m 777 " + "d".repeat(250) + " && cd -P " + "d".repeat(250);
    const made = Bun.spawnSync(["sh", "-c", Array.from({ length: 20 }, () => deep).join(" && ")], { cwd: release });
    expect([made.exitCode, made.stderr.toString()]).toEqual([0, ""]);
    Bun.spawnSync(["chown", "-R", "-h", `${MAKER}:nogroup`, release]);
    await seal(release, { maker: MAKER, reader: READER }, io);
    const open = Bun.spawnSync(["find", release, "(", "-perm", "/022", "-o", "!", "-uid", "0", ")", "-print"]);
    expect(open.stdout.length).toBe(0);
    // node's own removal would fail for the same reason.
    expect(Bun.spawnSync(["rm", "-rf", "--", release]).exitCode).toBe(0);
  });
});
