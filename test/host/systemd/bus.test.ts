// The messages of D-Bus, and a connection to what is no bus. What systemd answers is in test/managers/systemd.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { propertyText, unitPath } from "../../../lib/host/systemd/ask.ts";
import { openBus } from "../../../lib/host/systemd/bus.ts";
import { callBytes, firstMessage } from "../../../lib/host/systemd/message.ts";
import { timeFrom } from "../../../lib/host/systemd/systemd.ts";

const CALL = { to: "org.example", at: "/org/example", interface: "org.example.Things", method: "Ask" };

describe("messages", () => {
  test.each([
    [[], []],
    [["one"], ["one"]],
    [
      ["", "zwei ü", ["a", "bc", "def"], []],
      ["", "zwei ü", ["a", "bc", "def"], []],
    ],
  ])("%j comes out as it went in", (args, values) => {
    const bytes = callBytes(7, { ...CALL, args });
    expect(firstMessage(bytes)).toEqual({ message: { kind: "call", answers: 0, values }, size: bytes.length });
  });

  test("several one after the other, and none before it is complete", () => {
    const [first, second] = [callBytes(1, { ...CALL, args: ["x"] }), callBytes(2, { ...CALL, args: ["yy"] })];
    const both = Buffer.concat([first, second]);
    for (let size = 0; size < first.length; size++) expect(firstMessage(both.subarray(0, size))).toBeNull();
    expect(firstMessage(both)?.message.values).toEqual(["x"]);
    expect(firstMessage(both.subarray(first.length))?.message.values).toEqual(["yy"]);
  });

  test.each([
    ["another byte order", 0, "B".charCodeAt(0)],
    ["an unknown kind", 1, 9],
    ["a length beyond all bounds", 7, 0x7f],
  ])("%s is refused", (_, at, byte) => {
    const bytes = callBytes(1, { ...CALL, args: ["x"] });
    bytes[at] = byte;
    expect(() => firstMessage(bytes)).toThrow("a message");
  });
});

test("a unit's name in the path of its object", () => {
  expect(unitPath("shop.cron@42-3f9c2ab.service")).toBe(
    "/org/freedesktop/systemd1/unit/shop_2ecron_4042_2d3f9c2ab_2eservice",
  );
});

test.each([
  ["NeedDaemonReload", true, "yes"],
  ["NeedDaemonReload", false, "no"],
  ["Job", [0, "/"], ""],
  ["Job", [17, "/org/freedesktop/systemd1/job/17"], "17"],
  ["MainPID", 4711, "4711"],
  ["ExecMainStartTimestamp", 0, ""],
  ["ExecMainStartTimestampMonotonic", 0, "0"],
])("%s %j is %j", (name, value, text) => {
  expect(propertyText(name, value)).toBe(text);
});

test("a time is one that dp reads", () => {
  const text = propertyText("ExecMainStartTimestamp", 1_763_822_971_123_456);
  expect(text).toBe("Sat 2025-11-22 14:49:31 UTC");
  expect(timeFrom(text)).toBe("2025-11-22T14:49:31.000Z");
});

describe("what is no bus", () => {
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "dp-bus-"))));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Somebody who answers the first bytes with these. */
  function listen(name: string, answer: string | null) {
    const data = (socket: Bun.Socket) => void (answer === null ? undefined : socket.write(answer));
    return Bun.listen({ unix: join(folder, name), socket: { data } });
  }

  test("nobody is there", async () => {
    const bus = openBus(join(folder, "none"), 60_000);
    await expect(bus.call(CALL)).rejects.toThrow();
    expect(bus.isOpen()).toBe(false);
    await expect(bus.call(CALL)).rejects.toThrow("is closed");
  });

  test("it never answers", async () => {
    const server = listen("silent", null);
    try {
      const bus = openBus(join(folder, "silent"), 20);
      await expect(bus.call(CALL)).rejects.toThrow("does not answer");
      expect(bus.isOpen()).toBe(false);
    } finally {
      server.stop(true);
    }
  });

  test.each([
    ["REJECTED EXTERNAL\r\n", "does not let this user in"],
    ["OK 1234\r\nHTTP/1.1 400 Bad Request", "byte order"],
  ])("it answers %j", async (answer, why) => {
    const server = listen(`wrong-${answer.length}`, answer);
    try {
      const bus = openBus(join(folder, `wrong-${answer.length}`), 60_000);
      await expect(bus.call(CALL)).rejects.toThrow(why);
    } finally {
      server.stop(true);
    }
  });
});
