// Keys in deploy.yml that the server decides about: where they belong, and what to type.
import { isDomain } from "./domain-name.ts";
import { isAppName, places } from "../paths.ts";
import { serverSchema } from "./server-schema.ts";
import type { Mapping } from "./parse.ts";
import type { Wrong } from "./yaml.ts";

const inConfig = (app: string) =>
  `is set on the server, in ${isAppName(app) ? places(app).config : "the app's config.yml"}`;

const domainWords = (app: string, value: unknown) => {
  const name = [value].flat().find((one) => typeof one === "string" && isDomain(one));
  return `domains are set on the server: dp domains ${app} add ${name ?? "NAME"}`;
};

/** Keys that do not belong in deploy.yml -> their place and what to type; `app` is its name. */
const ELSEWHERE: Readonly<Record<string, (app: string, value: unknown) => string>> = {
  port: (app) => `the public port is set on the server: dp setup ${app} --port N; the app itself listens on $PORT`,
  env: (app, value) =>
    typeof value === "string"
      ? `the environment is set on the server: dp setup ${app} --env NAME`
      : `settings stay on the server, out of git: dp env ${app} set NAME=value`,
  domain: domainWords,
  domains: domainWords,
  replicas: (app) =>
    `the number of processes is set on the server: dp scale ${app} PROCESS=N; for web, workers in command (gunicorn -w N)`,
  scale: (app) => `the number of processes is set on the server: dp scale ${app} PROCESS=N`,
  instances: inConfig,
  manager: (app) => `what runs the app is set on the server: dp setup ${app} --manager NAME`,
  branch: (app) => `the branch that deploys is set on the server: dp setup ${app} --branch NAME`,
  front: (app) => `the front is set on the server: dp setup ${app} --front NAME`,
  basicAuth: (app) => `passwords are set on the server: dp auth ${app} add USER`,
  maintenance: (app) => `maintenance is switched on the server: dp maintenance ${app} on`,
  host: (app) => `the public address is set on the server: dp setup ${app} --host ADDRESS`,
};

// Keys of both files, apart from those of app types.
const OF_BOTH = ["build"];

/** The misplaced keys of a deploy.yml, and where they belong; `app`: the app that it must be for. */
export function misplaced(value: Mapping, app: string | undefined): Wrong[] {
  const { name } = value;
  const serverKeys = Object.keys(serverSchema({ apps: {}, managers: {}, fronts: {} }).entries);
  const known = app ?? (typeof name === "string" && isAppName(name) ? name : "APP");
  return Object.keys(value).flatMap((key) => {
    if (Object.hasOwn(ELSEWHERE, key)) return [{ path: [key], what: ELSEWHERE[key]!(known, value[key]) }];
    return serverKeys.includes(key) && !OF_BOTH.includes(key) ? [{ path: [key], what: inConfig(known) }] : [];
  });
}
