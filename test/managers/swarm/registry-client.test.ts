// What the registry's answers mean: by a server with its real certificates. Only 404 says that a tag is gone.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificates } from "../../../lib/managers/swarm/certificates.ts";
import { useRegistry } from "../../../lib/managers/swarm/registry.ts";
import { digestOf } from "../../../lib/managers/swarm/registry-client.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const before = process.env["DP_ROOT"];
let folder: string;
let server: Bun.Server<undefined>;
let address: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dp-registry-"));
  process.env["DP_ROOT"] = folder;
  await makeCertificates(join(folder, "made"), "127.0.0.1");
  const read = (name: string) => readFileSync(join(folder, "made", name), "utf8");
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: read("registry.crt"), key: read("registry.key") },
    // The tag is the status; 200 comes with a digest, 204 without one.
    fetch: ({ url }) => {
      const status = Number(url.slice(-3));
      return new Response(null, { status, headers: status === 200 ? { "Docker-Content-Digest": DIGEST } : {} });
    },
  });
  address = `127.0.0.1:${server.port}`;
  await useRegistry({ address, ca: read("ca.crt"), certificate: read("node.crt"), key: read("node.key") });
});
afterAll(async () => {
  await server.stop(true);
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});

test("a tag has a digest, or is not there", async () => {
  expect([await digestOf(address, "dp/shop", "200"), await digestOf(address, "dp/shop", "404")]).toEqual([
    DIGEST,
    null,
  ]);
});

test.each(["500", "503", "401", "204"])("an answer of %s does not say that a tag is gone", async (status) => {
  const error = await digestOf(address, "dp/shop", status).catch((thrown: unknown) => thrown);
  const message = `the swarm's registry, ${address}, answers ${status} to dp/shop/manifests/${status}`;
  expect(error).toMatchObject({ exit: "host", message });
});
