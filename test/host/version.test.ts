// Versions by their numbers.
import { expect, test } from "bun:test";
import { isOlder } from "../../lib/host/version.ts";

test.each([
  ["0.1.0", "0.2.0", true],
  ["0.9.0", "0.10.0", true],
  ["1.0.0", "1.0.1", true],
  ["1.2", "1.2.1", true],
  ["0.2.0", "0.2.0", false],
  ["0.10.0", "0.9.9", false],
  ["2.0.0", "1.9.9", false],
])("%s is older than %s: %p", (version, than, expected) => expect(isOlder(version, than)).toBe(expected));
