// Configurations of HAProxy in the swarm. They cannot be changed, so each name carries the hash of its text.
import * as v from "valibot";
import { ask, listPath } from "../../docker/api.ts";
import { DpError } from "../../errors.ts";
import { places, realm } from "../../paths.ts";
import { nodeLabels } from "./node-names.ts";

const schema = v.array(v.object({ ID: v.string(), Spec: v.object({ Name: v.string() }) }));

/** One configuration of a service, as its specification names it. */
export interface ConfigUse {
  ConfigID: string;
  ConfigName: string;
  File: { Name: string; UID: string; GID: string; Mode: number };
}

async function configsOf(app: string) {
  const label = Object.entries(nodeLabels(app)).map(([key, value]) => `${key}=${value}`);
  return v.parse(schema, (await ask({ path: listPath("/configs", { label }) })) ?? []);
}

/** The name of an app's configuration with that text. */
export const configName = (app: string, text: string) =>
  `${places(app).app}-${new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 12)}${realm()}`;

/** The configuration with that text as a file of a service; made when it is missing. */
export async function configUse(app: string, text: string, file: string): Promise<ConfigUse> {
  const name = configName(app, text);
  const known = (await configsOf(app)).find(({ Spec }) => Spec.Name === name);
  const ConfigID = known?.ID ?? (await make(app, name, text));
  return { ConfigID, ConfigName: name, File: { Name: file, UID: "0", GID: "0", Mode: 0o400 } };
}

async function make(app: string, Name: string, text: string): Promise<string> {
  const body = { Name, Labels: nodeLabels(app), Data: Buffer.from(text).toString("base64") };
  const { ID } = v.parse(v.object({ ID: v.string() }), await ask({ method: "POST", path: "/configs/create", body }));
  return ID;
}

/** Removes the configurations of an app that no service uses. */
export async function removeUnusedConfigs(app: string): Promise<void> {
  for (const { ID } of await configsOf(app)) {
    try {
      await ask({ method: "DELETE", path: `/configs/${ID}` });
    } catch (error) {
      // A configuration that a service uses is refused.
      if (!(error instanceof DpError) || error.exit !== "command") throw error;
    }
  }
}
