// A crowd of connections that one process of some user holds: opened at once, with the same bytes sent on each.
import { spawnSync } from "node:child_process";

const SCRIPT = `
const [port, count] = [Number(process.argv[1]), Number(process.argv[2])];
const { bytes, more, isDeaf, isHalf } = JSON.parse(process.argv[3]);
const all = Buffer.concat([Buffer.from(bytes), Buffer.alloc(more, "x")]);
const answers = [];
let open = 0;
for (let i = 0; i < count; i++) {
  const mine = answers.push("") - 1;
  let left = all;
  const drain = (self) => void (left = left.subarray(Math.max(0, self.write(left))));
  const data = (self, chunk) => isDeaf ? self.pause() : void (answers[mine] += chunk.toString("latin1"));
  const handlers = { data, drain, close: () => void open--, error() {} };
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, allowHalfOpen: true, socket: handlers });
    drain(socket);
    if (isHalf) socket.shutdown();
    open++;
  } catch {
    // refused: it is not among those that are open
  }
}
console.log("opened");
for await (const _ of console) console.log(JSON.stringify({ open, answers: answers.filter(Boolean) }));
`;

/** A crowd that holds what it could open. */
export interface Crowd {
  /** How many of its connections are still open, and all that came on those that were answered. */
  look(): Promise<{ open: number; answers: string[] }>;
  stop(): Promise<void>;
}

/** What a crowd does besides: it sends so many bytes more, does not read after the first ones, or ends its own side. */
interface Manner {
  more?: number;
  isDeaf?: boolean;
  isHalf?: boolean;
}

/** Opens connections to a port as a user; returns when all were tried. `uid`: only root may give one. */
export async function startCrowd(
  port: number,
  count: number,
  bytes: string,
  uid?: number,
  { more = 0, isDeaf = false, isHalf = false }: Manner = {},
): Promise<Crowd> {
  const argv = [process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", "-e", SCRIPT];
  const child = Bun.spawn([...argv, String(port), String(count), JSON.stringify({ bytes, more, isDeaf, isHalf })], {
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "inherit"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  // What it inherits is enough for the tests' own sockets, and may not be for the crowd's.
  spawnSync("prlimit", ["--pid", String(child.pid), "--nofile=8192:8192"]);
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const line = async () => {
    let text = "";
    while (!text.endsWith("\n")) {
      const { value, done } = await lines.read();
      if (done) throw new Error("the crowd has ended");
      text += value;
    }
    return text;
  };
  await line();
  return {
    async look() {
      child.stdin.write("\n");
      await child.stdin.flush();
      return JSON.parse(await line()) as { open: number; answers: string[] };
    },
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
