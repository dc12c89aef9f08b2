// What a log has of a command that says too much: its beginning, how much is left out, and its end.
import { expect, test } from "bun:test";
import { flood } from "../../../lib/deploy/log/flood.ts";
import { receipt } from "../../../lib/deploy/log/receipt.ts";

test("all of it while there is room", () => {
  const written: string[] = [];
  const out = flood((line) => written.push(line), 100, 20);
  for (const line of ["one", "two"]) out.line(line);
  out.flush((line) => written.push(line));
  expect(written).toEqual(["one", "two"]);
});

test("then each step's end, and how many lines are left out before it", () => {
  const written: string[] = [];
  const out = flood((line) => written.push(line), 10, 20);
  for (let number = 100; number < 200; number++) out.line(`${number}`);
  expect(written).toEqual(["100", "101", "102"]);
  out.flush((line) => written.push(line.split(":")[0]!));
  expect(written).toEqual(["100", "101", "102", "(92 lines are left out here", ...["195", "196", "197", "198", "199"]]);
  // The next step has no more room than that.
  out.line("next");
  expect(written.length).toBe(9);
  out.flush((line) => written.push(line));
  expect(written.at(-1)).toBe("next");
  out.flush((line) => written.push(line));
  expect(written.length).toBe(10);
});

test("300 MB of a build are 16 MiB and its last lines in the log, with secrets masked there, too", () => {
  let size = 0;
  const last: string[] = [];
  const out = receipt(
    (line) => {
      size += line.length;
      last.push(line);
      if (last.length > 400) last.shift();
    },
    (line) => line.replace("hunter2", "****"),
  );
  const line = "x".repeat(990);
  out.begin("build");
  for (let count = 0; count < 300_000; count++) out.output(`${line}${count} hunter2`);
  out.end("build", 1000);
  expect(size).toBeLessThan(17 * 1024 * 1024);
  expect(last.at(-1)).toBe("build          1.0 s");
  expect(last.at(-2)).toContain(" more)");
  expect(last.some((one) => /^ {2}\(\d+ lines are left out here: a log holds 16 MiB of output\)$/.test(one))).toBe(
    true,
  );
  out.begin("check");
  out.output("the password is hunter2");
  out.end("check", 1000);
  expect(last.slice(-3)).toEqual(["check              …", "  | the password is ****", "check          1.0 s"]);
});
