// Another process that holds the lock of a file, for the tests of locks.
import { resolve } from "node:path";

const HOLDER = `
  const { tryLock } = await import(${JSON.stringify(resolve(import.meta.dir, "../../lib/host/lock.ts"))});
  const lock = tryLock(process.argv[1]);
  if (!lock) throw new Error("not free");
  if (process.argv[2]) lock.note(JSON.parse(process.argv[2]));
  let pid = 0;
  if (process.argv[3]) {
    const child = Bun.spawn(["sleep", "1000"], { detached: true, stdio: ["ignore", "ignore", "ignore"] });
    child.unref();
    pid = child.pid;
  }
  console.log(pid);
  setInterval(() => undefined, 1000);
`;

/** Holds the lock of `path` in a process of its own, with a note; `withDaemon` leaves a child behind. */
export async function holdElsewhere(path: string, note?: unknown, withDaemon = false) {
  const words = [path, note === undefined ? "" : JSON.stringify(note), withDaemon ? "yes" : ""];
  const child = Bun.spawn([process.execPath, "-e", HOLDER, ...words], {
    stdout: "pipe",
    env: { PATH: process.env["PATH"] ?? "" },
  });
  const first = await child.stdout.getReader().read();
  const daemon = Number(Buffer.from(first.value ?? []).toString());
  return {
    pid: child.pid,
    /** The child that was left behind; 0 without. */
    daemon,
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
