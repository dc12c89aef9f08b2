// What a program reads on its stdin.
import { closeSync, write } from "node:fs";

/** Writes all to a pipe, and closes it. A program may exit before it has read everything; its exit code tells why. */
export async function writeAll(fd: number, bytes: Buffer): Promise<void> {
  const some = (at: number) =>
    new Promise<number>((resolve) =>
      write(fd, bytes, at, bytes.length - at, null, (error, n) => resolve(error ? 0 : n)),
    );
  for (let at = 0; at < bytes.length;) {
    const count = await some(at);
    if (count === 0) break;
    at += count;
  }
  closeSync(fd);
}
