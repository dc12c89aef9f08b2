// `dp fleet`: all apps on all servers, asked by ssh.
import { isatty } from "node:tty";
import { DpError, EXIT } from "../errors.ts";
import { askerOf } from "../fleet/ask.ts";
import { attention, isAmiss, sentence, type Attention, type Sentence } from "../fleet/attention.ts";
import type { ServerView } from "../fleet/document.ts";
import { openScreen, printLines } from "../fleet/paint.ts";
import { addServer, fleetServers, removeServer } from "../fleet/servers.ts";
import { fleetLines } from "../fleet/table.ts";
import { askAll, watchFleet } from "../fleet/watch.ts";

/** The document: what `--json` prints and the page shows. Times are in seconds since 1970. */
export interface FleetDocument {
  v: 1;
  now: number;
  sentence: Sentence;
  attention: Attention[];
  servers: readonly ServerView[];
}

/** The document over servers as they are known now. */
export function documentOf(servers: readonly ServerView[], now = Math.floor(Date.now() / 1000)): FleetDocument {
  return { v: 1, now, sentence: sentence(servers), attention: attention(servers, now), servers };
}

const width = () => process.stdout.columns || 100;

/** Asks every server once. */
export async function fleetNow(): Promise<FleetDocument> {
  return documentOf(await askAll(await fleetServers()));
}

/** The exit code of `--check`. */
export const checkCode = (document: FleetDocument): number => (isAmiss(document.attention) ? EXIT.unhealthy : EXIT.ok);

/** Prints the document for people. */
export function printFleet({ servers, now }: FleetDocument): void {
  printLines(fleetLines(servers, now, width()));
}

/** Draws the fleet again and again, until q or Ctrl-C. Throws DpError "usage" without a terminal. */
export async function watchInTerminal(): Promise<void> {
  if (!isatty(0) || !isatty(1)) throw new DpError("usage", "dp fleet --watch needs a terminal; --json is for programs");
  const named = await fleetServers();
  const over = Promise.withResolvers<void>();
  const screen = openScreen();
  const draw = () => screen.draw(fleetLines(watch.servers, documentOf(watch.servers).now, width()));
  const watch = watchFleet(named, draw);
  const clock = setInterval(draw, 1_000);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => over.resolve());
  process.stdin.setRawMode(true);
  process.stdin.on("data", (keys: Buffer) => {
    if (/[qQ\x03\x04]/.test(keys.toString("latin1"))) over.resolve();
  });
  process.stdout.on("resize", draw);
  try {
    draw();
    await over.promise;
  } finally {
    clearInterval(clock);
    process.stdin.setRawMode(false);
    process.stdin.pause();
    screen.leave();
    await watch.stop();
  }
}

/** Resolves when somebody wants dp to end: Ctrl-C, or a signal. */
function asked(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  return promise;
}

/** Serves the page until Ctrl-C; `opened` gets its address. */
export async function serve(port: number, opened: (url: string) => void): Promise<void> {
  const named = await fleetServers();
  const over = asked();
  const { serveWeb } = await import("../fleet/web.ts");
  let changed: () => void = () => undefined;
  const watch = watchFleet(named, () => changed());
  try {
    const web = await serveWeb(() => documentOf(watch.servers), port);
    changed = web.changed;
    opened(web.url);
    await over;
    await web.stop();
  } finally {
    await watch.stop();
  }
}

/** Shows an address in the browser of this desktop, if there is one. */
export function openBrowser(url: string): void {
  const hasDesktop = process.platform === "darwin" || Boolean(process.env["DISPLAY"] || process.env["WAYLAND_DISPLAY"]);
  const program = Bun.which(process.platform === "darwin" ? "open" : "xdg-open");
  if (!hasDesktop || program === null) return;
  Bun.spawn([program, url], { env: { ...process.env }, stdio: ["ignore", "ignore", "ignore"], detached: true }).unref();
}

/** Writes the page and its document into a folder: once, or every so many ms until Ctrl-C. */
export async function writeOut(folder: string, every: number | undefined): Promise<void> {
  const { openFolder } = await import("../fleet/out.ts");
  const named = await fleetServers();
  const put = await openFolder(folder);
  if (every === undefined) return put(documentOf(await askAll(named)));
  const over = asked().then(() => true);
  const watch = watchFleet(named, () => undefined, every);
  try {
    await Promise.race([watch.first, over]);
    for (let isOver = false; !isOver;) {
      await put(documentOf(watch.servers));
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => resolve(false), every);
      isOver = await Promise.race([promise, over]);
      clearTimeout(timer);
    }
  } finally {
    await watch.stop();
  }
}

/** Notes a server, and asks it once; answers what to say. */
export async function add(name: string | undefined, address: string | undefined): Promise<string> {
  if (name === undefined || address === undefined)
    throw new DpError("usage", "dp fleet add needs a name and an address", {
      hint: "dp fleet add ams-1 root@203.0.113.5",
    });
  const added = await addServer(name, address);
  const report = await askerOf(added, false).ask();
  if (typeof report === "string") return `added ${name}, but it does not answer: ${report}`;
  return `added ${name}: dp ${report.dp}, ${report.apps.length} app${report.apps.length === 1 ? "" : "s"}`;
}

/** Takes a server off the list. */
export async function remove(name: string | undefined): Promise<string> {
  if (name === undefined) throw new DpError("usage", "dp fleet remove needs a name", { hint: "dp fleet" });
  await removeServer(name);
  return `removed ${name}; nothing was changed on it`;
}
