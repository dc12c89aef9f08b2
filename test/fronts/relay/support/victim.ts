// An app that attacks are tried on: it echoes the heads of the requests that it sees, and some of its paths answer badly.
import { type Scripted, scripted } from "./apps.ts";
import { readStream } from "./reader.ts";

const POISON = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON";

/** What each path answers that does so badly: more than one answer, or one with two ends. */
const BAD: Record<string, string> = {
  "/split": `HTTP/1.1 200 OK\r\nX-A: a\r\nContent-Length: 0\r\n\r\n${POISON}`,
  "/twocl": `HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: ${POISON.length}\r\n\r\n${POISON}`,
  "/extra": `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${POISON}`,
  "/204b": `HTTP/1.1 204 No Content\r\n\r\n${POISON}`,
};

const headOf = (request: string) => request.slice(0, request.indexOf("\r\n\r\n") + 2);

/** Starts it. `seen` has the heads of all requests. */
export function startVictim(): Scripted & { seen: string[] } {
  const answered = new Map<unknown, number>();
  const tunnels = new Set<unknown>();
  const seen: string[] = [];
  const app = scripted((visit) => {
    if (tunnels.has(visit)) return visit.write(`TUN[${visit.got.length}]`);
    const { passed, isPartial } = readStream([Buffer.from(visit.got, "latin1")]);
    const whole = isPartial ? passed.slice(0, -1) : passed;
    for (const request of whole.slice(answered.get(visit) ?? 0)) {
      const head = headOf(request);
      const [, path = ""] = head.split(" ");
      seen.push(head);
      if (path === "/101") {
        tunnels.add(visit);
        return visit.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
      }
      const echo = `${head}[${request.length - head.length - 2}]`;
      visit.write(BAD[path] ?? `HTTP/1.1 200 OK\r\nContent-Length: ${echo.length}\r\n\r\n${echo}`);
      // An answer to a request that has not come.
      if (path === "/early") visit.write(POISON);
    }
    answered.set(visit, whole.length);
  });
  return { ...app, seen };
}
