import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serverConfig } from "../support/configs.ts";
import { keepServer, keptFile, keptServer } from "../../lib/config/kept-config.ts";
import { sandbox } from "../support/sandbox.ts";
import { withInstalled } from "../support/installed.ts";
import { configure } from "../bench/app.ts";

const text = "manager: builtin\nport: 8001\nkeepWarm: 10m\nscale: {worker: 2}\n";
const server = serverConfig(text);
let base: string;
beforeEach(() => void (base = mkdtempSync(join(tmpdir(), "dp-kept-"))));
afterEach(() => rmSync(base, { recursive: true }));

test("what was read comes back as it was, for its owner alone", async () => {
  await keepServer(base, { tree: "/opt/dp.d/1", text, server });
  expect(await keptServer(base, "/opt/dp.d/1", text)).toEqual(server);
  expect(statSync(keptFile(base)).mode & 0o777).toBe(0o600);
});

test.each([
  ["another text", "/opt/dp.d/1", `${text}# \n`],
  ["another dp", "/opt/dp.d/2", text],
])("%s is not what was read", async (_, tree, now) => {
  await keepServer(base, { tree: "/opt/dp.d/1", text, server });
  expect(await keptServer(base, tree, now)).toBeNull();
});

test.each(["", "{", "null", "[]", '{"tree":"/opt/dp.d/1"}', '{"tree":1,"text":2,"server":3}'])(
  "damaged, %p says nothing",
  async (damaged) => {
    writeFileSync(keptFile(base), damaged);
    expect(await keptServer(base, "/opt/dp.d/1", text)).toBeNull();
  },
);

test("without a place for it nothing is kept, and nothing is wrong", async () => {
  await keepServer(join(base, "none"), { tree: "/opt/dp.d/1", text, server });
  expect(readdirSync(base)).toEqual([]);
});

test("an installed dp keeps it, and notices each change of config.yml, good or bad", async () => {
  await withInstalled(async (dp) => {
    const box = await sandbox("shop", "relay", dp);
    try {
      const keep = async () => {
        expect((await box.dp("status", "shop")).code).toBe(0);
        return (JSON.parse(readFileSync(keptFile(box.base), "utf8")) as { server: { keep: number } }).server.keep;
      };
      const before = await keep();
      configure(box, ["keep: none"]);
      const refused = await box.dp("begin", "shop");
      expect([refused.code, refused.text]).toEqual([3, expect.stringContaining("keep: ")]);
      configure(box, ["keep: 7"]);
      expect([before === 7, await keep()]).toEqual([false, 7]);
    } finally {
      await box.stop();
    }
  });
});
