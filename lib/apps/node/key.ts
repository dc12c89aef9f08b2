// The key of a set of installed modules: it changes with everything that affects them.
import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { readCommitted } from "../../git/committed.ts";
import { isForCompilers, sumOfFiles } from "../../host/install-settings.ts";
import type { Io } from "../../host/io.ts";
import { BERRY } from "./commands.ts";
import { parsePackage, type Package } from "./package.ts";
import type { Project, Runners } from "./project.ts";
import { INSTALL_SCRIPTS } from "./script.ts";
import type { Tool } from "./tool.ts";

// Settings of package managers, the patches that they apply, and their programs in the commit.
const SETTINGS =
  /(?:^|\/)(?:\.npmrc|\.yarnrc|\.yarnrc\.yml|bunfig\.toml|pnpm-workspace\.yaml|\.pnpmfile\.c?js|patches\/.*|[^/]+\.patch|\.yarn\/(?:patches|plugins|releases)\/.*)$/;
// @prisma/client generates code during its install, from the app's own schema into node_modules or elsewhere.
const SCHEMA = /(?:^|\/)(?:[^/]+\.prisma|prisma\.config\.[cm]?[jt]s|\.config\/prisma\.[cm]?[jt]s)$/;
const HAS_OUTPUT = /^[ \t]*output[ \t]*=/m;
// The package.json keys that affect installed modules. Its own name and version matter only to other packages.
const FIELDS = [
  ...["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "peerDependenciesMeta"],
  ...["bundleDependencies", "bundledDependencies", "dependenciesMeta", "overrides", "resolutions", "workspaces"],
  ...["pnpm", "catalog", "catalogs", "trustedDependencies", "patchedDependencies", "allowScripts", "engines"],
  ...["devEngines", "os", "cpu", "libc", "prisma"],
];
const OF_MEMBERS = [...FIELDS, "name", "version", "bin", "directories"];
// The settings files that may contain variables: ${NAME}, in bunfig.toml also $NAME.
const NAMING = /(?:^|\/)(?:\.npmrc|\.yarnrc|\.yarnrc\.yml|bunfig\.toml|pnpm-workspace\.yaml)$/;
// Variables of package managers, without those that only affect fetching.
const VARIABLE = /^(?:npm_config_|NPM_CONFIG_|YARN_|BUN_|pnpm_config_|PNPM_|NODE_)/;
const HARMLESS = /CERT|CACHE|TIMEOUT|RETRIES|RETRY|PROXY|PROGRESS|COLOR|LOGLEVEL|TOKEN|AUTH|PASSWORD|SECRET|NODE_ENV$/i;

const LOCAL = /^(?:file|link|portal):|^\.{0,2}\//;

function isLocal(pkg: Package): boolean {
  const optional = pkg.json["optionalDependencies"] ?? {};
  return Object.values({ ...pkg.dependencies, ...pkg.devDependencies, ...optional }).some((range) =>
    LOCAL.test(String(range)),
  );
}

const pick = ({ json }: Package, fields: readonly string[]) => fields.map((field) => json[field] ?? null);

/** The values of the variables in a settings file. */
const named = (text: string | null, env: Place["env"]) =>
  [...(text ?? "").matchAll(/\$\{?(\w+)/g)].flatMap(([, name = ""]) =>
    HARMLESS.test(name) ? [] : [env[name] ?? null],
  );

/** A hash of the package managers' settings files: the server's, the user's, and those shared into the app's folder. */
export async function settingsSum({ env, ...place }: Place, { main }: Runners, io: Io): Promise<string> {
  const { HOME = "/", XDG_CONFIG_HOME } = env;
  const own = [".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml"];
  const users = [...own.slice(0, 3), ".bunfig.toml"].map((name) => join(HOME, name));
  const config = XDG_CONFIG_HOME || join(HOME, ".config");
  const files = [...own, ...users, join(config, "pnpm/rc"), join(config, ".bunfig.toml")];
  for (const [name, file] of Object.entries(env))
    if (/^npm_config_(?:user|global)config$/i.test(name)) files.push(file);
  files.push(join(dirname(dirname(await realpath(main.program))), "etc/npmrc"));
  return sumOfFiles(files, place, io);
}

/**
 * 16 hex digits, or null when the modules must not be kept for another release: without a lock file, with packages from
 * the repository itself, when workspace packages have install scripts of their own, or when Prisma generates code into
 * a folder that the schema names. `settings`: the hash of settings files outside the commit.
 */
export async function modulesKey(
  place: Place,
  project: Project,
  tool: Tool,
  runners: Runners,
  settings: string,
): Promise<string | null> {
  const { top: pkg, manager, isWorkspace, withDev } = project;
  if (pkg === null || manager.lock === null || manager.lock.path === "bun.lockb" || isLocal(pkg)) return null;
  const content: unknown[] = [runners.main.name, runners.main.version.text, runners.main.platform];
  content.push(manager.kind, tool.version, withDev, manager.lock, pick(pkg, FIELDS));
  for (const { path } of await place.tree.list()) {
    if (SETTINGS.test(path)) {
      const text = await textOf(place, path);
      content.push([path, text, NAMING.test(path) ? named(text, place.env) : []]);
    }
    if (SCHEMA.test(path)) {
      const schema = await textOf(place, path);
      if (schema !== null && HAS_OUTPUT.test(schema)) return null;
      content.push([path, schema]);
    }
    if (!isWorkspace || !path.endsWith("/package.json")) continue;
    const member = parsePackage((await readCommitted(place.tree, path)) ?? "", path);
    if (isLocal(member) || INSTALL_SCRIPTS.some((name) => member.scripts[name])) return null;
    content.push([path, pick(member, OF_MEMBERS)]);
  }
  const isOwn = (name: string) =>
    isForCompilers(name) || (VARIABLE.test(name) && !HARMLESS.test(name) && !(name in BERRY));
  const env = Object.entries(place.env).filter(([name]) => isOwn(name));
  content.push(env.sort(), settings);
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}

async function textOf(place: Place, path: string): Promise<string | null> {
  return (await place.tree.read(path)) ?? place.tree.link(path);
}
