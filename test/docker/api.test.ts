// Docker's API over a real socket: what is answered, refused, late, or not there at all.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, listPath, readFrames } from "../../lib/docker/api.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";

const before = process.env["DOCKER_HOST"];
const folder = mkdtempSync(join(tmpdir(), "dp-api-"));
const path = join(folder, "docker.sock");
let server: ReturnType<typeof Bun.serve>;
let leaderless = 2;

const frame = (text: string) => {
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
};

/** The bytes in pieces that end anywhere. */
async function* pieces(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += 5) yield bytes.subarray(at, at + 5);
}

beforeAll(() => {
  process.env["DOCKER_HOST"] = `unix://${path}`;
  server = Bun.serve({
    unix: path,
    routes: {
      "/gone": () => Response.json({ message: "no such thing" }, { status: 404 }),
      "/refused": () => Response.json({ message: "rpc error: name conflicts" }, { status: 409 }),
      "/empty": () => new Response(""),
      "/leader": () =>
        leaderless-- > 0
          ? Response.json({ message: "rpc error: the swarm does not have a leader" }, { status: 503 })
          : Response.json({ is: "there" }),
      "/logs": () => new Response(pieces(Buffer.concat([frame("grüße 1\n"), frame("two\n")]))),
    },
    fetch: () => new Response("?", { status: 500 }),
  });
});
afterAll(async () => {
  await server.stop(true);
  if (before === undefined) delete process.env["DOCKER_HOST"];
  else process.env["DOCKER_HOST"] = before;
  rmSync(folder, { recursive: true });
});

const errorOf = (promise: Promise<unknown>) => promise.catch((thrown: unknown) => thrown);

test("answers are parsed, what is missing is null, an empty answer is an empty object", async () => {
  expect(await ask({ path: "/gone" })).toBeNull();
  expect(await ask({ path: "/empty" })).toEqual({});
});

test("a refusal is told in Docker's words, with its status", async () => {
  const error = await errorOf(ask({ method: "POST", path: "/refused?version=3", body: {} }));
  expect(error).toMatchObject({ exit: "command", message: "POST /refused: rpc error: name conflicts", reason: "409" });
});

test("a swarm that chooses its leader is waited for", async () => {
  expect(await ask({ path: "/leader" })).toEqual({ is: "there" });
});

test("an output in frames is put together, whatever the pieces", async () => {
  let text = "";
  await readFrames("/logs", (bytes) => (text += bytes.toString()), makeIo(silentLog));
  expect(text).toBe("grüße 1\ntwo\n");
});

test("filters are words of the address", () => {
  expect(listPath("/tasks", { service: ["a b"] })).toBe("/tasks?filters=%7B%22service%22%3A%5B%22a%20b%22%5D%7D");
});

test("no daemon, and another way to one, are errors of the host that say what to type", async () => {
  process.env["DOCKER_HOST"] = `unix://${folder}/nothing.sock`;
  expect(await errorOf(ask({ path: "/info" }))).toMatchObject({
    exit: "host",
    message: "the Docker daemon does not answer",
  });
  process.env["DOCKER_HOST"] = "tcp://127.0.0.1:2375";
  expect(await errorOf(ask({ path: "/info" }))).toMatchObject({ exit: "host", hint: "unset DOCKER_HOST" });
  process.env["DOCKER_HOST"] = `unix://${path}`;
});
