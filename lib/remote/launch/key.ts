// The step `key` of `dp launch`: a login that is not root pushes and types as the user dp, with the key of this machine.
import { homedir } from "node:os";
import { DpError, messageOf } from "../../errors.ts";
import { readText } from "../../host/files.ts";
import { isAppName } from "../../paths.ts";
import type { Ssh } from "../ssh.ts";
import { DP, failed, here, type Hands } from "./hands.ts";

/** A public key, as a file or the agent has it. */
export interface LaptopKey {
  /** `ssh-ed25519 AAAA… me@laptop`. */
  text: string;
  /** Where it is from. */
  from: string;
}

/** The key to let in: `--key`, else what ssh would log in with, else the first of the agent. Throws DpError "usage". */
export async function laptopKey(ssh: Ssh, file: string | undefined): Promise<LaptopKey> {
  if (file !== undefined) return { text: await publicKey(file), from: file };
  const settings = await here(...ssh.argv("true", "-G"));
  for (const [, path] of settings.text.matchAll(/^identityfile (.+)$/gm)) {
    const from = `${path!.replace(/^~(?=\/)/, homedir())}.pub`;
    const text = await readText(from);
    if (text !== null) return { text, from };
  }
  const { code, text } = await here("ssh-add", "-L").catch(() => ({ code: 1, text: "" }));
  if (code === 0) return { text: text.split("\n")[0]!, from: "the agent" };
  throw new DpError("usage", "which key may push? No public key of this machine was found", {
    hint: "dp launch --key FILE.pub; ssh-keygen -t ed25519 makes one",
  });
}

async function publicKey(file: string): Promise<string> {
  const text = await readText(file).catch((cause: unknown) => {
    throw new DpError("usage", `--key ${file} cannot be read: ${messageOf(cause)}`, { cause });
  });
  if (text === null) throw new DpError("usage", `there is no file ${file}`);
  // It is sent: a private key stays here.
  if (/PRIVATE KEY/.test(text)) throw new DpError("usage", `${file} is a private key`, { hint: `--key ${file}.pub` });
  return text;
}

/** One key of somebody, as `dp keys --json` prints it. */
interface Row {
  name: string;
  key: string;
  apps: Record<string, string>;
}

/** Lets the key in for the app. Throws DpError with the exit code of `dp keys add`. */
export async function letIn(hands: Hands, app: string, user: string, { text, from }: LaptopKey): Promise<string> {
  const there = await hands.look([DP, "keys", "--json"]);
  const rows = there.code === 0 ? (JSON.parse(there.stdout) as Row[]) : [];
  const row = rows.find(({ key }) => key === fingerprint(text));
  if (row?.apps[app] !== undefined) return `${row.name} has it: ${row.apps[app]} on ${app}`;
  const name = row?.name ?? nameFor(user);
  const words = [DP, "keys", "add", name, "--app", app, "--role", "operate"];
  const answer = await hands.change(words, () => new Blob([text]), `cat ${from}`);
  if (answer === null) return `would let ${name} in: operate on ${app}`;
  if (answer.code !== 0) throw failed(`the key of ${from} could not be let in`, answer);
  return `let ${name} in: operate on ${app}`;
}

const nameFor = (user: string) => (isAppName(user) ? user : "owner");

/** `SHA256:…`, as ssh-keygen -l prints it. */
function fingerprint(text: string): string {
  const blob = /(?:^|\s)(AAAA[A-Za-z0-9+/=]+)/.exec(text)?.[1] ?? "";
  const digest = new Bun.CryptoHasher("sha256").update(Buffer.from(blob, "base64")).digest("base64");
  return `SHA256:${digest.replace(/=+$/, "")}`;
}
