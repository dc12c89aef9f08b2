import { expect, test } from "bun:test";
import { bytesOf, sizeText } from "../../lib/config/size.ts";

test.each([
  ["0k", 0],
  ["500k", 512_000],
  ["100m", 104_857_600],
  ["2g", 2_147_483_648],
  ["2G", null],
  ["100", null],
  ["1.5g", null],
  ["-1m", null],
  ["007m", null],
])("%s is %p bytes", (text, bytes) => {
  expect(bytesOf(text)).toBe(bytes);
});

test.each([
  [0, "0 MB"],
  [600_000, "0.6 MB"],
  [104_857_600, "100 MB"],
  [2_300_000_000, "2.1 GB"],
  [45_000_000_000, "41 GB"],
  [2_000_000_000_000, "1.8 TB"],
])("%d bytes are told as %s", (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});
