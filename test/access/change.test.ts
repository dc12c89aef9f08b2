// Changes of keys.json: none is lost when several come at once, and authorized_keys follows.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { authorizedKeys } from "../../lib/access/authorized-keys.ts";
import { changeHolders } from "../../lib/access/change.ts";
import { holders, type Holder } from "../../lib/access/keys-file.ts";
import { newKeyPair } from "../../lib/access/new-key.ts";
import { fingerprintOf } from "../../lib/access/public-key.ts";
import type { Granted } from "../../lib/access/role.ts";
import { keyLines, keyRows } from "../../lib/commands/keys.ts";

const before = process.env["DP_ROOT"];
let folder = "";
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "dp-holders-")));
  process.env["DP_ROOT"] = folder;
});
afterAll(() => {
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});

const holder = (name: string, role: Granted): Holder => ({
  name,
  apps: [{ app: "shop", role }],
  keys: [{ ...newKeyPair(name).public, added: "2026-03-01T12:00:00.000Z", by: "root" }],
});
const at = (path: string) => join(folder, "var/lib/dp", path);
const mode = (path: string) => statSync(at(path)).mode & 0o777;

test("twenty at once are all there, sorted, and closed to others", async () => {
  expect(await holders()).toEqual([]);
  const names = Array.from({ length: 20 }, (_, index) => `key-${String.fromCharCode(116 - index)}`);
  await Promise.all(names.map((name) => changeHolders((all) => void all.push(holder(name, "push")))));
  expect((await holders()).map(({ name }) => name)).toEqual(names.toSorted());
  expect([mode("keys.json"), mode("login/.ssh/authorized_keys")]).toEqual([0o600, 0o644]);
});

test("each key leads to the gate alone, with a terminal for those who operate an app", async () => {
  await changeHolders((all) => {
    all.splice(0);
    all.push(holder("ann", "operate"), holder("bob", "push"), { ...holder("gone", "view"), keys: [] });
  });
  const [ann, bob, ...more] = await holders();
  expect(more).toEqual([]);
  const line = (who: Holder, options: string) => {
    const [key] = who.keys;
    return `${options},command="${who.name} ${fingerprintOf(key!)}" ${key!.type} ${key!.blob} ${who.name}`;
  };
  const [head, ...lines] = readFileSync(at("login/.ssh/authorized_keys"), "utf8").trimEnd().split("\n");
  expect(head).toStartWith("# written by dp");
  expect(lines).toEqual([line(ann!, "restrict,pty"), line(bob!, "restrict")]);
  expect(authorizedKeys([])).toBe(`${head}\n`);
});

test("a key has one role or two, as the file says it", async () => {
  await changeHolders((all) => {
    all.splice(0);
    all.push(holder("ann", "operate"), holder("server-a", "operate,server"));
  });
  expect((await holders()).map(({ apps }) => apps[0]!.role)).toEqual(["operate", "operate,server"]);
  expect(keyLines(await keyRows())[2]).toMatch(/^server-a +operate,server +shop +SHA256:/);
  const written = readFileSync(at("keys.json"), "utf8");
  expect(written).toContain('"role": "operate"');
  expect(readFileSync(at("login/.ssh/authorized_keys"), "utf8").match(/restrict,pty,/g)).toHaveLength(2);
  writeFileSync(at("keys.json"), written.replace("operate,server", "operate,root"));
  await expect(holders()).rejects.toThrow("is damaged");
  writeFileSync(at("keys.json"), written);
});

test("a change that throws changes nothing", async () => {
  const text = readFileSync(at("keys.json"), "utf8");
  const failing = changeHolders((all) => {
    all.splice(0);
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect(readFileSync(at("keys.json"), "utf8")).toBe(text);
  expect(existsSync(at("keys.json.lock"))).toBe(true);
});
