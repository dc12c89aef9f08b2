// Commands about who may log in without root: keys, and gate, which sshd leads to.
import type { CAC } from "cac";
import { answer, byKey, print, textOf, warn, HIDDEN, type Options } from "./arguments.ts";
import type { Added, Grant } from "../commands/keys.ts";
import { GRANTED, grantedIn, isEnough, ROLES, rolesOf, type Granted, type Role } from "../access/role.ts";
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";
import { printExact, say } from "../text/say.ts";

const ACTIONS = ["list", "add", "new", "allow", "deny", "remove"] as const;
const USAGE = `keys
  $ dp keys add NAME --app APP[,APP] --role view|push|operate|server [FILE.pub]   without FILE from stdin
  $ dp keys new NAME --app APP[,APP] --role ROLE                                  for a CI: prints the private key once
  $ dp keys allow NAME APP --role ROLE                                            operate,server: what either may
  $ dp keys deny NAME APP
  $ dp keys remove NAME [--key SHA256:...]`;

export function declareKeysCommands(cli: CAC): void {
  cli
    .command(
      "keys [action] [name] [...words]",
      "Show or change who may push and type commands without root",
      byKey(null),
    )
    .option("--app <apps>", "The app, or several: shop,blog")
    .option("--role <role>", `${ROLES.join(", ")}, or operate,server: what the key may do with these apps`)
    .option("--key <fingerprint>", "With remove: only that key of the name")
    .option("--json", "As JSON")
    .usage(USAGE)
    .action(async (action = "list", name: string | undefined, words: string[], options: Options) => {
      const typed: Words = { name: name ?? "", words, options };
      if (!Object.hasOwn(DOES, action))
        throw new DpError("usage", `unknown action ${JSON.stringify(action)}; the actions are ${ACTIONS.join(", ")}`, {
          hint: "dp keys --help",
          ...didYouMean(action, ACTIONS),
        });
      if (action !== "list" && name === undefined)
        throw new DpError("usage", "whose key?", { hint: `dp keys ${action} NAME` });
      return DOES[action as keyof typeof DOES](typed);
    });

  cli.command("gate <name> <key>", HIDDEN, byKey(null)).action(async (name: string, key: string) => {
    const { gate } = await import("./gate.ts");
    return gate(cli, name, key);
  });
}

interface Words {
  name: string;
  words: readonly string[];
  options: Options;
}

const DOES: Record<(typeof ACTIONS)[number], (typed: Words) => Promise<void>> = {
  async list({ name, options }) {
    if (name !== "") throw new DpError("usage", "dp keys lists all of them", { hint: "dp keys --help" });
    const { keyLines, keyRows } = await import("../commands/keys.ts");
    const rows = await keyRows();
    answer(options, rows, () => keyLines(rows));
  },
  async add({ name, words, options }) {
    const { addKey } = await import("../commands/keys.ts");
    const grant = options["app"] === undefined && options["role"] === undefined ? null : grantOf(name, options);
    const added = await addKey(name, grant, await textFrom(words));
    await warnOfSshd();
    const { remoteFor } = await import("../access/remote.ts");
    const [app, role] = Object.entries(added.apps)[0] ?? [];
    // The key of another server is not for pushes.
    const remote = app === undefined || isEnough(role!, "server") ? null : await remoteFor(app);
    answer(options, { ...added, remote }, () => [
      ...added.changes,
      addedLine(added),
      ...(remote === null ? [] : [`next, on the machine of ${name}: git remote add production ${remote}`]),
    ]);
  },
  async new({ name, words, options }) {
    none(words);
    const { newKey } = await import("../commands/keys.ts");
    const grant = grantOf(name, options);
    const made = await newKey(name, grant);
    const { serverKeys } = await import("../access/remote.ts");
    const known = await serverKeys();
    if (options["json"] === true) return answer(options, { ...made, knownHosts: known }, () => []);
    made.changes.forEach(print);
    say("the private key, shown this once: a secret DP_KEY of your CI");
    printExact(made.privateKey.trimEnd());
    say("the host's keys: a variable DP_KNOWN_HOSTS");
    known.forEach(print);
    const verbs: Record<Role, string> = {
      view: "may look at",
      push: "may push to",
      operate: "may operate",
      server: "may deploy together with",
    };
    const may = rolesOf(grant.role)
      .map((role) => verbs[role])
      .join(" and ");
    return say(`proved: ${name} logs in and ${may} ${grant.apps.join(", ")}`);
  },
  async allow({ name, words, options }) {
    const { allow } = await import("../commands/keys.ts");
    const role = roleOf(options, `dp keys allow ${name} APP --role push`);
    const app = onlyApp(words, `dp keys allow ${name} APP --role ${role}`);
    const holder = await allow(name, app, role);
    answer(options, holder, () => [`${name}: ${role} on ${app}`]);
  },
  async deny({ name, words, options }) {
    const { deny } = await import("../commands/keys.ts");
    const app = onlyApp(words, `dp keys deny ${name} APP`);
    const holder = await deny(name, app);
    const left = holder.apps.length === 0 ? `; ${name} has no app left: dp keys remove ${name}` : "";
    answer(options, holder, () => [`${name} has nothing more to do with ${app}${left}`]);
  },
  async remove({ name, words, options }) {
    none(words);
    const { removeKey } = await import("../commands/keys.ts");
    const gone = await removeKey(name, textOf(options, "key"));
    const ended = gone.sessions === 0 ? "" : `; ${gone.sessions} of its sessions ended`;
    answer(options, gone, () => [`removed ${gone.keys.join(", ")} of ${name}${ended}`]);
  },
};

