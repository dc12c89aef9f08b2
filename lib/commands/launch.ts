// `dp launch`: from a server with nothing but sshd to a live app. Each step looks first, and does only what is missing.
import type { AppType } from "../contracts/app-type.ts";
import { domainName } from "../config/domain-name.ts";
import { EXIT } from "../errors.ts";
import { version } from "../host/version.ts";
import { appType } from "../registry.ts";
import { addDomain, packagesFor } from "../remote/launch/domain.ts";
import { runsThere, sendDp, stateOfDp, upgradeApps } from "../remote/launch/dp.ts";
import { readFolder, type Folder } from "../remote/launch/folder.ts";
import { handsFor, here, type Hands } from "../remote/launch/hands.ts";
import { laptopKey, letIn, type LaptopKey } from "../remote/launch/key.ts";
import { installPackages, packagesToInstall, wantedPackages } from "../remote/launch/packages.ts";
import { isPushed, push } from "../remote/launch/push.ts";
import { foundLine, reach, type Found } from "../remote/launch/reach.ts";
import { addRemote, hasRemote, urlFor } from "../remote/launch/remote.ts";
import { requireRights } from "../remote/launch/rights.ts";
import { bringRuntime, wantedRuntime, type WantedRuntime } from "../remote/launch/runtime.ts";
import { serverOf } from "../remote/launch/server.ts";
import { appThere, importSettings, setUpApp } from "../remote/launch/setup.ts";
import { typedFor } from "../remote/remotes.ts";
import { sshTo } from "../remote/ssh.ts";
import { commitOf } from "../text/ids.ts";

/** What was typed. */
export interface LaunchWishes {
  /** [USER@]HOST[:PORT]. */
  server: string;
  /** Default: the name in deploy.yml. */
  app?: string | undefined;
  remote: string;
  /** The app's public port. */
  port?: number | undefined;
  envFile?: string | undefined;
  /** A name of the app, with its certificate. */
  domain?: string | undefined;
  /** The public key that is let in where the login is not root. */
  key?: string | undefined;
  isDry: boolean;
}

/** How a launch talks. */
export interface Talk {
  print(line: string): void;
  /** Asks whether to go on. */
  confirm(question: string): Promise<boolean>;
}

/** What the first looks have found, before anything is changed. */
interface Plan {
  folder: Folder;
  found: Found;
  hands: Hands;
  /** The URL of the remote. */
  url: string;
  state: ReturnType<typeof stateOfDp>;
  sendsBun: boolean;
  /** Packages that are missing. */
  packages: string[];
  /** What the app runs on, if the system's packages are not enough. */
  runtime: WantedRuntime | null;
  /** What pushes where the login is not root; null: root does. */
  key: LaptopKey | null;
  /** As config.yml has it. */
  domain: string | undefined;
}

/** Launches the app of the current folder; answers the exit code, git's own for a push that fails. */
export async function launch(wishes: LaunchWishes, talk: Talk): Promise<number> {
  const step = stepsOf(talk);
  const plan = await look(wishes, talk, step);
  if (!(await agreed(plan, talk))) {
    talk.print("nothing was changed");
    return EXIT.usage;
  }
  const { hands, folder, url } = plan;
  await step("packages", () => installPackages(hands, plan.found, plan.packages));
  await step("dp", () => bringDp(plan));
  if (plan.state === "old") await step("upgrade", () => upgradeApps(hands));
  const { runtime } = plan;
  if (runtime !== null) await step("runtime", () => bringRuntime(hands, runtime));
  await step("setup", () => setUpApp(hands, folder, wishes.port));
  const { envFile, remote } = wishes;
  if (envFile !== undefined) await step("settings", () => importSettings(hands, folder.app, envFile));
  const { key, found } = plan;
  if (key !== null) await step("key", () => letIn(hands, folder.app, found.user, key));
  await step("remote", () => addRemote(hands, remote, url));
  const { domain } = plan;
  if (domain !== undefined) await step("domain", () => addDomain(hands, folder.app, domain));
  const code = await pushed(plan, remote, step);
  if (code === EXIT.ok && !hands.isDry) await tell(plan, remote, talk);
  return code;
}

type Step = (name: string, act: () => Promise<string>) => Promise<void>;

/** Prints one line for each step, with the seconds of a slow one. */
function stepsOf({ print }: Talk): Step {
  return async (name, act) => {
    const begun = performance.now();
    const text = `${name.padEnd(9)} ${await act()}`;
    const took = (performance.now() - begun) / 1000;
    print(took < 1 ? text : `${text.padEnd(72)} ${took.toFixed(1)} s`);
  };
}

