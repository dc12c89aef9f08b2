import { expect, test } from "bun:test";
import { bodyOf, frame } from "../../../lib/managers/pm2/rpc.ts";

const body = { args: [{ name: "grüße 🚀", list: [1, 2] }] };

test("a frame says its version, its parts and their lengths", () => {
  const bytes = frame({});
  expect(bytes.toString("latin1")).toBe("\x12\0\0\0\x04j:{}\0\0\0\x06s:dp:0");
});

test("what is framed is read back, and not before it is whole", () => {
  const bytes = frame(body);
  const first = 5 + bytes.readUInt32BE(1);
  for (let size = 0; size < first; size++) expect(bodyOf(bytes.subarray(0, size))).toBeUndefined();
  for (let size = first; size <= bytes.length; size++) expect(bodyOf(bytes.subarray(0, size))).toEqual(body);
});
