// Secrets of a swarm. They cannot be changed, so each name carries the hash of its content: a release keeps the values it
// was started with, and an older one gets its own back.
import * as v from "valibot";
import { ask, listPath } from "../../docker/api.ts";
import { DpError } from "../../errors.ts";
import type { Instance } from "../../contracts/manager.ts";
import { places, realm } from "../../paths.ts";
import { appLabels } from "./names.ts";
import { swarmSettings } from "./settings.ts";

const schema = v.array(v.object({ ID: v.string(), Spec: v.object({ Name: v.string() }) }));

/** One secret of a service, as its specification names it. */
export interface SecretUse {
  SecretID: string;
  SecretName: string;
  File: { Name: string; UID: string; GID: string; Mode: number };
}

const hashOf = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 12);

async function secretsOf(app: string) {
  const label = Object.entries(appLabels(app)).map(([key, value]) => `${key}=${value}`);
  return v.parse(schema, (await ask({ path: listPath("/secrets", { label }) })) ?? []);
}

/** The variables without the secret ones, and the secrets, made where they are missing. */
export async function separate(
  { app, operator }: Instance,
  all: readonly [string, string][],
): Promise<{ env: string[]; uses: SecretUse[] }> {
  const { secrets } = swarmSettings(operator);
  const isSecret = ([key]: readonly [string, string]) => secrets.includes(key);
  const env = all.filter((entry) => !isSecret(entry)).map(([key, value]) => `${key}=${value}`);
  const uses: SecretUse[] = [];
  const known = secrets.length > 0 ? await secretsOf(app) : [];
  for (const [key, value] of all.filter(isSecret)) {
    if (value === "") throw new DpError("config", `${key} is a secret of the swarm, and empty in the env file`);
    // Without the key two variables of the same value would be one.
    const name = `${places(app).app}-${hashOf(`${key}=${value}`)}${realm()}`;
    const ID = known.find(({ Spec }) => Spec.Name === name)?.ID ?? (await make(app, name, value));
    uses.push({ SecretID: ID, SecretName: name, File: { Name: key, UID: "0", GID: "0", Mode: 0o444 } });
    env.push(`${key}_FILE=/run/secrets/${key}`);
  }
  return { env, uses };
}

async function make(app: string, Name: string, value: string): Promise<string> {
  const body = { Name, Labels: appLabels(app), Data: Buffer.from(value).toString("base64") };
  const { ID } = v.parse(v.object({ ID: v.string() }), await ask({ method: "POST", path: "/secrets/create", body }));
  return ID;
}

/** Removes the secrets of an app that no service uses; answers how many. */
export async function removeUnused(app: string): Promise<number> {
  let count = 0;
  for (const { ID } of await secretsOf(app)) {
    try {
      await ask({ method: "DELETE", path: `/secrets/${ID}` });
      count += 1;
    } catch (error) {
      // A secret that a service uses is refused.
      if (!(error instanceof DpError) || error.exit !== "command") throw error;
    }
  }
  return count;
}