/** The steps folder, reach and rights, and whatever may stop the launch later: nothing is changed before it is known. */
async function look(wishes: LaunchWishes, talk: Talk, step: Step): Promise<Plan> {
  const { server, app, remote, key, isDry } = wishes;
  const target = serverOf(server);
  const domain = wishes.domain === undefined ? undefined : domainName(wishes.domain);
  const folder = await readFolder(app);
  const type: AppType = await appType(folder.config.type);
  if (folder.uncommitted > 0) talk.print(`folder    ${leftHere(folder.uncommitted)}`);
  const runtime = await wantedRuntime(type, folder);
  const ssh = await sshTo(target);
  const found = await reach(ssh, wantedPackages({ ...type.packages, ...(domain && packagesFor(domain)) }));
  await step("reach", async () => foundLine(found));
  const state = stateOfDp(found);
  requireRights(ssh, found, state !== "there");
  const needsSudo = found.root === "sudo";
  const url = urlFor(folder.app, target, needsSudo);
  await hasRemote(remote, url);
  const sendsBun = await runsThere(found);
  const packages = packagesToInstall(found, sendsBun || state === "there");
  const hands = handsFor(ssh, needsSudo, isDry, talk.print);
  return {
    folder,
    found,
    state,
    url,
    sendsBun,
    packages,
    hands,
    runtime,
    key: needsSudo ? await laptopKey(ssh, key) : null,
    domain,
  };
}

const leftHere = (files: number) =>
  files === 1
    ? "1 changed file is not committed: it stays here"
    : `${files} changed files are not committed: they stay here`;

/** Asks before the server itself is changed, not before an app is set up on it. */
async function agreed({ packages, state, hands, found }: Plan, talk: Talk): Promise<boolean> {
  const changes = [
    ...(packages.length > 0 ? [`install ${packages.join(", ")}`] : []),
    ...(state === "none" ? [`install dp ${version}`] : []),
    ...(state === "old" ? [`bring dp from ${found.dp!.version} to ${version}, for all apps`] : []),
  ];
  if (hands.isDry || changes.length === 0) return true;
  return talk.confirm(`${changes.join(", ")} on ${hands.ssh.server.host}? [Y/n] `);
}

async function bringDp({ state, found, hands, sendsBun }: Plan): Promise<string> {
  if (state !== "there") return sendDp(hands, sendsBun);
  const other = found.dp!.version === version ? "" : `, newer than this ${version}`;
  return `${found.dp!.version} is there${other}`;
}

/** Pushes the commit, unless it is there: a release that somebody went back to stays live. git prints what the deploy prints. Answers git's exit code. */
async function pushed({ hands, folder, url }: Plan, remote: string, step: Step): Promise<number> {
  const there = await appThere(hands, folder.app);
  const branch = there?.branch ?? "main";
  const live = there?.live ?? null;
  const isThere = live !== null && (await isPushed(folder, url, branch));
  await step("push", async () => {
    if (!isThere) return `HEAD → ${branch}`;
    const is = `${branch} is this commit already`;
    if (live === null || folder.sha.startsWith(commitOf(live))) return is;
    return `${is}, but ${folder.app} ${live} is live: ${await typedFor(remote)} deploy ${folder.app} deploys it`;
  });
  return isThere ? EXIT.ok : push(hands, remote, branch);
}

/** The last lines: what is live, and what to type next. */
async function tell({ hands, folder: { app }, domain, key }: Plan, remote: string, { print }: Talk): Promise<void> {
  const there = await appThere(hands, app);
  const dp = await typedFor(remote);
  if (there?.live == null) return print(`next: ${dp} status ${app}`);
  print(`live: ${app} ${there.live} at ${there.url} on ${hands.ssh.server.host}`);
  print(
    `next: ${dp} logs -f, ${dp} env set NAME=VALUE; ${domain ? `its name: ${dp} domains` : "a name with a certificate: dp help domains"}`,
  );
  if (/^http:\/\/127\./.test(there.url)) {
    const open = key === null ? `${dp} setup --host 0.0.0.0` : `on the server: sudo dp setup ${app} --host 0.0.0.0`;
    print(`  only the server itself reaches that address; without a name, open its port to all: ${open}`);
  }
  const branch = (await here("git", "branch", "--show-current")).text;
  if (branch !== "" && branch !== there.branch)
    print(`  deploys from this branch: git push ${remote} ${branch}:${there.branch}`);
}
