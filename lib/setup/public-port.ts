// The public ports of all apps, and the next free one.
import { readText } from "../host/files.ts";
import { places } from "../paths.ts";
import { listenedPorts } from "../host/process/process.ts";
import { appNames } from "../config/server.ts";

const FIRST_PORT = 8000;

/** Public port -> the other app that has it. Only this line is read: the rest of its config.yml may be broken. */
export async function portsOfOthers(app: string): Promise<Map<number, string>> {
  const taken = new Map<number, string>();
  for (const other of await appNames()) {
    const text = other === app ? null : await readText(places(other).config);
    const port = /^port:\s*(\d+)/m.exec(text ?? "")?.[1];
    if (port !== undefined) taken.set(Number(port), other);
  }
  return taken;
}

/** The first port that no app has and nobody listens on. */
export async function firstFree(taken: Map<number, string>): Promise<number> {
  const listened = listenedPorts();
  let port = FIRST_PORT;
  while (taken.has(port) || listened.has(port)) port++;
  return port;
}
