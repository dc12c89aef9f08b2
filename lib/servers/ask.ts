// One question to another server of an app, limited in time: is it there, and what has it?
import { lastText, textWithin } from "../host/bounded.ts";
import { shown } from "../text/text.ts";
import { LANGUAGE, readHello, type Hello } from "./messages.ts";
import { CUT, dpThere, reasonIn, sshEnv } from "./ssh.ts";

/** How long a server may take to answer, in ms. */
const LIMIT = 20_000;

/** The answer of a program on another server. */
export interface Answer {
  code: number;
  stdout: string;
  stderr: string;
}

interface AskOptions {
  /** An open file, or data. */
  stdin?: number | Blob;
  /** In ms. */
  limit?: number;
  signal?: AbortSignal;
}

/** Runs `dp WORDS` there, with `stdin`; never throws for what happens there. Exit code 255: ssh did not get there. */
export async function ask(
  address: string,
  words: readonly string[],
  { stdin, limit = LIMIT, signal }: AskOptions = {},
): Promise<Answer> {
  const argv = dpThere(address, words);
  const child = Bun.spawn(argv, { cwd: "/", env: sshEnv(), stdin: stdin ?? "ignore", stdout: "pipe", stderr: "pipe" });
  let isLate = false;
  const end = () => void child.kill("SIGKILL");
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, limit);
  signal?.addEventListener("abort", end, { once: true });
  try {
    const all = textWithin(child.stdout).then((text) => {
      if (text === null) end();
      return text;
    });
    const [stdout, stderr, code] = await Promise.all([all, lastText(child.stderr), child.exited]);
    if (isLate) return { code: CUT, stdout: "", stderr: `no answer within ${limit / 1000} s` };
    if (stdout === null) return { code: CUT, stdout: "", stderr: "it answered with more than 1 MiB" };
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

/** What a server says before anything begins, or a sentence that says why it says nothing. */
export async function hello(app: string, address: string, limit = LIMIT): Promise<Hello | string> {
  const { code, stdout, stderr } = await ask(address, ["peer", "hello", app], { limit });
  const said = code === 0 ? readHello(stdout.trim()) : null;
  if (said?.v === LANGUAGE) return said;
  if (said !== null) return `its dp, ${said.dp}, does not deploy together with this one: dp upgrade on both`;
  if (code === 2 && /unknown command|no command/.test(stderr)) return "its dp is older than this one: dp upgrade there";
  return shown(code === 0 ? "its answer was not understood" : reasonIn(stderr, code)).slice(0, 300);
}
