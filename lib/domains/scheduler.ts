// Renewals without systemd: a process that looks every few minutes what is due, until it is ended.
import { plainEnv, run } from "../host/run.ts";
import { SELF } from "../host/self.ts";
import { messageOf } from "../errors.ts";
import { say } from "../text/say.ts";

const PAUSE = 10 * 60_000;
const LONGEST = 30 * 60_000;

/** The whole program, until it is ended. The folder of the certificates is below that of the whole server. */
export async function main(folder = ""): Promise<void> {
  const root = folder.replace(/\/var\/lib\/dp\/tls$/, "");
  const env = root === "" ? plainEnv() : { ...plainEnv(), DP_ROOT: root };
  for (;;) {
    await Bun.sleep(PAUSE);
    try {
      const { text } = await run([...SELF, "certificates"], { env, check: false, timeout: LONGEST });
      if (text !== "") say(text);
    } catch (error) {
      say(messageOf(error));
    }
  }
}

if (import.meta.main) void main(process.argv[2]);
