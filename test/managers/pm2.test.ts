import { afterAll, beforeAll, describe } from "bun:test";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { makePm2 } from "../../lib/managers/pm2.ts";
import type { Manager } from "../../lib/manager.ts";
import { pm2Folder, pm2Unavailable } from "../support/pm2.ts";
import { managerContract } from "./contract.ts";

const why = pm2Unavailable();
// An account of every Linux whose group has its name, as the users of apps have.
const user = process.getuid!() === 0 ? "daemon" : undefined;
const before = process.env["DP_ROOT"];
let folder: string;
let pm2: Manager;

describe.skipIf(why !== null)(`pm2${why === null ? "" : ` (skipped: ${why})`}`, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "dp-pm2-"));
    chmodSync(folder, 0o755);
    process.env["DP_ROOT"] = folder;
    // Where the app's user can read it.
    cpSync(resolve(dirname(await pm2Folder()), ".."), join(folder, "tools"), { recursive: true });
    pm2 = makePm2(20, `${join(folder, "tools/node_modules/.bin")}:/usr/local/bin:/usr/bin:/bin`);
  }, 120_000);

  afterAll(() => {
    if (before === undefined) delete process.env["DP_ROOT"];
    else process.env["DP_ROOT"] = before;
    rmSync(folder, { recursive: true });
  });

  describe("the contract", () => managerContract(() => ({ manager: pm2, user })));
});
