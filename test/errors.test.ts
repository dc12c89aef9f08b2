// Which errors are the host's: a user can cure them, and they are no bug in dp.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DpError, hostError, messageOf } from "../lib/errors.ts";

const thrown = (code: string, path?: string) => Object.assign(new Error(`${code}: it cannot be`), { code, path });

test.each(["EACCES", "EPERM", "EROFS", "EIO", "EMFILE"])("%s names the folder to look at", (code) => {
  const error = hostError(thrown(code, "/srv/folder/file")) as DpError;
  expect(error).toBeInstanceOf(DpError);
  expect([error.exit, error.message]).toEqual(["host", `${code}: it cannot be`]);
  expect(error.hint).toBe("see who may write there: ls -ld /srv/folder");
});

test.each(["ENOSPC", "EDQUOT"])("%s says how to see what is full", (code) => {
  expect((hostError(thrown(code, "/srv/folder/file")) as DpError).hint).toContain("df -h /srv/folder");
  expect((hostError(thrown(code)) as DpError).hint).toContain("df -h /");
});

test("all others stay what they are", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dp-errors-"));
  try {
    writeFileSync(join(folder, "file"), "");
    symlinkSync("loop", join(folder, "loop"));
    for (const name of ["file/below", "loop/below"]) {
      const error = await mkdir(join(folder, name)).catch((one: unknown) => one);
      expect(hostError(error)).toBe(error);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  for (const error of [new DpError("usage", "no"), new TypeError("no"), "no", null])
    expect(hostError(error)).toBe(error);
});

describe("the message of an error has no advice of Bun's", () => {
  test("for a port where nobody listens", async () => {
    const error = await fetch("http://127.0.0.1:1/").catch((thrown: unknown) => thrown);
    expect((error as Error).message).toContain("Is the computer able to access the url?");
    expect(messageOf(error)).toBe("ECONNREFUSED: Unable to connect");
  });

  test("for a socket that is not there", async () => {
    const error = await fetch("http://here/", { unix: "/nowhere/x.sock" }).catch((thrown: unknown) => thrown);
    expect(messageOf(error)).toBe("ENOENT: nobody is there");
  });

  test("for an answer that is none", async () => {
    const socket = { data: (client: Bun.Socket) => void client.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab") };
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
    const asked = fetch(`http://127.0.0.1:${server.port}/`).then((response) => response.text());
    const error = await asked.catch((thrown: unknown) => thrown);
    server.stop(true);
    expect((error as Error).message).toContain("verbose: true");
    expect(messageOf(error)).not.toContain("verbose");
  });
});
