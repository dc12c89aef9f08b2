// Public keys as people hand them over: those of ssh-keygen are read, and everything else is refused.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newKeyPair } from "../../lib/access/new-key.ts";
import { fingerprintOf, publicKeyIn } from "../../lib/access/public-key.ts";
import { memoryFile } from "../../lib/host/process/memory-file.ts";
import { closeSync, writeSync } from "node:fs";

let folder = "";
const made = new Map<string, string>();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-keys-"));
  for (const [type, bits] of [
    ["ed25519", ""],
    ["ecdsa", "256"],
    ["ecdsa", "521"],
    ["rsa", "3072"],
    ["rsa", "2048"],
  ] as const) {
    const file = join(folder, `${type}${bits}`);
    const size = bits === "" ? [] : ["-b", bits];
    Bun.spawnSync(["ssh-keygen", "-q", "-t", type, ...size, "-N", "", "-C", "her laptop", "-f", file]);
    made.set(`${type}${bits}`, file);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const read = (name: string) => readFileSync(made.get(name)!, "utf8");
const pub = (name: string) => readFileSync(`${made.get(name)}.pub`, "utf8");
const printed = (name: string) =>
  Bun.spawnSync(["ssh-keygen", "-l", "-f", `${made.get(name)}.pub`])
    .stdout.toString()
    .split(" ")[1];

test.each(["ed25519", "ecdsa256", "ecdsa521", "rsa3072"])("%s is taken, without its comment", (name) => {
  const key = publicKeyIn(`\n${pub(name)}`);
  expect(pub(name)).toStartWith(`${key.type} ${key.blob} `);
  expect(fingerprintOf(key)).toBe(printed(name)!);
});

const hardware = (type: string, ...fields: string[]) => {
  const all = [type, ...fields].map((text) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(Buffer.byteLength(text));
    return Buffer.concat([size, Buffer.from(text)]);
  });
  return `${type} ${Buffer.concat(all).toString("base64")} yubikey`;
};

test("keys of hardware are taken", () => {
  for (const type of ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
    expect(publicKeyIn(hardware(type, "x".repeat(32), "ssh:")).type).toBe(type);
});

describe("refused", () => {
  const cases: [string, () => string, RegExp][] = [
    ["nothing", () => "\n", /there is no key/],
    ["two keys", () => pub("ed25519") + pub("ecdsa256"), /2 keys/],
    ["a private key", () => read("ed25519"), /private key/],
    ["options before it", () => `command="id" ${pub("ed25519")}`, /options/],
    ["an old RSA key", () => pub("rsa2048"), /2048 bits/],
    ["a certificate", () => hardware("ssh-ed25519-cert-v01@openssh.com", "x"), /certificate/],
    ["DSA", () => hardware("ssh-dss", "x"), /DSA/],
    ["a key cut off", () => pub("ed25519").split(" ").slice(0, 2).join(" ").slice(0, -9), /damaged/],
    ["one type in front of another", () => pub("ecdsa256").replace("ecdsa-sha2-nistp256", "ssh-ed25519"), /damaged/],
    ["anything else", () => "hello\u001b[2J", /no type of key/],
  ];
  test.each(cases)("%s", (_, text, words) => {
    try {
      publicKeyIn(text());
    } catch (error) {
      expect(error).toMatchObject({ exit: "usage" });
      const { message, hint = "" } = error as { message: string; hint?: string };
      expect(message).toMatch(words);
      // A private key is not shown to whoever looks over a shoulder, or reads a log.
      for (const line of read("ed25519").split("\n").slice(0, 3)) expect(`${message} ${hint}`).not.toContain(line);
      return;
    }
    throw new Error("it was taken");
  });
});

test("a new pair is one that OpenSSH reads, and has no file", () => {
  const pair = newKeyPair("ci");
  const file = memoryFile("test");
  try {
    writeSync(file.fd, pair.private);
    const read = Bun.spawnSync(["ssh-keygen", "-y", "-f", file.path]);
    expect([read.exitCode, read.stdout.toString()]).toEqual([0, `${pair.public.type} ${pair.public.blob} ci\n`]);
  } finally {
    closeSync(file.fd);
  }
  expect(publicKeyIn(`${pair.public.type} ${pair.public.blob}`)).toEqual(pair.public);
  expect(newKeyPair("ci").public.blob).not.toBe(pair.public.blob);
});
