// The examples for node and bun, deployed as a user deploys them: dp init, git push, again, under load, and back.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "../fronts/relay/support/load.ts";
import { ended } from "../support/load-run.ts";
import { nodeSandbox } from "../support/node-run.ts";
import { until, type Sandbox } from "../support/sandbox.ts";

// Packages come over the network, and next is large.
setDefaultTimeout(300_000);

interface Example {
  /** A file, and a change of it that the answer of `path` shows. */
  file: string;
  change: [from: string, to: string];
  path: string;
  answer: (id: string) => string;
  changed: (id: string) => string;
  /** Words of the first deploy's log. */
  says: string[];
  /** Modules are kept for the next release. */
  keeps: boolean;
}

const hello = {
  ...{ path: "/", change: ["Hello from", "Welcome to"] as [string, string] },
  answer: (id: string) => `Hello from ${id}`,
  changed: (id: string) => `Welcome to ${id}`,
};
const EXAMPLES: Record<string, Example> = {
  express: { ...hello, file: "server.js", says: ["installing package-lock.json with npm"], keeps: true },
  next: {
    ...hello,
    file: "app/page.js",
    // React puts a comment between two pieces of text.
    answer: (id) => `Hello from <!-- -->${id}`,
    changed: (id) => `Welcome to <!-- -->${id}`,
    says: ["installing package-lock.json with npm", "build: next build"],
    keeps: true,
  },
  bun: { ...hello, file: "server.ts", says: ["installing bun.lock with bun"], keeps: true },
  worker: {
    ...{ file: "web.js", path: "/health", change: ["{ release:", "{ version:"] },
    ...{ answer: (id) => `{"release":"${id}"}`, changed: (id) => `{"version":"${id}"}` },
    ...{ says: ["no dependencies, node"], keeps: false },
  },
};

describe.each(Object.entries(EXAMPLES))("the example %s", (name, example) => {
  let box: Sandbox;
  let first = "";
  let second = "";
  beforeAll(async () => {
    box = await nodeSandbox(name);
  });
  afterAll(() => box?.stop());

  test("is deployed by a push, and answers", async () => {
    expect(ended(await box.dp("init", "--example", name, "--name", box.app))).toBe("0");
    first = await box.release({});
    expect(await box.answer(example.path)).toContain(example.answer(first));
    for (const words of example.says) expect(box.log(first)).toContain(words);
    const { runtime } = box.run(first).facts as { runtime: { env: Record<string, string> } };
    expect(runtime.env["NODE_ENV"]).toBe("production");
  });

  test("a second push under load loses no request, and installs nothing again", async () => {
    const text = readFileSync(join(box.code, example.file), "utf8");
    expect(text).toContain(example.change[0]);
    await box.commit({ [example.file]: text.replaceAll(...example.change) });
    const running = load({ port: box.port, rate: 60, keepAlive: 4, fresh: 2, paths: { quick: example.path } });
    try {
      expect(ended(await box.push())).toBe("0");
    } finally {
      const { requests, failed, failures } = await running.stop();
      console.log(`${name}: ${failed} of ${requests} requests failed`);
      expect(failures).toEqual([]);
      expect(requests).toBeGreaterThan(20);
    }
    second = box.link("current")!;
    expect(second).not.toBe(first);
    expect(await box.answer(example.path)).toContain(example.changed(second));
    if (example.keeps) expect(box.log(second)).toContain("dependencies unchanged (modules ");
  });

  test("the way back needs no registry", async () => {
    const config = join(box.base, ".env.production");
    await Bun.write(config, `${readFileSync(config, "utf8")}HTTPS_PROXY=http://127.0.0.1:9\n`);
    expect(ended(await box.dp("rollback", box.app))).toBe("0");
    expect(box.link("current")).toBe(first);
    expect(await box.answer(example.path)).toContain(example.answer(first));
  });

  test.skipIf(name !== "worker")("jobs are worked, also one that comes in by hand", async () => {
    const asked = await fetch(`http://127.0.0.1:${box.port}/jobs`, {
      ...({ proxy: "" } as RequestInit),
      method: "POST",
      body: JSON.stringify({ name: "greet", data: { name: "World" } }),
    });
    expect(asked.status).toBe(202);
    const { id } = (await asked.json()) as { id: string };
    const log = join(box.root, "var/log/deployments", box.app, `${box.link("current")}.worker.1.app.log`);
    await until("the job is worked", () => readFileSync(log, "utf8").includes("hello World"));
    expect(id).toMatch(/\.json$/);
    const queue = join(box.base, "shared/queue");
    await until("the queue is empty", () => [...new Bun.Glob("**/*.json").scanSync({ cwd: queue })].length === 0);
  });
});
