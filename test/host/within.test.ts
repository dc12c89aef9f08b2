import { expect, test } from "bun:test";
import { join } from "node:path";
import { within } from "../../lib/host/within.ts";

test("the value of a promise that has one in time, null otherwise", async () => {
  expect(await within(60_000, Promise.resolve("value"))).toBe("value");
  expect(await within(1, new Promise(() => undefined))).toBeNull();
});

test("what a promise is rejected with is thrown", async () => {
  const refused = Promise.reject(new Error("refused"));
  await expect(within(60_000, refused)).rejects.toThrow("refused");
});

test("a process does not stay for the rest of the time", async () => {
  const script = `
    import { within } from ${JSON.stringify(join(import.meta.dir, "../../lib/host/within.ts"))};
    console.log(await within(600_000, Promise.resolve("done")));
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  expect([await child.exited, await child.stdout.text()]).toEqual([0, "done\n"]);
});
