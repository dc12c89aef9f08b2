// A sandbox whose app has a domain, with a certificate of a real authority.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startAcme, type Acme } from "./acme.ts";
import { sandbox, type Sandbox } from "./sandbox.ts";

export const NAME = "shop.test";

export interface DomainBox {
  box: Sandbox;
  acme: Acme;
  tlsYml: string;
  /** /var/lib/dp/tls. */
  folder: string;
  /** The folder of the name: its pair and its state. */
  own: string;
  pair(): string;
  /** The serial number of the certificate that a new connection gets, which must be of the authority's; "" for none. */
  served(): Promise<string>;
  state(): { next: string | null; error: string | null; tries: number; orders: string[] };
  /** Forgets the tries so far, as if they were long ago. */
  forget(): void;
  /** How many orders the authority got so far. */
  orders(): number;
  stop(): Promise<void>;
}

/** The serial number of the first certificate in a pair, whose key must be its own. */
export function serialOf(pair: string): string {
  const leaf = new X509Certificate(pair.slice(pair.indexOf("-----BEGIN CERTIFICATE")));
  if (!leaf.checkPrivateKey(createPrivateKey(pair))) throw new Error("a key with another's certificate");
  return leaf.serialNumber;
}

/** Starts both; `make` prepares the sandbox. The app is live under `NAME` when this returns. */
export async function domainBox(make: () => Promise<Sandbox> = () => sandbox()): Promise<DomainBox> {
  const [acme, box] = [await startAcme(), await make()];
  const lego = Bun.which("lego")!;
  if (dirname(lego) !== "/usr/bin") symlinkSync(lego, join(box.env["PATH"]!.split(":")[0]!, "lego"));
  const tlsYml = join(box.root, "etc/dp/tls.yml");
  mkdirSync(dirname(tlsYml), { recursive: true });
  writeFileSync(tlsYml, acme.settings);
  const folder = join(box.root, "var/lib/dp/tls");
  const own = join(folder, "names", NAME);
  const self: DomainBox = {
    ...{ box, acme, tlsYml, folder, own },
    pair: () => readFileSync(join(own, "pair.pem"), "utf8"),
    served: () => servedAt(acme),
    state: () => JSON.parse(readFileSync(join(own, "state.json"), "utf8")),
    forget: () => writeFileSync(join(own, "state.json"), "{}"),
    orders: () => acme.log().split("/order-plz").length - 1,
    async stop() {
      await box.stop();
      await acme.end();
    },
  };
  try {
    await box.push();
    const { code, text } = await box.dp("domains", box.app, "add", NAME);
    if (code !== 0 || !text.includes(`live: https://${NAME}`)) throw new Error(text);
  } catch (error) {
    await self.stop();
    throw error;
  }
  return self;
}

async function servedAt({ https, root }: Acme): Promise<string> {
  const to = ["-connect", `127.0.0.1:${https}`, "-servername", NAME, "-CAfile", root, "-verify_return_error"];
  const child = Bun.spawn(["openssl", "s_client", ...to], { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const text = await child.stdout.text();
  const [pem] = /-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/.exec(text) ?? [];
  if ((await child.exited) !== 0 || pem === undefined) return "";
  return new X509Certificate(pem).serialNumber;
}
