// Clients that end their own side after a request, or ask for the end, and read slowly: each gets all of its answer.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { fdOf } from "../../../lib/fronts/relay/outlet.ts";
import { fixBuffers } from "../../../lib/host/process/socket-buffers.ts";
import { type TestApp, startApp } from "./support/apps.ts";
import { type TestRelay, startRelay } from "./support/relay.ts";

let relay: TestRelay;
let app: TestApp;
let port: number;
beforeAll(async () => {
  [relay, app] = await Promise.all([startRelay(), startApp("bun", "app")]);
  port = await relay.add("web", app.port);
});
afterAll(async () => {
  await Promise.all([relay?.stop(), app?.stop()]);
});

/** Asks for a body, and reads a piece of the answer at a time; gives the size of the body that came, and how it ended. */
async function ask(bytes: number, fields: string, isHalf: boolean): Promise<string> {
  const parts: Buffer[] = [];
  const over = Promise.withResolvers<string>();
  const end = () => over.resolve("end");
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    allowHalfOpen: true,
    socket: {
      data(self, part) {
        parts.push(Buffer.from(part));
        self.pause();
        setImmediate(() => self.resume());
      },
      end,
      close: (_self, error) => (error ? over.resolve("reset") : end()),
    },
  });
  // It takes so little at a time that what the relay has for it comes to an end at every place.
  fixBuffers(fdOf(socket), 32 * 1024, 32 * 1024);
  socket.write(`GET /sized?bytes=${bytes} HTTP/1.1\r\nHost: web\r\n${fields}\r\n`);
  if (isHalf) socket.shutdown();
  const ending = await over.promise;
  socket.end();
  const all = Buffer.concat(parts);
  return `${all.length - all.indexOf("\r\n\r\n") - 4} ${ending}`;
}

test.each([
  ["ended their own side", "", true],
  ["asked for the end", "Connection: close\r\n", false],
])(
  "answers of 400 sizes reach clients that have %s whole",
  async (_name, fields, isHalf) => {
    const sizes = Array.from({ length: 400 }, (_, at) => 1_000_000 + at * 4099);
    const came: string[] = [];
    for (let at = 0; at < sizes.length; at += 20)
      came.push(...(await Promise.all(sizes.slice(at, at + 20).map((bytes) => ask(bytes, fields, isHalf)))));
    expect(came).toEqual(sizes.map((bytes) => `${bytes} end`));
  },
  60_000,
);
