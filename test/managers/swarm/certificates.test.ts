// The certificates of the swarm's registry, by the real openssl: made once, and anew when their end is near.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isEnding, makeCertificates, readCertificate } from "../../../lib/managers/swarm/certificates.ts";
import { run } from "../../../lib/host/run.ts";

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "dp-certificates-"))));
afterAll(() => rmSync(folder, { recursive: true }));

const made = () => join(folder, "made");
const registry = () => join(made(), "registry.crt");

/** Puts a certificate in the registry's place that ends after so many days. */
async function lastFor(days: number): Promise<void> {
  const key = join(made(), "registry.key");
  await run([
    "openssl",
    "req",
    "-x509",
    "-key",
    key,
    "-subj",
    "/CN=dp registry",
    "-days",
    String(days),
    "-out",
    registry(),
  ]);
}

test("they last for years, are signed by an authority whose key is gone, and are made once", async () => {
  expect(await makeCertificates(made(), "10.0.0.1")).toBe(true);
  const [authority, own, node] = await Promise.all(
    ["ca.crt", "registry.crt", "node.crt"].map((name) => readCertificate(join(made(), name))),
  );
  expect([own!.checkIP("10.0.0.1"), own!.checkIP("10.0.0.2")]).toEqual(["10.0.0.1", undefined]);
  expect([own!.verify(authority!.publicKey), node!.verify(authority!.publicKey)]).toEqual([true, true]);
  expect(node!.subject).toBe("CN=dp node");
  expect([own!, node!, authority!].map(isEnding)).toEqual([false, false, false]);
  expect(existsSync(join(made(), "ca.key"))).toBe(false);
  const before = readFileSync(registry(), "utf8");
  expect(await makeCertificates(made(), "10.0.0.1")).toBe(false);
  expect(readFileSync(registry(), "utf8")).toBe(before);
});

test("they are made anew in the last 90 days, and when they are gone", async () => {
  await lastFor(100);
  expect(await makeCertificates(made(), "10.0.0.1")).toBe(false);
  await lastFor(80);
  const ending = readFileSync(registry(), "utf8");
  expect(isEnding((await readCertificate(registry()))!)).toBe(true);
  expect(await makeCertificates(made(), "10.0.0.1")).toBe(true);
  expect(readFileSync(registry(), "utf8")).not.toBe(ending);
  rmSync(made(), { recursive: true });
  expect(await makeCertificates(made(), "10.0.0.1")).toBe(true);
});