function addedLine({ name, apps, key }: Added): string {
  const roles = Map.groupBy(Object.entries(apps), ([, role]) => role);
  const words = [...roles].map(([role, all]) => `${role} on ${all.map(([app]) => app).join(", ")}`);
  return `added ${name}: ${words.join("; ") || "no app"} (${key})`;
}

function grantOf(name: string, options: Options): Grant {
  const apps = textOf(options, "app")?.split(",").filter(Boolean) ?? [];
  const hint = `--app APP --role ${ROLES.join("|")}`;
  if (apps.length === 0) throw new DpError("usage", `which app is ${name} for?`, { hint });
  return { apps, role: roleOf(options, hint) };
}

function roleOf(options: Options, hint: string): Granted {
  const role = textOf(options, "role") ?? "";
  const granted = grantedIn(role);
  if (granted !== null) return granted;
  throw new DpError(
    "usage",
    role === ""
      ? "in which role?"
      : `unknown role ${JSON.stringify(role)}; the roles are ${ROLES.join(", ")}, or two of them: operate,server`,
    {
      hint,
      ...didYouMean(role, GRANTED),
    },
  );
}

function onlyApp(words: readonly string[], hint: string): string {
  if (words.length === 1) return words[0]!;
  throw new DpError("usage", words.length === 0 ? "which app?" : "one app at a time", { hint });
}

function none(words: readonly string[]): void {
  if (words.length > 0) throw new DpError("usage", `unknown words: ${words.join(" ")}`, { hint: "dp keys --help" });
}

/** The text of a public key: of a file, or of stdin. */
async function textFrom(words: readonly string[]): Promise<string> {
  const [file = "-", ...more] = words;
  none(more);
  if (file === "-") {
    if (process.stdin.isTTY) warn("paste the public key, then Ctrl-D");
    return Bun.stdin.text();
  }
  const { readText } = await import("../host/files.ts");
  const text = await readText(file);
  if (text === null) throw new DpError("usage", `there is no file ${file}`);
  return text;
}

/** Says what sshd would refuse the key for. */
async function warnOfSshd(): Promise<void> {
  const { obstacles } = await import("../access/sshd.ts");
  const { makeIo, silentLog } = await import("../host/io.ts");
  for (const { what, line } of await obstacles(makeIo(silentLog))) {
    warn(`sshd refuses the key: ${what}`);
    say(`  → in /etc/ssh/sshd_config: ${line}; then: systemctl reload ssh`);
  }
}
