// The checksums of settings files: dp's own of what root alone can change, and the shell's as the app's user of all else.
import { expect, test } from "bun:test";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { sumOfFiles } from "../../lib/host/install-settings.ts";

const sum = (...files: string[]) =>
  sumOfFiles(files, { user: undefined, timeout: 10_000, folder: "/" }, makeIo(silentLog));
/** Of no system, and not absolute: a shell is asked about all of them. */
const NOWHERE = "no/such/file";

// /etc/pam.d/common-password has lines that are left out.
const FILES = [
  "/etc/passwd",
  "/nothing/here",
  "/etc/passwd/below",
  "/etc/pam.d/common-password",
  "/etc/hostname",
  "/etc",
];

test.each([...FILES, "/etc/shadow", "/proc/version"])("%s has the same checksum in both ways", async (file) => {
  expect(await sum(file)).toBe(await sum(file, NOWHERE));
});

test("several are told in their order, each once", async () => {
  const told = await sum(...FILES, ...FILES);
  expect(told).toBe(await sum(...FILES, ...FILES, NOWHERE));
  expect(told.split("\n").filter((line) => line.startsWith("/"))[0]).toBe("/etc/passwd");
});

test("no file is no text", async () => {
  expect(await sum("/nothing/here")).toBe("");
});
